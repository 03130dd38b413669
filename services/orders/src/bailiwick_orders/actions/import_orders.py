"""Import orders: a batch of records from elsewhere, each made once however often it comes (D27)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

from uuid_utils.compat import uuid7

from bailiwick_access.caller import Caller
from bailiwick_access.gate import Gate
from bailiwick_access.representatives import counts_as_one
from bailiwick_kit.clock import beginning
from bailiwick_kit.errors import Fault, Invalid, Refusal
from bailiwick_orders.actions.credit import earns
from bailiwick_orders.actions.import_ports import Imported, ImportUnit, OpenImport
from bailiwick_orders.actions.ports import Change, FoundCustomer, Happening
from bailiwick_orders.domain.order import (
    Line,
    Order,
    Source,
    State,
    check_amounts,
    check_currency,
    date_in,
    random_number,
)
from bailiwick_orders.domain.representation import MAIN

_TOLD_AS = {
    State.DRAFT: Happening.DRAFTED,
    State.PLACED: Happening.PLACED,
    State.CONFIRMED: Happening.CONFIRMED,
    State.FULFILLED: Happening.FULFILLED,
    State.CANCELLED: Happening.CANCELLED,
}

Dates: TypeAlias = tuple[datetime | None, date | None]
"""When an order was placed, and its date in the organization's zone."""

_IN_FORCE = {"status": "active", "expired": False}


@dataclass(frozen=True)
class OrderRecord:
    """An order as its source has it.

    Without an author it is the importing member's. `names_credit` says that `credited_to` was given,
    if only as the house. What has been placed says when, by `placed_at` or `order_date`.
    """

    external_ref: str
    customer_id: UUID
    author_id: UUID | None
    placed_by: UUID | None
    credited_to: UUID | None
    names_credit: bool
    state: State
    order_date: date | None
    placed_at: datetime | None
    listed_at: datetime | None
    currency: str | None
    lines: tuple[Line, ...]
    priced_in: str
    note: str | None

    @property
    def members(self) -> set[UUID]:
        """Every member that it names."""
        return {one for one in (self.author_id, self.placed_by, self.credited_to) if one}

    @property
    def placer_id(self) -> UUID | None:
        """Who placed it: as said, else its author."""
        return self.placed_by or self.author_id


async def import_orders(
    open_import: OpenImport,
    gate: Gate,
    caller: Caller,
    source: str,
    records: Sequence[OrderRecord],
) -> list[Imported]:
    """Create the orders that no earlier import from this source has made; the others stay as they are.

    The state of the customer does not matter: what happened has happened. A fault says which record it
    is about by its place, from 0.

    Raises:
        Forbidden: the member who imports may not create orders for all, or name who is credited.
        Invalid: a record names a customer or a member that is not here, or has an instant to come.
    """
    await gate.decide(caller, "orders", "create")
    await gate.decide(caller, "orders", "credit")
    dates = _all_checked(caller, records)
    async with open_import(caller.org_id, caller.now) as unit:
        known = dict(await unit.known(source, (record.external_ref for record in records)))
        new = {
            record.external_ref: (place, record)
            for place, record in enumerate(records)
            if record.external_ref not in known
        }
        customers = await unit.customers(record.customer_id for _, record in new.values())
        _check_customers(new.values(), customers)
        holders = await _holders(unit, gate, caller, new.values())
        mains = await _mains(unit, gate, caller, customers.values())
        numbers = await _numbers(unit, len(new))
        made = [
            _made(
                caller,
                source,
                number,
                record,
                dates[place],
                customers[record.customer_id],
                holders,
                mains,
            )
            for number, (place, record) in zip(numbers, new.values(), strict=True)
        ]
        await unit.add(made)
    ids = dict(zip(new, (order.order_id for order, _ in made), strict=True))
    return [
        Imported(known.get(ref) or ids[ref], created=ref not in known)
        for ref in (record.external_ref for record in records)
    ]


def _all_checked(caller: Caller, records: Sequence[OrderRecord]) -> list[Dates]:
    """Return the dates of each record; a refusal has the faults of all."""
    dates, faults = [], []
    for place, record in enumerate(records):
        currency = record.currency or caller.currency
        try:
            dates.append(checked(record, currency, caller.time_zone, caller.now))
        except Refusal as refusal:
            faults += [
                Fault(f"[{place}].{one.where}", one.code, one.message) for one in refusal.faults
            ]
    if faults:
        raise Invalid(faults=faults)
    return dates


def _made(
    caller: Caller,
    source: str,
    number: str,
    record: OrderRecord,
    dates: Dates,
    found: FoundCustomer,
    holders: set[UUID],
    mains: set[UUID],
) -> tuple[Order, Change]:
    placed_at, order_date = dates
    author_id = record.author_id or caller.member_id
    placed_by = record.placer_id if placed_at else None
    order = Order(
        org_id=caller.org_id,
        order_id=uuid7(),
        number=number,
        customer_id=record.customer_id,
        customer_name=found.customer.name,
        author_id=author_id,
        source=Source.IMPORT,
        currency=record.currency or caller.currency,
        lines=record.lines,
        listed_at=listed(record.listed_at or placed_at or caller.now, order_date, caller.time_zone),
        note=record.note,
        state=record.state,
        placed_by=placed_by,
        placed_at=placed_at,
        order_date=order_date,
        credited_to=_credit(record, found, placed_at, holders, mains),
        author_keeps_view=placed_at is not None
        and (
            placed_by == author_id
            or found.representation.seen_from(placed_at).is_representative(author_id)
        ),
        imported=True,
        import_source=source,
        external_ref=record.external_ref,
    )
    change = Change(_TOLD_AS[record.state], caller.member_id, caller.now, found.representation)
    return order, change


def checked(record: OrderRecord, currency: str, time_zone: str, now: datetime) -> Dates:
    """Return when it was placed, and its date in the organization's zone; refuse what cannot be so.

    All that can be told from the record alone, so that files are checked by the same rule.

    Raises:
        Invalid: its state, dates and members do not go together, or an instant is to come.
    """
    check_currency(currency, record.priced_in)
    check_amounts(record.lines)
    placed_at, day = _dated(record, time_zone, now)
    if placed_at is None:
        for name in ("placed_by", "credited_to"):
            if getattr(record, name) is not None:
                raise _wrong(name, "not-allowed", "It was never placed: leave this out.")
    return placed_at, day


def _dated(record: OrderRecord, time_zone: str, now: datetime) -> Dates:
    placed_at, day = record.placed_at, record.order_date
    if placed_at is None and day is not None:
        placed_at = beginning(day, ZoneInfo(time_zone))
    elif placed_at is not None and day is None:
        day = date_in(time_zone, placed_at)
    if record.state is State.DRAFT and placed_at is not None:
        raise _wrong("order_date", "not-allowed", "A draft has no date: leave it out.")
    if placed_at is None and record.state not in {State.DRAFT, State.CANCELLED}:
        raise _wrong("order_date", "missing", "Say when the order was placed.")
    for name, instant in (("placed_at", placed_at), ("listed_at", record.listed_at)):
        if instant is not None and instant > now:
            raise _wrong(name, "in-the-future", "Choose an instant that has passed.")
    if day is not None and day > date_in(time_zone, now):
        raise _wrong("order_date", "in-the-future", "Choose a day that has come.")
    # A source may date by another zone, and an order before it was put in; never days after.
    if placed_at and day and day > date_in(time_zone, placed_at) + timedelta(days=1):
        raise _wrong("order_date", "after-placing", "Choose the day on which it was placed.")
    return placed_at, day


def listed(made_at: datetime, order_date: date | None, time_zone: str) -> datetime:
    """Return where a list has an order that says it was made at an instant: not days after its own date.

    Lists up to a day rely on it. Records that were put into their source later say when that was.
    """
    if order_date is None or made_at.astimezone(UTC).date() - timedelta(days=1) <= order_date:
        return made_at
    return beginning(order_date, ZoneInfo(time_zone))


def _credit(
    record: OrderRecord,
    found: FoundCustomer,
    placed_at: datetime | None,
    holders: set[UUID],
    mains: set[UUID],
) -> UUID | None:
    """Return who is credited: as said; else who placed it, or the main of that instant (domain §3).

    `mains` are the members whose assignments count.
    """
    if placed_at is None or record.names_credit:
        return record.credited_to
    if record.placer_id in holders:
        return record.placer_id
    main_id = found.representation.seen_from(placed_at).main_id
    return main_id if main_id in mains else None


def _wrong(where: str, code: str, message: str) -> Invalid:
    return Invalid(faults=(Fault(where, code, message),))


def _check_customers(
    records: Iterable[tuple[int, OrderRecord]], known: Mapping[UUID, FoundCustomer]
) -> None:
    message = "Import this customer first."
    faults = [
        Fault(f"[{place}].customer_id", "unknown-customer", message)
        for place, record in records
        if record.customer_id not in known
    ]
    if faults:
        raise Invalid(faults=faults)


async def _holders(
    unit: ImportUnit, gate: Gate, caller: Caller, records: Iterable[tuple[int, OrderRecord]]
) -> set[UUID]:
    """Return those of the named members whose own orders are their own credit.

    Asked as if they were active: who has left keeps the credit for what they sold.
    """
    listed = list(records)
    named: set[UUID] = set().union(*(record.members for _, record in listed))
    subjects = await unit.subjects(named)
    message = "Name a member of the organization: import members first."
    faults = [
        Fault(f"[{place}].{name}", "unknown-member", message)
        for place, record in listed
        for name in ("author_id", "placed_by", "credited_to")
        if (member_id := getattr(record, name)) and member_id not in subjects
    ]
    storefronts = {one for one, subject in subjects.items() if subject["kind"] == "service"}
    message = "Credit a person: a storefront has none."
    faults += [
        Fault(f"[{place}].credited_to", "not-allowed", message)
        for place, record in listed
        if record.credited_to in storefronts
    ]
    if faults:
        raise Invalid(faults=faults)
    return {
        member_id
        for member_id, subject in subjects.items()
        if await earns(gate, caller, {**subject, **_IN_FORCE})
    }


async def _mains(
    unit: ImportUnit, gate: Gate, caller: Caller, customers: Iterable[FoundCustomer]
) -> set[UUID]:
    """Return those of the customers' mains, of any time, whose assignments count; asked likewise."""
    ever = {
        one.member_id
        for found in customers
        for one in found.representation.assignments
        if one.relation == MAIN
    }
    return {
        member_id
        for member_id, subject in (await unit.subjects(ever)).items()
        if await counts_as_one(gate, caller, {**subject, **_IN_FORCE})
    }


async def _numbers(unit: ImportUnit, count: int) -> list[str]:
    numbers: set[str] = set()
    while len(numbers) < count:
        drawn = {random_number() for _ in range(count - len(numbers))}
        numbers |= drawn - await unit.taken(drawn)
    return list(numbers)
