"""Who represents a customer when: an act replaces [from, to) of that and nothing else (domain §3).

An assignment's beginning is fixed, so what is cut out of one leaves up to two: what was before stays, what
comes after goes on as an assignment of its own. Each remembers its own end, however early another act made
it stop: a plan that is taken away gives its time back to whoever would have had it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import TypeAlias
from uuid import UUID

from bailiwick_customers.domain.assignment import Assignment, Relation
from bailiwick_customers.domain.errors import AlreadyEnded, MainOverlap

Interval: TypeAlias = tuple[datetime, datetime]
"""[from, to)."""


@dataclass(frozen=True)
class Outcome:
    """What an act comes to: the assignments it writes, and what it takes.

    `takes_at` is the first instant at which somebody loses something, None where nobody does.
    `without_main` is when nobody is main who would otherwise be.
    """

    written: tuple[Assignment, ...]
    takes_at: datetime | None
    without_main: tuple[Interval, ...]


def assign(
    new: Assignment, existing: Iterable[Assignment], now: datetime, new_id: Callable[[], UUID]
) -> Outcome:
    """Return what assigning comes to: `new` holds, beside what of the others it does not replace.

    A main replaces the main of that time, and whoever is assigned their own other relation: nobody is both.
    A plan for a main that is made additional gives its time back.

    Raises:
        MainOverlap: another main is planned to begin within the new one's time.
    """
    timeline = _Timeline(existing, now, new.changeset_id, new_id)
    replaced = [one for one in timeline.overlapping(new) if _exclude_each_other(one, new)]
    for old in replaced:
        is_own = old.member_id == new.member_id
        if not is_own and old.valid_from >= new.valid_from:
            raise MainOverlap(
                "End the planned assignment first, or choose an end before it begins."
            )
        is_demoted = old.relation is Relation.MAIN and new.relation is Relation.ADDITIONAL
        timeline.cut(old, new.valid_from, new.valid_to, for_good=is_demoted)
        if is_demoted and old.valid_from <= now:
            new = replace(new, took_main_until=min(old.valid_to, new.valid_to))
    timeline.put(new)
    for old in replaced:
        is_demoted = old.relation is Relation.MAIN and new.relation is Relation.ADDITIONAL
        if is_demoted and old.valid_from > now:
            timeline.give_back_main(*_overlap(old, new), but_not=new.member_id)
    return timeline.outcome()


def end(
    assignment: Assignment,
    instant: datetime,
    existing: Iterable[Assignment],
    now: datetime,
    changeset_id: UUID,
    new_id: Callable[[], UUID],
) -> Outcome:
    """Return what ending one at an instant comes to: nobody follows, but a plan gives its time back.

    Raises:
        AlreadyEnded: it is over by then, or was ended before it began.
    """
    timeline = _Timeline(existing, now, changeset_id, new_id)
    start = max(instant, assignment.valid_from)
    if assignment.valid_to <= start:
        raise AlreadyEnded("Read the customer's assignments again.")
    timeline.put(replace(assignment, valid_to=start, own_end=start))
    if assignment.valid_from > now:
        if assignment.relation is Relation.MAIN:
            timeline.give_back_main(start, assignment.valid_to)
        elif assignment.took_main_until is not None:
            until = min(assignment.valid_to, assignment.took_main_until)
            timeline.make_main_again(assignment, start, until)
        timeline.give_back_own(assignment, start, assignment.valid_to)
    else:
        timeline.forget_own(assignment, start)
    return timeline.outcome()


class _Timeline:
    """A customer's assignments while an act changes them."""

    def __init__(
        self,
        existing: Iterable[Assignment],
        now: datetime,
        changeset_id: UUID,
        new_id: Callable[[], UUID],
    ) -> None:
        self._before = {one.assignment_id: one for one in existing}
        self._held = dict(self._before)
        self._now = now
        self._changeset_id = changeset_id
        self._new_id = new_id

    def put(self, assignment: Assignment) -> None:
        """Have it in this state."""
        self._held[assignment.assignment_id] = assignment

    def overlapping(self, other: Assignment) -> list[Assignment]:
        """Return what is valid at some instant of the other's time."""
        return [
            one
            for one in self._held.values()
            if one.assignment_id != other.assignment_id
            and one.overlaps(other.valid_from, other.valid_to)
        ]

    def cut(
        self, old: Assignment, start: datetime, end: datetime, *, for_good: bool = False
    ) -> None:
        """Take [start, end) out of an assignment; what comes after goes on.

        For another, which gives it back if it is a plan that is taken away; or for good.
        """
        start = max(start, old.valid_from)
        has_rest = old.valid_to > end
        own_end = start if for_good else end if has_rest else old.would_end
        self.put(replace(old, valid_to=start, own_end=own_end))
        if has_rest:
            self._piece(old, end, old.valid_to)

    def give_back_main(
        self, start: datetime, end: datetime, *, but_not: UUID | None = None
    ) -> None:
        """Make main in [start, end) who would be, had the plan for that time not been made."""

        def is_heir(one: Assignment) -> bool:
            return one.relation is Relation.MAIN and one.member_id != but_not

        self._give_back(is_heir, start, end)

    def make_main_again(self, lost: Assignment, start: datetime, end: datetime) -> None:
        """Let a member who was planned to be additional instead of main go on as main."""
        for one in list(self._held.values()):
            is_theirs = one.member_id == lost.member_id and one.relation is Relation.MAIN
            if is_theirs and one.valid_from < one.valid_to == lost.valid_from:
                for begin, until in pairwise(self._bounds(start, end)):
                    goes_on = replace(self._held[one.assignment_id], own_end=end)
                    self._extend(goes_on, begin, until)

    def forget_own(self, ended: Assignment, start: datetime) -> None:
        """Drop the member's earlier plans, which the one that ends had replaced, from its end on."""
        for one in list(self._held.values()):
            is_replaced = one.member_id == ended.member_id and one.valid_from == one.valid_to
            if is_replaced and one.valid_from < ended.valid_to and start < one.would_end:
                self.put(replace(one, own_end=max(one.valid_from, start)))

    def give_back_own(self, lost: Assignment, start: datetime, end: datetime) -> None:
        """Let a member whose plan is taken away be additional, where they would be without it."""

        def is_heir(one: Assignment) -> bool:
            return one.member_id == lost.member_id and one.relation is Relation.ADDITIONAL

        self._give_back(is_heir, start, end)

    def _give_back(
        self, is_heir: Callable[[Assignment], bool], start: datetime, end: datetime
    ) -> None:
        for begin, until in pairwise(self._bounds(start, end)):
            heirs = [
                one
                for one in self._held.values()
                if is_heir(one)
                and one.valid_from <= begin < one.would_end
                and max(one.valid_from, one.valid_to) > self._now
            ]
            if heirs:
                # Who begins later was planned over whoever began before.
                heir = max(heirs, key=lambda one: (one.valid_from, one.assignment_id))
                self._extend(heir, begin, until)

    def _bounds(self, start: datetime, end: datetime) -> list[datetime]:
        """Return the instants of [start, end] between which nothing begins or ends."""
        held = self._held.values()
        instants = {at for one in held for at in (one.valid_from, one.valid_to, one.would_end)}
        return sorted({start, end} | {at for at in instants if start < at < end})

    def _extend(self, heir: Assignment, start: datetime, end: datetime) -> None:
        """Let the heir have [start, end), unless it is somebody else's by now."""
        wanted = replace(heir, valid_from=start, valid_to=end)
        rivals = [one for one in self.overlapping(wanted) if _exclude_each_other(one, wanted)]
        if heir.holds_at(start) or not all(self._gives_way(one, heir) for one in rivals):
            return
        if heir.valid_to == start:
            heir = replace(heir, valid_to=end, own_end=heir.would_end)
            self.put(heir)
        else:  # somebody else is between
            left = self._held[heir.assignment_id]
            self.put(replace(left, own_end=min(left.would_end, start)))
            heir = self._piece(heir, start, end)
        for one in rivals:
            self.cut(one, start, end)
        self._join(heir)

    @staticmethod
    def _gives_way(one: Assignment, heir: Assignment) -> bool:
        """Whoever is main again is not additional too, even where that was planned beside the plan."""
        both = one.member_id == heir.member_id
        return both and heir.relation is Relation.MAIN and one.relation is Relation.ADDITIONAL

    def _join(self, left: Assignment) -> None:
        """Make one of two assignments where the same goes on at once in the other."""
        for one in list(self._held.values()):
            same = (one.member_id, one.relation) == (left.member_id, left.relation)
            if same and left.valid_to == one.valid_from < one.valid_to:
                self.put(replace(one, valid_to=one.valid_from, own_end=one.valid_from))
                own_end = max(left.would_end, one.would_end)
                self.put(replace(left, valid_to=one.valid_to, own_end=own_end))
                return

    def _piece(self, of: Assignment, start: datetime, end: datetime) -> Assignment:
        piece = replace(
            of,
            assignment_id=self._new_id(),
            valid_from=start,
            valid_to=end,
            own_end=of.would_end,
            version=1,
        )
        self.put(piece)
        return piece

    def outcome(self) -> Outcome:
        """Return what came of it."""
        written = []
        for one in self._held.values():
            before = self._before.get(one.assignment_id)
            version = before.version + 1 if before else 1
            if one != before:
                written.append(replace(one, version=version, changeset_id=self._changeset_id))
        losses = [
            one.valid_to
            for one in written
            if (before := self._before.get(one.assignment_id)) and one.valid_to < before.valid_to
        ]
        without = without_main(self._before.values(), self._held.values())
        return Outcome(tuple(written), min(losses, default=None), without)


def without_main(before: Iterable[Assignment], after: Iterable[Assignment]) -> tuple[Interval, ...]:
    """Return the time in which somebody was main before and nobody is after, in order and joined."""
    had, has = ([one for one in some if one.relation is Relation.MAIN] for some in (before, after))
    instants = sorted({at for one in (*had, *has) for at in (one.valid_from, one.valid_to)})
    return tuple(
        _joined(
            (start, end)
            for start, end in pairwise(instants)
            if any(one.holds_at(start) for one in had)
            and not any(one.holds_at(start) for one in has)
        )
    )


def _joined(intervals: Iterable[Interval]) -> Iterator[Interval]:
    last: Interval | None = None
    for start, end in intervals:
        if last and last[1] == start:
            last = (last[0], end)
            continue
        if last:
            yield last
        last = (start, end)
    if last:
        yield last


def _exclude_each_other(one: Assignment, other: Assignment) -> bool:
    """Tell whether two may not hold at once: two mains (V1), or two relations of one member."""
    both_main = one.relation is Relation.MAIN and other.relation is Relation.MAIN
    return both_main or one.member_id == other.member_id


def _overlap(one: Assignment, other: Assignment) -> Interval:
    return max(one.valid_from, other.valid_from), min(one.valid_to, other.valid_to)
