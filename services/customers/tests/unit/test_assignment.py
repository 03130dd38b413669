"""Assignments are half-open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from bailiwick_customers.domain.assignment import Assignment, Origin, Relation
from bailiwick_kit.clock import END_OF_TIME

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def an_assignment(valid_from: datetime = NOON, valid_to: datetime = END_OF_TIME) -> Assignment:
    return Assignment(
        org_id=uuid4(),
        assignment_id=uuid4(),
        customer_id=uuid4(),
        member_id=uuid4(),
        relation=Relation.MAIN,
        origin=Origin.DIRECT,
        valid_from=valid_from,
        valid_to=valid_to,
        created_by=uuid4(),
        changeset_id=uuid4(),
    )


def test_assignment_holds_from_its_first_instant_until_before_its_last() -> None:
    held = an_assignment(valid_to=NOON + HOUR)
    just = timedelta(microseconds=1)
    assert not held.holds_at(NOON - just)
    assert held.holds_at(NOON)
    assert held.holds_at(NOON + HOUR - just)
    assert not held.holds_at(NOON + HOUR)


def test_one_that_ends_where_another_begins_does_not_overlap_it() -> None:
    first = an_assignment(valid_to=NOON + HOUR)
    assert not first.overlaps(NOON + HOUR, END_OF_TIME)
    assert first.overlaps(NOON + HOUR - timedelta(microseconds=1), END_OF_TIME)


def test_one_that_ends_where_it_begins_never_holds() -> None:
    cancelled = an_assignment(valid_to=NOON)
    assert not cancelled.holds_at(NOON)
    assert not cancelled.overlaps(NOON - HOUR, END_OF_TIME)
