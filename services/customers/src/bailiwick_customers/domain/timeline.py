"""Who represents a customer when: an act replaces [from, to) of that and nothing else (domain §3).

Assignments lie over each other in the order in which they were made, each from its beginning until it
would end by itself; who represents the customer at an instant is what the uppermost say. So a plan that is
taken away gives its time back to what lies below it. An assignment's beginning is fixed: of one that others
cover, what was before stays, and what comes after goes on as an assignment of its own, in the same layer.
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
    A plan for a main that is made additional gives its time back, for as long as they are additional.

    Raises:
        MainOverlap: another main is planned to begin within the new one's time.
    """
    timeline = _Timeline(existing, now, new.changeset_id, new_id)
    new = timeline.on_top(new)
    for old in timeline.replaced(new):
        is_own = old.member_id == new.member_id
        if not is_own and old.valid_from >= new.valid_from:
            raise MainOverlap(
                "End the planned assignment first, or choose an end before it begins."
            )
    if new.relation is Relation.ADDITIONAL:
        if any(_is_planned_main(old, now) for old in timeline.replaced(new)):
            new = replace(new, took_plans_after=now)
        timeline.put(new)
        new = replace(new, took_main_until=timeline.is_main_until(new))
    timeline.put(new)
    timeline.settle(new.valid_from, new.valid_to)
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
    is_plan = assignment.valid_from > now  # taken away even where others cover all of it
    if (assignment.would_end if is_plan else assignment.valid_to) <= start:
        raise AlreadyEnded("Read the customer's assignments again.")
    until = assignment.would_end
    timeline.cut(assignment, start)
    if not is_plan:
        for one in (assignment, *timeline.forget(_followers(assignment), start, until)):
            timeline.forget(_kept_out(one), start, assignment.valid_to)
    timeline.settle(start, assignment.valid_to)
    return timeline.outcome()


def _is_planned_main(one: Assignment, now: datetime) -> bool:
    return one.relation is Relation.MAIN and one.valid_from > now


Choice: TypeAlias = Callable[[Assignment], bool]


def _followers(ended: Assignment) -> Choice:
    """Return what lies below one that ends, and would follow it."""

    def follows(one: Assignment) -> bool:
        is_next_main = ended.relation is Relation.MAIN is one.relation
        return one.lies_at < ended.lies_at and (is_next_main or one.member_id == ended.member_id)

    return follows


def _kept_out(ended: Assignment) -> Choice:
    """Return what makes the member additional, where one that ends makes them main."""
    of_main = ended.relation is Relation.MAIN
    return lambda one: (
        of_main
        and (one.member_id, one.relation)
        == (
            ended.member_id,
            Relation.ADDITIONAL,
        )
    )


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

    def on_top(self, new: Assignment) -> Assignment:
        """Return a new one that lies over all others, even if another machine's clock goes ahead."""
        top = max((one.lies_at for one in self._held.values()), default=new.assignment_id)
        return new if top <= new.assignment_id else replace(new, layer=UUID(int=top.int + 1))

    def replaced(self, new: Assignment) -> list[Assignment]:
        """Return what is valid at some instant of a new one's time, and may not be beside it."""
        return [
            one
            for one in self._held.values()
            if one.overlaps(new.valid_from, new.valid_to) and exclude_each_other(one, new)
        ]

    def cut(self, old: Assignment, start: datetime) -> None:
        """Take what is from `start` on away from an assignment for good."""
        self.put(replace(old, valid_to=min(old.valid_to, start), own_end=start))
        # where others cover it, nobody is additional who would have been main
        self.forget(_kept_out(old), max(old.valid_to, start), old.would_end)

    def forget(self, chosen: Choice, start: datetime, end: datetime) -> list[Assignment]:
        """Let what others cover in [start, end) end where it is covered: it is not to come back."""
        forgotten = []
        for one in list(self._held.values()):
            covered = max(start, one.valid_to), min(end, one.would_end)
            if chosen(one) and covered[0] < covered[1]:
                self.put(replace(one, own_end=covered[0]))
                forgotten.append(one)
        return forgotten

    def is_main_until(self, new: Assignment) -> datetime | None:
        """Return until when the member of a new one is main below it; None where they are not."""
        bounds = pairwise(self._bounds(new.valid_from, new.valid_to))
        return max(
            (end for start, end in bounds if new not in self._uppermost(start)), default=None
        )

    def settle(self, start: datetime, end: datetime) -> None:
        """Make valid in [start, end) what the uppermost layers say, and nothing else."""
        if end <= start:
            return
        parts: dict[UUID, list[Interval]] = {}
        for one in self._held.values():
            outside = (
                (one.valid_from, min(one.valid_to, start)),
                (max(one.valid_from, end), one.valid_to),
            )
            parts[one.assignment_id] = [part for part in outside if part[0] < part[1]]
        for begin, until in pairwise(self._bounds(start, end)):
            for one in self._uppermost(begin):
                parts[one.assignment_id].append((begin, until))
        for one in list(self._held.values()):
            self._divide(one, list(_joined(sorted(parts[one.assignment_id]))))
        self._reunite()

    def _bounds(self, start: datetime, end: datetime) -> list[datetime]:
        """Return the instants of [start, end] between which nothing begins or ends."""
        held = self._held.values()
        instants = {at for one in held for at in (one.valid_from, one.would_end)}
        instants |= {one.took_main_until for one in held if one.took_main_until}
        return sorted({start, end} | {at for at in instants if start < at < end})

    def _uppermost(self, instant: datetime) -> list[Assignment]:
        """Return what is valid at an instant: no two mains, and nobody twice."""
        mains: list[Assignment] = []
        others: dict[UUID, Assignment] = {}
        for one in sorted(self._held.values(), key=lambda one: one.lies_at):
            if not one.may_hold_at(instant):
                continue
            if one.relation is Relation.MAIN:
                mains.append(one)
                others.pop(one.member_id, None)
                continue
            while mains and _gives_way(mains[-1], one):
                mains.pop()
                if mains:
                    others.pop(mains[-1].member_id, None)
            if not mains or mains[-1].member_id != one.member_id:
                others[one.member_id] = one
            elif one.took_main_until and instant < one.took_main_until:
                mains, others[one.member_id] = [], one
            # else they are main again, since a plan over them was taken away
        return [*others.values(), *mains[-1:]]

    def _divide(self, one: Assignment, parts: list[Interval]) -> None:
        """Make it valid in these parts of its time, the first of them if it begins with it."""
        begins = bool(parts) and parts[0][0] == one.valid_from
        valid_to = parts.pop(0)[1] if begins else one.valid_from
        ends = [start for start, _ in parts] + [one.would_end]
        if (valid_to, ends[0]) != (one.valid_to, one.would_end):
            self.put(replace(one, valid_to=valid_to, own_end=ends[0]))
        for (start, end), own_end in zip(parts, ends[1:], strict=True):
            self._piece(one, start, end, own_end)

    def _reunite(self) -> None:
        """Make one of what was cut in two, where nothing is between any more."""
        plans = [one for one in self._held.values() if one.valid_from > self._now]
        for plan in sorted(plans, key=lambda one: one.valid_from, reverse=True):
            right = self._held[plan.assignment_id]
            for left in list(self._held.values()):
                is_cut = left.lies_at == right.lies_at and left.valid_from < left.valid_to
                if is_cut and left.valid_to == right.valid_from < right.valid_to:
                    self.put(replace(right, valid_to=right.valid_from, own_end=right.valid_from))
                    self.put(replace(left, valid_to=right.valid_to, own_end=right.would_end))

    def _piece(self, of: Assignment, start: datetime, end: datetime, own_end: datetime) -> None:
        piece = replace(
            of,
            assignment_id=self._new_id(),
            valid_from=start,
            valid_to=end,
            own_end=own_end,
            layer=of.lies_at,
            version=1,
        )
        self.put(piece)

    def outcome(self) -> Outcome:
        """Return what came of it."""
        written = []
        for one in self._held.values():
            before = self._before.get(one.assignment_id)
            version = before.version + 1 if before else 1
            is_needless = before is None and one.would_end <= one.valid_from
            if one != before and not is_needless:
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


def _gives_way(main: Assignment, additional: Assignment) -> bool:
    """Tell whether a main was a plan when their member was made additional: so others are main meanwhile."""
    since = additional.took_plans_after
    is_own = main.member_id == additional.member_id
    return is_own and since is not None and _is_planned_main(main, since)


def exclude_each_other(one: Assignment, other: Assignment) -> bool:
    """Tell whether two may not hold at once: two mains (V1), or two relations of one member."""
    both_main = one.relation is Relation.MAIN and other.relation is Relation.MAIN
    return both_main or one.member_id == other.member_id
