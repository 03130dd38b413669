"""Tests that share something run in one worker, whatever the installed pytest and xdist make of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bailiwick_testkit.xdist_groups import arranged, scope

SIZES = (("small", 2), ("large", 3))
ONE_OF_TEN = """
import pytest

@pytest.mark.parametrize("number", range(10))
def test_it(number, worker_id):
    with open("workers", "a") as file:
        file.write(f"{__name__} {worker_id}\\n")
"""


def test_end_to_end_tests_stay_together_by_file_and_all_faults_do() -> None:
    assert scope("tests/e2e/test_a.py::test_x[1]") == scope("tests/e2e/test_a.py::test_y")
    assert scope("tests/e2e/test_a.py::test_x") != scope("tests/e2e/test_b.py::test_x")
    assert scope("tests/e2e/test_faults.py::test_x") == scope("libs/kit/tests/test_my_faults.py::y")
    assert scope("libs/kit/tests/test_a.py::test_x[1]") != scope("libs/kit/tests/test_a.py::test_y")


def test_groups_begin_early_the_largest_first_and_long_tests_are_never_last() -> None:
    groups = {name: [f"tests/e2e/test_{name}.py::{n}" for n in range(size)] for name, size in SIZES}
    single = [f"libs/kit/tests/test_a.py::{n}" for n in range(100)]
    long = ["services/orders/tests/test_worlds.py::a", "policy/tests/test_mutants.py::b"]
    given = [*groups["small"], *single, *groups["large"], *long]
    order = arranged(given)
    assert sorted(order) == sorted(given)
    assert order[: 1 + SIZES[1][1]] == [*groups["large"], long[0]]
    assert order.index(long[1]) < order.index(single[0])
    assert order.index(groups["small"][-1]) < 0.6 * len(order)
    assert [one for one in order if one in single] == single, "those of a file stay side by side"


def test_a_run_keeps_them_in_one_worker(tmp_path: Path) -> None:
    for name in ("tests/e2e/test_one.py", "libs/test_faults.py", "libs/test_other_faults.py"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(ONE_OF_TEN)
    plugins = ["-p", "bailiwick_testkit.plugin", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--import-mode=importlib", *plugins]
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    run = subprocess.run(  # noqa: S603 - our own
        [*command, "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    ran = (tmp_path / "workers").read_text().splitlines()
    assert len(ran) == 30
    assert len({line for line in ran if "one" in line}) == 1
    assert len({line.split()[1] for line in ran if "faults" in line}) == 1
