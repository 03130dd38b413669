"""Assignments: half-open, one main at any instant, and never both main and additional."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick_customers.domain.assignment import (
    Assignment,
    Origin,
    Relation,
    assign,
    takes_from_somebody,
)
from bailiwick_customers.domain.errors import AlreadyEnded, MainOverlap
from bailiwick_kit.clock import END_OF_TIME

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ORG, CUSTOMER, MANAGER = uuid4(), uuid4(), uuid4()
ANA, BRUNO = uuid4(), uuid4()


def an_assignment(
    member_id: UUID = ANA,
    relation: Relation = Relation.MAIN,
    valid_from: datetime = NOON,
    valid_to: datetime = END_OF_TIME,
) -> Assignment:
    return Assignment(
        org_id=ORG,
        assignment_id=uuid4(),
        customer_id=CUSTOMER,
        member_id=member_id,
        relation=relation,
        origin=Origin.DIRECT,
        valid_from=valid_from,
        valid_to=valid_to,
        created_by=MANAGER,
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


def test_new_main_replaces_the_present_one_at_the_same_instant() -> None:
    old, new = an_assignment(ANA), an_assignment(BRUNO, valid_from=NOON + HOUR)
    begun, ended = assign(new, [old])
    assert begun is new
    assert (ended.assignment_id, ended.valid_to) == (old.assignment_id, new.valid_from)
    assert (ended.version, ended.changeset_id) == (old.version + 1, new.changeset_id)
    assert takes_from_somebody([begun, ended])


def test_first_main_takes_from_nobody() -> None:
    assert not takes_from_somebody(assign(an_assignment(), []))


def test_one_ended_before_it_begins_never_holds_and_stands_in_nobodys_way() -> None:
    planned = an_assignment(BRUNO, valid_from=NOON + HOUR)
    cancelled = planned.ended_at(NOON, uuid4())
    assert not cancelled.overlaps(NOON, END_OF_TIME)
    new = an_assignment(ANA)
    assert assign(new, [cancelled]) == (new,)
    with pytest.raises(AlreadyEnded):
        cancelled.ended_at(NOON, uuid4())


def test_main_that_is_planned_is_not_overrun() -> None:
    planned = an_assignment(BRUNO, valid_from=NOON + HOUR)
    with pytest.raises(MainOverlap):
        assign(an_assignment(ANA), [planned])
    until_then = an_assignment(ANA, valid_to=NOON + HOUR)
    assert assign(until_then, [planned]) == (until_then,)


def test_additionals_stand_beside_the_main() -> None:
    main = an_assignment(ANA)
    additional = an_assignment(BRUNO, Relation.ADDITIONAL)
    assert assign(additional, [main]) == (additional,)


def test_nobody_is_main_and_additional_at_once() -> None:
    additional = an_assignment(ANA, Relation.ADDITIONAL)
    promoted = an_assignment(ANA, valid_from=NOON + HOUR)
    _, ended = assign(promoted, [additional])
    assert ended.valid_to == promoted.valid_from


def test_one_that_has_not_begun_when_it_is_ended_never_holds() -> None:
    planned = an_assignment(valid_from=NOON + HOUR)
    ended = planned.ended_at(NOON, uuid4())
    assert ended.valid_from == ended.valid_to
    assert not ended.holds_at(NOON + HOUR)


def test_one_that_is_over_cannot_be_ended() -> None:
    over = an_assignment(valid_to=NOON + HOUR)
    with pytest.raises(AlreadyEnded):
        over.ended_at(NOON + HOUR, uuid4())


HOURS = st.integers(0, 12)


@given(
    acts=st.lists(
        st.tuples(st.sampled_from([ANA, BRUNO, MANAGER]), st.sampled_from(Relation), HOURS, HOURS),
        max_size=12,
    )
)
def test_whatever_is_assigned_there_is_one_main_and_one_relation_each(
    acts: list[tuple[UUID, Relation, int, int]],
) -> None:
    held: dict[UUID, Assignment] = {}
    for member, relation, begins, lasts in acts:
        start = NOON + begins * HOUR
        new = replace(an_assignment(member, relation, start), valid_to=start + (lasts + 1) * HOUR)
        try:
            written = assign(new, held.values())
        except MainOverlap:
            continue
        held |= {one.assignment_id: one for one in written}
    for hour in range(26):
        now = [one for one in held.values() if one.holds_at(NOON + hour * HOUR)]
        for one, other in combinations(now, 2):
            assert not one.relation is other.relation is Relation.MAIN
            assert one.member_id != other.member_id
