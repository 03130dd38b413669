"""Reason codes: one list, wherever it is written."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from bailiwick_access import authorizer
from bailiwick_contracts import generate
from bailiwick_contracts.reasons import Reason

ROOT = generate.ROOT.parent
IN_ORDER = [reason.value for reason in Reason]
OF_POLICY = IN_ORDER[: IN_ORDER.index("account-inactive") + 1]
"""The others are given by actions."""


def _codes_in(page: str) -> list[str]:
    table = (ROOT / page).read_text("utf-8").split("## ")[1]
    return re.findall(r"^\| `([a-z-]+)` \|", table, flags=re.MULTILINE)


def test_rego_has_the_same_codes_in_the_same_order() -> None:
    data = yaml.safe_load((ROOT / "policy/bailiwick/reasons/data.yaml").read_text("utf-8"))
    assert data["precedence"] == IN_ORDER, (
        "contracts/reasons.py and policy/bailiwick/reasons differ"
    )
    assert set(data["by_relation_state"].values()) <= set(IN_ORDER)


def test_no_rule_gives_a_code_that_is_not_listed() -> None:
    given = {
        code
        for file in (ROOT / "policy/bailiwick").rglob("*.rego")
        if not file.stem.endswith("_test")
        for code in _quoted_reasons(file)
    }
    assert given <= set(OF_POLICY), f"add {given - set(OF_POLICY)} to contracts/reasons.py"


def _quoted_reasons(file: Path) -> set[str]:
    if file.stem != "reasons":
        return set()
    return set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', file.read_text("utf-8")))


def test_the_page_for_people_has_the_same_codes_in_the_same_order() -> None:
    assert _codes_in("docs/reasons.md") == IN_ORDER, "describe each code in docs/reasons.md"


def test_every_code_of_policy_tells_people_what_to_do() -> None:
    assert authorizer._WHAT_TO_DO.keys() == set(OF_POLICY), (
        "access.authorizer says what to do about each"
    )


def test_glossary_knows_what_a_reason_is() -> None:
    assert re.search(r"^\| reason \|", (ROOT / "GLOSSARY.md").read_text("utf-8"), re.MULTILINE)
