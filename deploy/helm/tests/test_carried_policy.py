"""The policy that the chart carries is the one in `policy/`, and the log's mask knows its questions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bailiwick_policy import bundle
from bailiwick_policy import chart as carried
from bailiwick_testkit.checkout import read
from bailiwick_testkit.checks.chart import ran


def test_mask_knows_the_facts_of_a_question_and_no_more(opa_program: str) -> None:
    schema = json.loads(read(Path("policy/schemas/input.json")))
    facts = {
        part: sorted(one["properties"])
        for part, one in schema["properties"].items()
        if "properties" in one
    }
    mask = "bailiwick/files/decision_log_mask.rego"
    done = ran([opa_program, "eval", "--data", mask, "--format", "raw", "data.system.log._known"])
    assert {part: sorted(known) for part, known in json.loads(done.stdout).items()} == facts


def test_chart_carries_the_policy_as_it_is() -> None:
    assert not carried.drift(), "run ./bailiwick contracts"


@pytest.mark.parametrize("harm", ["rule", "revision", "another file", "no bundle"])
def test_policy_that_differs_is_found(tmp_path: Path, harm: str) -> None:
    files = bundle.contents()
    if harm == "rule":
        files |= {"/bailiwick/orders/orders.rego": b"package bailiwick.orders\n"}
    (tmp_path / carried.BUNDLE).write_bytes(bundle.packed(files))
    (tmp_path / carried.REVISION).write_text(f"{bundle.revision()}\n")
    assert bool(carried.drift(tmp_path)) is (harm == "rule")
    if harm == "revision":
        (tmp_path / carried.REVISION).write_text("000000000000\n")
    if harm == "another file":
        (tmp_path / "old.tar.gz").touch()
    if harm == "no bundle":
        (tmp_path / carried.BUNDLE).unlink()
    assert carried.drift(tmp_path)
