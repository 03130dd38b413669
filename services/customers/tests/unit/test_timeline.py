"""Who represents a customer when: an act replaces its own time and nothing else; plans give theirs back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick_customers.domain.assignment import Assignment, Origin, Relation
from bailiwick_customers.domain.errors import AlreadyEnded, MainOverlap
from bailiwick_customers.domain.timeline import Outcome, assign, end, without_main

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LAST = 40
ANA, BRUNO, CARLA = UUID(int=1), UUID(int=2), UUID(int=3)
MAIN, ADDITIONAL = Relation.MAIN, Relation.ADDITIONAL


def at(hour: int) -> datetime:
    return NOON + hour * HOUR


def of(member: UUID, start: int, stop: int = LAST, relation: Relation = MAIN) -> Assignment:
    return Assignment(
        org_id=UUID(int=0),
        assignment_id=uuid4(),
        customer_id=UUID(int=9),
        member_id=member,
        relation=relation,
        origin=Origin.DIRECT,
        valid_from=at(start),
        valid_to=at(stop),
        created_by=UUID(int=8),
        changeset_id=uuid4(),
    )


Held: TypeAlias = dict[UUID, Assignment]
Sight: TypeAlias = tuple[UUID | None, frozenset[UUID]]


@dataclass
class Book:
    """A customer's assignments, as acts leave them."""

    held: Held = field(default_factory=dict)

    def assign(self, new: Assignment, now: int = 0) -> Outcome:
        return self._write(assign(new, self.held.values(), at(now), uuid4))

    def end(self, assignment_id: UUID, instant: int, now: int = 0) -> Outcome:
        ended = self.held[assignment_id]
        held = self.held.values()
        return self._write(end(ended, at(instant), held, at(now), uuid4(), uuid4))

    def _write(self, outcome: Outcome) -> Outcome:
        for one in outcome.written:
            before = self.held.get(one.assignment_id)
            assert one.version == (before.version + 1 if before else 1)
            if before:  # of what replicas have, only the end ever changes
                kept = replace(one, valid_to=before.valid_to, own_end=before.own_end)
                assert (
                    replace(kept, version=before.version, changeset_id=before.changeset_id)
                    == before
                )
        self.held |= {one.assignment_id: one for one in outcome.written}
        return outcome

    def seen(self, hour: int) -> Sight:
        now = [one for one in self.held.values() if one.holds_at(at(hour))]
        mains = [one.member_id for one in now if one.relation is MAIN]
        others = [one.member_id for one in now if one.relation is ADDITIONAL]
        for one, other in combinations(now, 2):
            assert one.member_id != other.member_id, "nobody is there twice"
        assert len(mains) <= 1
        return (mains[0] if mains else None), frozenset(others)

    def mains(self) -> str:
        names = {None: "-", ANA: "A", BRUNO: "B", CARLA: "C"}
        return "".join(names[self.seen(hour)[0]] for hour in range(10))


def a_book(*held: Assignment) -> Book:
    book = Book()
    for one in held:
        book.assign(one)
    return book


def test_a_new_main_has_their_time_and_the_other_the_rest() -> None:
    book = a_book(of(ANA, -5))
    outcome = book.assign(of(BRUNO, 3, 6))
    assert book.mains() == "AAABBBAAAA"
    assert (outcome.takes_at, outcome.without_main) == (at(3), ())


def test_a_cancelled_plan_gives_its_time_back() -> None:
    book, plan = a_book(of(ANA, -5)), of(BRUNO, 3)
    book.assign(plan)
    assert book.mains() == "AAABBBBBBB"
    book.end(plan.assignment_id, 1)
    assert book.mains() == "AAAAAAAAAA"
    with pytest.raises(AlreadyEnded):
        book.end(plan.assignment_id, 1)


def test_a_plan_that_becomes_additional_gives_its_time_back() -> None:
    book = a_book(of(ANA, -5), of(BRUNO, 3))
    outcome = book.assign(of(BRUNO, 0, LAST, ADDITIONAL))
    assert book.mains() == "AAAAAAAAAA"
    assert book.seen(5) == (ANA, frozenset({BRUNO}))
    assert outcome.without_main == ()


def test_a_plan_that_becomes_additional_for_a_while_gives_back_that_while() -> None:
    book = a_book(of(ANA, -5), of(BRUNO, 3))
    book.assign(of(BRUNO, 4, 6, ADDITIONAL))
    assert book.mains() == "AAABAABBBB"


def test_a_main_whose_own_end_it_was_gets_nothing_back() -> None:
    book, plan = a_book(of(ANA, -5, 3)), of(BRUNO, 3)
    book.assign(plan)
    book.end(plan.assignment_id, 1)
    assert book.mains() == "AAA-------"


def test_nobody_gets_more_back_than_they_had() -> None:
    bruno, carla = of(BRUNO, 3), of(CARLA, 4)
    book = a_book(of(ANA, -5, 6), bruno, carla)
    book.end(bruno.assignment_id, 1)
    assert book.mains() == "AAAACCCCCC"
    book.end(carla.assignment_id, 1)
    assert book.mains() == "AAAAAA----"


def test_who_stood_below_two_plans_gets_their_time_back() -> None:
    carla, bruno = of(CARLA, 5), of(BRUNO, 3, 5)
    book = a_book(of(ANA, -5), carla, bruno)
    assert book.mains() == "AAABBCCCCC"
    book.end(carla.assignment_id, 1)
    assert book.mains() == "AAABBAAAAA"
    book.end(bruno.assignment_id, 1)
    assert book.mains() == "AAAAAAAAAA"
    assert book.assign(of(CARLA, 1)).takes_at == at(1)


def test_a_shortened_plan_gives_back_what_is_cut_off() -> None:
    book, plan = a_book(of(ANA, -5)), of(BRUNO, 3)
    book.assign(plan)
    book.end(plan.assignment_id, 5)
    assert book.mains() == "AAABBAAAAA"


def test_whoever_is_ended_while_they_are_main_is_followed_by_nobody() -> None:
    ana, bruno = of(ANA, -5), of(BRUNO, 0)
    book = a_book(ana, bruno)
    outcome = book.end(bruno.assignment_id, 4, now=2)
    assert book.mains() == "BBBB------"
    assert outcome.without_main == ((at(4), at(LAST)),)


def test_an_only_main_that_becomes_additional_leaves_nobody_and_comes_back() -> None:
    book, additional = a_book(of(ANA, -5)), of(ANA, 3, LAST, ADDITIONAL)
    outcome = book.assign(additional)
    assert book.mains() == "AAA-------"
    assert outcome.without_main == ((at(3), at(LAST)),)
    carla = of(CARLA, 5)
    book.assign(carla)
    book.end(carla.assignment_id, 1)
    assert book.mains() == "AAA-------"
    book.end(additional.assignment_id, 1)
    assert book.mains() == "AAAAAAAAAA"


def test_a_former_main_who_was_to_stay_as_additional_is_main_again_without_the_plan() -> None:
    plan = of(BRUNO, 3)
    book = a_book(of(ANA, -5), plan, of(ANA, 3, LAST, ADDITIONAL))
    assert book.seen(4) == (BRUNO, frozenset({ANA}))
    book.end(plan.assignment_id, 1)
    assert book.mains() == "AAAAAAAAAA"
    assert book.seen(4) == (ANA, frozenset())


def test_an_additional_who_is_main_for_a_while_is_additional_again() -> None:
    book, plan = a_book(of(ANA, -5, LAST, ADDITIONAL)), of(ANA, 3, 5)
    book.assign(plan)
    assert [book.seen(hour)[1] for hour in (2, 4, 6)] == [{ANA}, set(), {ANA}]
    book.end(plan.assignment_id, 1)
    assert book.seen(4) == (None, frozenset({ANA}))


def test_who_was_made_additional_stays_so_when_their_plan_to_be_main_is_cancelled() -> None:
    book, plan = a_book(of(ANA, -5), of(ANA, 0, LAST, ADDITIONAL)), of(ANA, 3, 6)
    book.assign(plan)
    assert book.mains() == "---AAA----"
    book.end(plan.assignment_id, 1)
    assert [book.seen(hour) for hour in (2, 4, 7)] == [(None, frozenset({ANA}))] * 3


def test_a_plan_that_another_lies_over_does_not_come_back_from_under_it() -> None:
    book, again = a_book(of(BRUNO, 3), of(BRUNO, 0), of(ANA, 1)), of(ANA, 3)
    book.assign(again)
    assert book.mains() == "BAAAAAAAAA"
    book.end(again.assignment_id, 2, now=2)
    assert book.mains() == "BAAAAAAAAA"


def test_a_main_made_additional_is_not_main_below_their_own_plan() -> None:
    book = a_book(of(BRUNO, 0), of(BRUNO, 3))
    book.assign(of(BRUNO, 2, LAST, ADDITIONAL))
    assert book.mains() == "BB--------"


def test_a_plan_of_somebody_else_is_not_overrun() -> None:
    book = a_book(of(BRUNO, 3))
    with pytest.raises(MainOverlap):
        book.assign(of(ANA, 0))
    book.assign(of(ANA, 0, 3))
    book.assign(of(BRUNO, 2, 5))
    assert book.mains() == "AABBBBBBBB"


def test_time_without_main_is_told_in_whole_intervals() -> None:
    before = [of(ANA, 0, 4), of(BRUNO, 4, 8), of(CARLA, 9)]
    after = [of(CARLA, 2, 3), of(ANA, 6, 7, ADDITIONAL), of(CARLA, 10)]
    assert without_main(before, after) == ((at(0), at(2)), (at(3), at(8)), (at(9), at(10)))


Act: TypeAlias = tuple[Any, ...]
MEMBERS = st.sampled_from([ANA, BRUNO, CARLA])
HOURS = st.integers(0, 12)
ASSIGNED = st.tuples(st.just("assign"), MEMBERS, st.sampled_from(Relation), HOURS, HOURS)
ENDED = st.tuples(st.just("end"), st.integers(0, 30), HOURS)
ACTS = st.lists(ASSIGNED | ENDED, max_size=10)


def lived(acts: Iterable[Act]) -> tuple[Book, int]:
    """Return a book after acts, an hour after each other, and the hour that it is by then."""
    book, now = Book(), 0
    for kind, *rest in acts:
        now += 1
        try:
            if kind == "assign":
                member, relation, begins, lasts = rest
                start = now + begins
                book.assign(of(member, start, start + lasts + 1, relation), now)
            elif book.held:
                ids = list(book.held)
                book.end(ids[rest[0] % len(ids)], now + rest[1], now)
        except (MainOverlap, AlreadyEnded):
            continue
    return book, now


def sights(book: Book) -> list[Sight]:
    return [book.seen(hour) for hour in range(LAST)]


@given(acts=ACTS, member=MEMBERS, relation=st.sampled_from(Relation), begins=HOURS, lasts=HOURS)
def test_an_act_changes_its_own_time_and_nothing_else(
    acts: list[Act], member: UUID, relation: Relation, begins: int, lasts: int
) -> None:
    book, now = lived(acts)
    before = sights(book)
    start, stop = now + begins, now + begins + lasts + 1
    try:
        outcome = book.assign(of(member, start, stop, relation), now)
    except MainOverlap:
        assert sights(book) == before
        return
    after = sights(book)
    gone = set()
    for hour, (was, then) in enumerate(zip(before, after, strict=True)):
        if not start <= hour < stop:
            assert then == was
        elif relation is MAIN:
            assert then == (member, was[1] - {member})
        elif was[0] != member:
            assert then == (was[0], was[1] | {member})
        else:
            assert member in then[1]
            assert was[1] - {then[0]} == then[1] - {member}
        if was[0] and not then[0]:
            gone.add(hour)
    told = {hour for hour in range(LAST) for a, b in outcome.without_main if a <= at(hour) < b}
    assert gone == told


@given(
    acts=ACTS,
    member=MEMBERS,
    relation=st.sampled_from(Relation),
    begins=st.integers(1, 12),
    lasts=HOURS,
)
def test_a_plan_made_and_cancelled_leaves_everything_as_it_was(
    acts: list[Act], member: UUID, relation: Relation, begins: int, lasts: int
) -> None:
    book, now = lived(acts)
    before = sights(book)
    plan = of(member, now + begins, now + begins + lasts + 1, relation)
    try:
        book.assign(plan, now)
    except MainOverlap:
        return
    book.end(plan.assignment_id, now, now)
    assert sights(book) == before


@given(acts=ACTS, which=st.integers(0, 30), after=HOURS)
def test_ending_changes_nothing_outside_of_what_it_takes(
    acts: list[Act], which: int, after: int
) -> None:
    book, now = lived(acts)
    if not book.held:
        return
    ended = book.held[list(book.held)[which % len(book.held)]]
    before, instant = sights(book), max(at(now + after), ended.valid_from)
    try:
        book.end(ended.assignment_id, now + after, now)
    except AlreadyEnded:
        return
    for hour, (was, then) in enumerate(zip(before, sights(book), strict=True)):
        if not instant <= at(hour) < ended.valid_to:
            assert then == was
        elif ended.relation is MAIN and ended.valid_from <= at(now):
            assert then == (None, was[1])


def test_an_additional_plan_over_ones_own_plan_to_be_main_gives_its_time_back() -> None:
    book, plan = a_book(of(ANA, -5), of(BRUNO, 3)), of(BRUNO, 5, 7, ADDITIONAL)
    book.assign(plan)
    book.end(plan.assignment_id, 5)
    assert book.mains() == "AAABBBBBBB"


def test_ending_a_main_gives_nobody_else_anything() -> None:
    carla = of(CARLA, 2)
    book = a_book(of(BRUNO, 6, LAST, ADDITIONAL), of(BRUNO, 1), carla)
    book.end(carla.assignment_id, 3, now=3)
    assert book.seen(8) == (None, frozenset())


def test_a_plan_that_others_cover_whole_is_taken_away_and_does_not_come_back() -> None:
    hidden, bruno, carla = of(BRUNO, 6, LAST, ADDITIONAL), of(BRUNO, 1), of(CARLA, 2)
    book = a_book(hidden, bruno, carla)
    book.end(hidden.assignment_id, 0)
    assert book.mains() == "-BCCCCCCCC"
    with pytest.raises(AlreadyEnded):
        book.end(hidden.assignment_id, 0)
    book.end(carla.assignment_id, 0)
    assert book.mains() == "-BBBBBBBBB"
    book.end(bruno.assignment_id, 0)
    assert sights(book) == [(None, frozenset())] * LAST
