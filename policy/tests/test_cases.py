"""The decision tables through the real engine and our client: what a service is told, and its lists."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from bailiwick_kit.policy.client import Decision, Policy
from bailiwick_testkit.policy.engine import includes
from bailiwick_testkit.policy.worlds import ENTITIES

POLICY = Path(__file__).parents[1]


def tables() -> dict[str, Any]:
    """Load all of `cases/` into one document, as `opa test` does."""
    found: dict[str, Any] = {}
    for file in sorted((POLICY / "cases").glob("*.yaml")):
        found |= yaml.safe_load(file.read_text())
    return found


TABLES = tables()
CAST = TABLES["cast"]
CASES = [(resource, case) for resource in ENTITIES for case in TABLES[resource]]
SCHEMA = json.loads((POLICY / "schemas" / "input.json").read_text())


def document(case: dict[str, Any]) -> dict[str, Any]:
    """Return the question that a case asks; cast.yaml says how."""
    defaults = CAST["defaults"]
    rows = {
        entity: defaults[entity] | case[entity] for entity in ENTITIES.values() if entity in case
    }
    return {
        "subject": defaults["subject"] | CAST["people"][case["who"]] | case.get("but", {}),
        "settings": defaults["settings"] | case.get("settings", {}),
        "action": case["does"],
        **rows,
    }


def answer(decision: Decision, *, about_a_row: bool) -> str:
    """Return what is answered, in the order of answers of domain §4."""
    if not decision.capable:
        return "refused"
    if not about_a_row:
        return "allowed"
    if not decision.visible:
        return "hidden"
    return "allowed" if decision.allow else "refused"


@pytest.fixture(scope="module")
async def policy(engine_url: str) -> AsyncIterator[Policy]:
    async with Policy(engine_url, deadline=5) as opened:
        yield opened


@pytest.mark.parametrize(
    ("resource", "case"), CASES, ids=[f"{resource}: {case['case']}" for resource, case in CASES]
)
async def test_decision_and_filter_are_as_the_table_says(
    resource: str, case: dict[str, Any], policy: Policy
) -> None:
    question = document(case)
    jsonschema.validate(question, SCHEMA)
    decision = await policy.decide(f"bailiwick/{resource}", question)
    about_a_row = any(entity in question for entity in ENTITIES.values())
    assert answer(decision, about_a_row=about_a_row) == case["answer"]
    assert list(decision.reasons) == case.get("because", [])

    entity = ENTITIES[resource]
    row = question.pop(entity, None)
    if row is not None:
        found = await policy.filter(f"bailiwick/{resource}", f"input.{entity}", question)
        assert includes(found.scope, entity, row) == decision.allow
        assert found.masks == decision.masks
