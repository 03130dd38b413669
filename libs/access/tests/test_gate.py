"""The gate gives policy's answers in the one order, and never more than it was told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from structlog.testing import capture_logs
from typing_extensions import override

from bailiwick_access.authorizer import QUESTIONS, Gate, none_of_theirs
from bailiwick_access.caller import Caller
from bailiwick_contracts.identity import Settings
from bailiwick_kit.errors import Forbidden, Missing
from bailiwick_kit.policy.client import Decision, Filter, Policy
from bailiwick_kit.policy.scope import All, Compare, Everybody, Nobody, Scope, Where
from bailiwick_testkit.checkout import CHECKOUT
from bailiwick_testkit.checks.metric_values import rise_of
from bailiwick_testkit.servers.real import Opa


@dataclass
class Told(Policy):
    """A policy that says what it is told to, and remembers what it was asked."""

    decision: Decision = field(
        default_factory=lambda: Decision(capable=False, visible=False, allow=False)
    )
    scope: Scope = field(default_factory=Nobody)
    asked: list[Mapping[str, object]] = field(default_factory=list)

    @override
    async def decide(self, package: str, document: Mapping[str, object]) -> Decision:
        self.asked.append(document)
        return self.decision

    @override
    async def filter(self, package: str, unknown: str, document: Mapping[str, object]) -> Filter:
        self.asked.append(document)
        return Filter(self.scope)


@pytest.fixture
def caller() -> Caller:
    return Caller(
        org_id=uuid4(),
        member_id=uuid4(),
        account_id=uuid4(),
        name="Ana",
        settings=Settings(),
        time_zone="UTC",
        currency="EUR",
        now=datetime(2026, 1, 15, tzinfo=UTC),
        subject={"org_id": "o"},
    )


INCAPABLE = Decision(capable=False, visible=False, allow=False, reasons=("capability-missing",))
INVISIBLE = Decision(capable=True, visible=False, allow=False, reasons=("not-assigned",))
REFUSED = Decision(capable=True, visible=True, allow=False, reasons=("not-own-draft",))
ALLOWED = Decision(capable=True, visible=True, allow=True)
ROW = {"org_id": "o"}


async def test_an_incapable_caller_is_forbidden_whatever_the_row(caller: Caller) -> None:
    for row in (ROW, None):
        with pytest.raises(Forbidden) as refusal:
            await Gate(Told(INCAPABLE)).decide(caller, "orders", "view", order=row)
        assert refusal.value.reasons == ("capability-missing",)


@pytest.mark.parametrize(
    ("decision", "row"), [(INCAPABLE, ROW), (INVISIBLE, ROW), (INVISIBLE, None), (REFUSED, ROW)]
)
async def test_a_refusal_is_logged_with_its_reasons_and_the_decisions_id(
    caller: Caller, decision: Decision, row: Mapping[str, object] | None
) -> None:
    for decision_id, told in (("d1", {"decision_id": "d1"}), ("", {})):
        gate = Gate(Told(replace(decision, id=decision_id)))
        with capture_logs() as lines, pytest.raises((Forbidden, Missing)):
            await gate.decide(caller, "orders", "edit", order=row)
        assert lines == [
            {
                "event": "policy.refused",
                "log_level": "info",
                "resource": "orders",
                "action": "edit",
                "reasons": list(decision.reasons),
                **told,
            }
        ]


async def test_what_is_allowed_or_only_asked_is_no_refusal(caller: Caller) -> None:
    with capture_logs() as lines:
        await Gate(Told(ALLOWED)).decide(caller, "orders", "view", order=ROW)
        await Gate(Told(INVISIBLE)).decide(caller, "orders", "create")
        assert not await Gate(Told(REFUSED)).may(caller, "orders", "view", order=ROW)
        with pytest.raises(Forbidden):
            await Gate(Told(INCAPABLE)).scope(caller, "orders")
    assert [line["reasons"] for line in lines] == [["capability-missing"]]


async def test_decisions_are_counted_by_package_and_outcome(caller: Caller) -> None:
    allowed, denied = (
        rise_of("bailiwick_policy_decisions_total", package="bailiwick/deliveries", outcome=outcome)
        for outcome in ("allowed", "denied")
    )

    def counted() -> tuple[float, float]:
        return allowed(), denied()

    async def asked(decision: Decision, scope: Scope | None = None) -> None:
        gate = Gate(Told(decision, scope or Nobody()))
        with capture_logs(), suppress(Forbidden, Missing):
            if scope is None:
                await gate.decide(caller, "deliveries", "view", delivery=ROW)
            else:
                await gate.scope(caller, "deliveries")

    await asked(ALLOWED)
    assert counted() == (1, 0)
    await asked(INVISIBLE)
    await asked(INCAPABLE)
    assert counted() == (1, 2)
    await asked(ALLOWED, Everybody())
    await asked(ALLOWED, Nobody())  # nothing to see, and nothing refused
    assert counted() == (3, 2)
    await asked(INCAPABLE, Nobody())
    assert counted() == (3, 3)
    assert await Gate(Told(ALLOWED)).may(caller, "deliveries", "view", delivery=ROW)
    assert not await Gate(Told(REFUSED)).may(caller, "deliveries", "view", delivery=ROW)
    assert counted() == (4, 4)
    assert await Gate(Told(INVISIBLE)).is_capable(caller, {}, "deliveries", "view")
    assert not await Gate(Told(INCAPABLE)).is_capable(caller, {}, "deliveries", "view")
    assert counted() == (5, 5)


async def test_an_invisible_row_is_missing_and_says_no_reason(caller: Caller) -> None:
    with pytest.raises(Missing) as invisible:
        await Gate(Told(INVISIBLE)).decide(caller, "orders", "view", order=ROW)
    with pytest.raises(Missing) as absent:
        await Gate(Told(INVISIBLE)).decide(caller, "orders", "view", order=None)
    assert (invisible.value.reasons, invisible.value.detail) == ((), "")
    assert str(invisible.value) == str(absent.value)


async def test_a_row_that_is_not_there_is_missing_even_if_policy_would_allow(
    caller: Caller,
) -> None:
    with pytest.raises(Missing):
        await Gate(Told(ALLOWED)).decide(caller, "orders", "view", order=None)


async def test_a_visible_row_that_may_not_be_changed_is_forbidden_with_its_reasons(
    caller: Caller,
) -> None:
    with pytest.raises(Forbidden) as refusal:
        await Gate(Told(REFUSED)).decide(caller, "orders", "edit", order=ROW)
    assert refusal.value.reasons == ("not-own-draft",)
    assert refusal.value.detail


async def test_what_needs_no_row_needs_the_capability_only(caller: Caller) -> None:
    capable = Decision(capable=True, visible=False, allow=False, reasons=("not-assigned",))
    assert (await Gate(Told(capable)).decide(caller, "customers", "create")).capable


async def test_an_empty_scope_is_forbidden_without_the_capability_and_empty_with_it(
    caller: Caller,
) -> None:
    with pytest.raises(Forbidden):
        await Gate(Told(INCAPABLE)).scope(caller, "orders")
    assert (await Gate(Told(INVISIBLE)).scope(caller, "orders")).scope == Nobody()


@pytest.mark.parametrize(
    ("scope", "restricted"),
    [
        (Everybody(), False),
        (Where(Compare("customer.org_id", "eq", "o")), False),
        (
            Where(
                All((Compare("customer.org_id", "eq", "o"), Compare("customer.main", "eq", True)))
            ),
            True,
        ),
    ],
)
async def test_restricted_is_whose_sight_depends_on_how_they_stand_to_a_row(
    caller: Caller,
    scope: Scope,
    restricted: bool,
) -> None:
    assert await Gate(Told(scope=scope)).is_restricted(caller, "customers") is restricted


def test_a_made_up_row_has_every_fact_that_policy_reads_of_one(caller: Caller) -> None:
    """One fact less, and policy gives no answer for a row that does not exist."""
    schema = json.loads((CHECKOUT / "policy/schemas/input.json").read_text())
    rows = set(schema["properties"]) - {"subject", "settings", "action"}
    assert len(rows) > 5
    for name in rows:
        facts = none_of_theirs(caller, name)
        assert facts.keys() == set(schema["properties"][name]["required"]), name


async def test_policy_is_told_the_subject_that_the_server_built(caller: Caller) -> None:
    told = Told(ALLOWED)
    await Gate(told).decide(caller, "orders", "view", order=ROW)
    [document] = told.asked
    assert document["subject"] is caller.subject
    assert document["action"] == "view"
    assert document["order"] == ROW


async def test_questions_before_a_service_is_ready_are_of_every_resource_and_have_answers(
    opa: Opa,
) -> None:
    rules = (CHECKOUT / "policy" / "bailiwick").glob("*/*.rego")
    packages = {
        f"bailiwick/{file.parent.name}" for file in rules if "default include" in file.read_text()
    }
    assert packages == {question.package for question in QUESTIONS}
    async with Policy(opa.url, deadline=5) as policy:
        for question in QUESTIONS:
            await policy.answer(question)
            found = await policy.filter(
                question.package, f"input.{question.row}", question.document
            )
            assert isinstance(found.scope, Where | Nobody)
