"""How a member stands to a customer at an instant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from bailiwick_orders.domain.representation import ADDITIONAL, MAIN, Assignment, Representation

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
ANA, BRUNO, EVA = uuid4(), uuid4(), uuid4()


def assigned(
    who: UUID,
    relation: str = MAIN,
    start: int = -1,
    end: int = 1,
    *,
    seq: int = 1,
) -> Assignment:
    hour = timedelta(hours=1)
    return Assignment(who, relation, NOW + start * hour, NOW + end * hour, seq)


def at_now(*assignments: Assignment) -> Representation:
    return Representation(assignments, NOW)


@pytest.mark.parametrize(
    ("start", "end", "state", "main"),
    [
        (-1, 1, "current", True),
        (0, 1, "current", True),
        (-1, 0, "ended", False),
        (1, 2, "future", False),
        (-1, -1, "none", False),
    ],
)
def test_an_interval_holds_from_its_first_instant_until_before_its_last(
    start: int, end: int, state: str, *, main: bool
) -> None:
    facts = at_now(assigned(ANA, start=start, end=end)).facts(ANA)
    assert facts == {"main": main, "additional": False, "cover": False, "relation_state": state}


def test_what_ended_counts_before_what_is_planned() -> None:
    both = at_now(assigned(ANA, start=1, end=2), assigned(ANA, start=-2, end=-1))
    assert both.facts(ANA)["relation_state"] == "ended"
    assert both.facts(BRUNO)["relation_state"] == "none"


def test_main_and_additionals_are_those_of_the_instant() -> None:
    seen = at_now(
        assigned(ANA, end=0, seq=3),
        assigned(BRUNO, start=0, seq=4),
        assigned(EVA, ADDITIONAL, seq=2),
        assigned(ANA, ADDITIONAL, start=1, end=2),
    )
    assert (seen.main_id, seen.additional_ids, seen.seq) == (BRUNO, (EVA,), 4)
    assert seen.seen_from(NOW - timedelta(seconds=1)).main_id == ANA


def test_nobody_represents_a_customer_without_assignments() -> None:
    assert (at_now().main_id, at_now().additional_ids, at_now().seq) == (None, (), 0)
