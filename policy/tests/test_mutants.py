"""Small changes to the policy turn a test red: a condition dropped or flipped, a set widened, a rule gone.

BAILIWICK_MUTANTS says how many to try (`all`: every one), BAILIWICK_SEED which.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path, PurePath
from typing import Any

import hypothesis
import pytest

from bailiwick_launcher.servers.opa import program
from bailiwick_testkit.policy.oracle import Oracle, World
from bailiwick_testkit.policy.worlds import CALLERS, questions, world_of, worlds

POLICY = Path(__file__).parents[1]
WANTED = os.environ.get("BAILIWICK_MUTANTS", "16")
EVERY_ACTION = (
    "{"
    '"view", "lookup", "create", "edit", "edit_terms", "approve", "assign", "place", "cancel", "confirm",'
    '"watch", "team"'
    "}"
)

_JUDGE = """package judge

bundles := {"tested": {"manifest": {"revision": "tested"}}}

wrong := count([1 | some question in data.asked; not _is_right(question)])

_is_right(question) if {
    decision := data.bailiwick[question.resource].decision
        with input as question.document
        with data.system.bundles as bundles
    [decision.capable, decision.visible, decision.allow, decision.reasons] == question.answer
}
"""

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
    ("input.delivery.", "input.delivry."),
    ("input.preference.", "input.prefrence."),
    ('"portfolio"', '"all"'),
    ('"own_drafts"', '"own"'),
    ('"own"', '"all"'),
)
_CELLS = (
    (": portfolio", ": all"),
    (": own_drafts", ": own"),
    (": own,", ": all,"),
    (": own}", ": all}"),
)


# Changes that change nothing, each for a reason; they are not tried.
EQUAL = {
    # include tests the capability itself; that allow names it too is for readers (D9).
    ("*/*.rego", "dropped: capable"),
    # An additional representative views all orders anyway; this keeps the filter short.
    ("orders/include.rego", 'dropped: input.action != "view"'),
    # Representatives view and place in every state anyway, and do nothing else; likewise.
    ("orders/include.rego", 'dropped: input.action in {"edit", "cancel"}'),
    ("orders/include.rego", 'widened: input.action in {"edit", "cancel"}'),
    # Whoever sees all mails sees their own; this keeps the filter short.
    ("deliveries/deliveries.rego", 'dropped: not "all" in _reach'),
}


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


def mutants(policy: Path) -> list[Mutant]:
    rules = [
        file
        for file in sorted(policy.glob("bailiwick/*/*.rego"))
        if not file.stem.endswith("_test")
    ]
    found = [mutant for file in rules for mutant in of_rules(file, policy)]
    found = [mutant for mutant in found if not is_equal(mutant)]
    return found + list(of_matrix(policy / "bailiwick" / "capabilities" / "data.yaml", policy))


def is_equal(mutant: Mutant) -> bool:
    path = PurePath(mutant.file)
    return any(path.match(pattern) and mutant.what == what for pattern, what in EQUAL)


def of_rules(file: Path, policy: Path) -> Iterator[Mutant]:
    lines = file.read_text().splitlines()
    name = str(file.relative_to(policy))
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


def of_matrix(file: Path, policy: Path) -> Iterator[Mutant]:
    lines = file.read_text().splitlines()
    name = str(file.relative_to(policy))
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


def asked() -> list[dict[str, Any]]:
    """Return questions with the oracle's answers: every kind of caller, and a few random worlds."""
    drawn = [world_of(caller) for caller in CALLERS]

    @hypothesis.settings(max_examples=8, derandomize=True, database=None, deadline=None)
    @hypothesis.given(worlds())
    def draw(world: World) -> None:
        drawn.append(world)

    draw()
    return [
        {
            "resource": question.resource,
            "document": question.document(world),
            "answer": astuple(
                Oracle(world).answer(
                    question.member, question.resource, question.action, question.row
                )
            ),
        }
        for world in drawn
        for question in questions(world)
    ]


def survives(opa: str, folder: Path, mutant: Mutant | None) -> bool | None:
    """Tell whether cases and oracle still agree; None where what came out is no policy at all."""
    shutil.copytree(folder.parent / "policy", folder)
    if mutant:
        (folder / mutant.file).write_text(mutant.text)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own OPA
            [opa, *arguments], cwd=folder, capture_output=True, text=True, check=False
        )

    if run("check", ".").returncode:
        return None
    if run("test", ".", "--timeout", "2m").returncode:
        return False
    judged = run("eval", "-d", ".", "-d", "../judge", "--format", "raw", "data.judge.wrong")
    return judged.stdout.strip() == "0"


@pytest.fixture
def workshop(tmp_path: Path) -> Path:
    """A copy of the policy as it is now, and what judges its mutants."""
    outside = shutil.ignore_patterns("tests", "schemas")
    shutil.copytree(POLICY, tmp_path / "policy", ignore=outside)
    (tmp_path / "judge").mkdir()
    (tmp_path / "judge" / "judge.rego").write_text(_JUDGE)
    (tmp_path / "judge" / "data.json").write_text(json.dumps({"asked": asked()}))
    return tmp_path


def test_a_changed_policy_is_caught(workshop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    opa = program()
    assert opa, "install OPA: go install github.com/open-policy-agent/opa@v1.22.2"
    assert survives(opa, workshop / "unchanged", None), "the policy itself passes"
    seed = int(os.environ.get("BAILIWICK_SEED", random.randrange(2**32)))  # noqa: S311 - draws cases
    every = mutants(workshop / "policy")
    some = random.Random(seed).sample(every, len(every))  # noqa: S311 - likewise
    some = some if WANTED == "all" else some[: int(WANTED)]
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(
            pool.map(lambda each: survives(opa, workshop / str(each[0]), each[1]), enumerate(some))
        )
    alive = [mutant for mutant, outcome in zip(some, outcomes, strict=True) if outcome]
    judged = [outcome for outcome in outcomes if outcome is not None]
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{len(judged) - len(alive)} of {len(judged)} mutants caught, of {len(every)} possible;"
            f" {len(outcomes) - len(judged)} were no policy; BAILIWICK_SEED={seed}",
            *(mutant.name for mutant in alive),
            sep="\n  alive: ",
        )
    assert judged
    assert not alive, (
        "add a case that only the right policy passes; or say in EQUAL why there is none"
    )
