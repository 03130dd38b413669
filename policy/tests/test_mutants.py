"""Every small change to the policy turns a case red: conditions dropped, flipped, sets widened, rules deleted.

BAILIWICK_MUTANTS says how many to try (`all`: every one), BAILIWICK_SEED which.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from bailiwick_local.servers.opa import program

POLICY = Path(__file__).parents[1]
WANTED = os.environ.get("BAILIWICK_MUTANTS", "16")
CAUGHT = 0.95
EVERY_ACTION = (
    "{"
    '"view", "lookup", "create", "edit", "edit_terms", "approve", "assign", "place", "cancel", "confirm"'
    "}"
)

# A line of a rule's body that says nothing but a condition.
_CONDITION = re.compile(r"^\t[^\s#\"}].*[^{(\[,]$")
_RULE = re.compile(r"^(default )?[a-z_]+(\(.*\))?( if | contains | := |$)")
_FLIPS = (
    (" == true", " == false"),
    (" == ", " != "),
    (" != ", " == "),
    ("not ", ""),
    (" if not ", " if "),
    (" > 0", " >= 0"),
    ("input.order.", "input.ordr."),
    ("input.customer.", "input.custmer."),
    ('_reaches("portfolio")', '_reaches("all")'),
    ('_reaches("own_drafts")', '_reaches("own")'),
)
_CELLS = ((": portfolio", ": all"), (": own_drafts", ": own"), (": own,", ": all,"))


@dataclass(frozen=True)
class Mutant:
    """A file of the policy with one thing changed."""

    file: str
    line: int
    what: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.file}:{self.line} {self.what}"


def mutants() -> list[Mutant]:
    rules = [
        file
        for file in sorted(POLICY.glob("bailiwick/*/*.rego"))
        if not file.stem.endswith("_test")
    ]
    found = [mutant for file in rules for mutant in of_rules(file)]
    return found + list(of_matrix(POLICY / "bailiwick" / "capabilities" / "data.yaml"))


def of_rules(file: Path) -> Iterator[Mutant]:
    lines = file.read_text().splitlines()
    name = str(file.relative_to(POLICY))
    for at, line in enumerate(lines):
        if line.startswith(("#", "import", "package")):
            continue
        if _CONDITION.match(line) and ":=" not in line and not line.startswith("\tsome "):
            yield changed(name, lines, at, "dropped", [])
        for old, new in _FLIPS:
            if old in line and "METADATA" not in line:
                yield changed(
                    name, lines, at, f"{old.strip()} → {new.strip()}", [line.replace(old, new, 1)]
                )
        if re.search(r"in \{.*\}", line):
            wider = re.sub(r"in \{.*\}", f"in {EVERY_ACTION}", line)
            yield changed(name, lines, at, "widened", [wider])
        if _RULE.match(line):
            yield changed(name, lines, at, "deleted", [], through=end_of(lines, at))


def of_matrix(file: Path) -> Iterator[Mutant]:
    lines = file.read_text().splitlines()
    name = str(file.relative_to(POLICY))
    for at, line in enumerate(lines):
        if line.lstrip().startswith("#"):
            continue
        for old, new in _CELLS:
            if old in line:
                yield changed(name, lines, at, f"{old} → {new}", [line.replace(old, new, 1)])
        for cell in re.findall(r"[a-z_]+: (?:all|portfolio|own|own_drafts)\b,? ?", line):
            shorter = line.replace(cell, "", 1).replace(", }", "}")
            yield changed(name, lines, at, f"without {cell.strip(', ')}", [shorter])


def changed(
    name: str, lines: list[str], at: int, what: str, instead: list[str], through: int | None = None
) -> Mutant:
    rest = lines[(at if through is None else through) + 1 :]
    text = "\n".join([*lines[:at], *instead, *rest]) + "\n"
    return Mutant(name, at + 1, f"{what}: {lines[at].strip()}", text)


def end_of(lines: list[str], at: int) -> int:
    """Return the last line of the rule that begins at a line."""
    if lines[at].endswith(("{", "(", "[")):
        while not lines[at].startswith(("}", ")", "]")):
            at += 1
    return at


def survives(opa: str, folder: Path, mutant: Mutant) -> bool | None:
    """Tell whether all cases still pass; None where what came out is no policy at all."""
    shutil.copytree(POLICY, folder, ignore=shutil.ignore_patterns("tests", "schemas"))
    (folder / mutant.file).write_text(mutant.text)

    def passes(*arguments: str) -> bool:
        done = subprocess.run([opa, *arguments, "."], cwd=folder, capture_output=True, check=False)  # noqa: S603
        return done.returncode == 0

    if not passes("check"):
        return None
    return passes("test")


def test_a_changed_policy_is_caught(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    opa = program()
    assert opa, "install OPA: go install github.com/open-policy-agent/opa@v1.22.2"
    seed = int(os.environ.get("BAILIWICK_SEED", random.randrange(2**32)))  # noqa: S311 - draws cases
    every = mutants()
    some = random.Random(seed).sample(every, len(every))  # noqa: S311 - likewise
    some = some if WANTED == "all" else some[: int(WANTED)]
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(
            pool.map(lambda each: survives(opa, tmp_path / str(each[0]), each[1]), enumerate(some))
        )
    alive = [mutant for mutant, outcome in zip(some, outcomes, strict=True) if outcome]
    judged = [outcome for outcome in outcomes if outcome is not None]
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{len(judged) - len(alive)} of {len(judged)} mutants caught, of {len(every)} possible;"
            f" {len(outcomes) - len(judged)} did not compile; BAILIWICK_SEED={seed}"
        )
    assert judged
    survivors = "\n".join(mutant.name for mutant in alive)
    assert len(alive) <= (1 - CAUGHT) * len(judged), survivors
