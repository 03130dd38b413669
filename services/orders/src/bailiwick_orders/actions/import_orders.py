"""Import orders: a batch of records from elsewhere, each made once however often it comes (D27)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

from uuid_utils.compat import uuid7

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_kit.clock import beginning
from bailiwick_kit.errors import Fault, Invalid, Refusal
from bailiwick_kit.imports.imported_rows import FIRST, Imported, Outcome, Taken, is_as_imported
from bailiwick_orders.domain.change import Change, FoundCustomer, Happening
from bailiwick_orders.domain.order import (
    Order,
    Source,
    State,
    check_amounts,
    check_currency,
    date_in,
    random_number,
)
from bailiwick_orders.domain.record import OrderRecord
from bailiwick_orders.rules.import_credit import credited, holders, mains
from bailiwick_orders.store.imports import ImportUnit, OpenImport

_TOLD_AS = {
    State.DRAFT: Happening.DRAFTED,
    State.PLACED: Happening.PLACED,
    State.CONFIRMED: Happening.CONFIRMED,
    State.FULFILLED: Happening.FULFILLED,
    State.CANCELLED: Happening.CANCELLED,
}

Dates: TypeAlias = tuple[datetime | None, date | None]
"""When an order was placed, and its date in the organization's zone."""


async def import_orders(
    open_import: OpenImport,
    gate: Gate,
    caller: Caller,
    source: str,
    records: Sequence[OrderRecord],
    *,
    update: bool = False,
) -> list[Imported]:
    """Create the orders that no earlier import from this source has made.

    The others stay as they are, unless `update`: then those whose rows have changed since become what these
    say now, but for what people have changed since, which is different. The state of the customer does not
    matter: what happened has happened. A fault says which record it is about by its place, from 0.

    Raises:
        Forbidden: the member who imports may not create orders for all, or name who is credited.
        Invalid: a record names a customer or a member that is not here, or has an instant to come, or now
            is another customer's or author's.
    """
    await gate.decide(caller, "orders", "create")
    await gate.decide(caller, "orders", "credit")
    dates = _all_checked(caller, records)
    async with open_import(caller.org_id, caller.now) as unit:
        known = dict(await unit.known(source, (record.external_ref for record in records)))
        before = await unit.before(source, known)
        outcomes = [
            Outcome.of_known(before.get(record.external_ref), record.digest, update=update)
            if record.external_ref in known
            else Outcome.CREATED
            for record in records
        ]
        taken = [
            (place, record)
            for place, record in enumerate(records)
            if outcomes[place] in {Outcome.CREATED, Outcome.UPDATED}
        ]
        made = await _all_made(unit, gate, caller, source, taken, dates)
        await unit.add([made[p] for p, _ in taken if outcomes[p] is Outcome.CREATED])
        changed = {p: known[one.external_ref] for p, one in taken if one.external_ref in known}
        versions = await _update(unit, {p: records[p] for p in changed}, changed, made, before)
        for place in changed.keys() - versions.keys():
            outcomes[place] = Outcome.DIFFERENT
        kept = {
            record.external_ref: Taken(record.digest, versions.get(place, FIRST))
            for place, record in taken
            if outcomes[place] is not Outcome.DIFFERENT
        }
        await unit.keep(source, kept)
    return [
        Imported(known.get(record.external_ref) or made[place][0].order_id, outcomes[place])
        for place, record in enumerate(records)
    ]


async def _all_made(
    unit: ImportUnit,
    gate: Gate,
    caller: Caller,
    source: str,
    records: Sequence[tuple[int, OrderRecord]],
    dates: Sequence[Dates],
) -> dict[int, tuple[Order, Change]]:
    """Return the order that each record says, by its place."""
    customers = await unit.customers(record.customer_id for _, record in records)
    _check_customers(records, customers)
    holding = await holders(unit, gate, caller, records)
    counting = await mains(unit, gate, caller, customers.values())
    numbers = await _numbers(unit, len(records))
    return {
        place: _made(
            caller,
            source,
            number,
            record,
            dates[place],
            customers[record.customer_id],
            holding,
            counting,
        )
        for number, (place, record) in zip(numbers, records, strict=True)
    }


async def _update(
    unit: ImportUnit,
    records: Mapping[int, OrderRecord],
    ids: Mapping[int, UUID],
    made: Mapping[int, tuple[Order, Change]],
    kept: Mapping[str, Taken],
) -> Mapping[int, int]:
    """Make orders what their rows say now, but for those that people have changed since.

    Returns the versions of those that it changed, by their places.
    """
    if not ids:
        return {}
    present = await unit.present(ids.values())
    faults: list[Fault] = []
    changed: dict[int, tuple[Order, Order, Change]] = {}
    for place, order_id in ids.items():
        (order, change), before = made[place], present[order_id]
        faults += [
            Fault(f"[{place}].{name}", "not-allowed", _STAYS)
            for name in ("customer_id", "author_id")
            if name in records[place].said and getattr(order, name) != getattr(before, name)
        ]
        if is_as_imported(kept.get(records[place].external_ref), before.version):
            after = _as_said(records[place], order, before)
            changed[place] = before, after, replace(change, happening=Happening.EDITED)
    if faults:
        raise Invalid(faults=faults)
    await unit.save(list(changed.values()))
    return {place: after.version for place, (_, after, _) in changed.items()}


_STAYS = (
    "An order stays its customer's and its author's: cancel it, and import it under another key."
)


def _as_said(record: OrderRecord, order: Order, before: Order) -> Order:
    """Return the order that is there as its row says it now; what the row says nothing of stays."""
    has_author = record.author_id is not None  # else it is whoever imported it first
    if order.placed_at is None and before.placed_at is not None:  # it was placed here, once (D22)
        order = replace(
            order,
            **{name: getattr(before, name) for name in _PLACING},
            listed_at=before.listed_at,
        )
    return replace(
        order,
        order_id=before.order_id,
        number=before.number,
        version=before.version + 1,
        customer_name=before.customer_name,
        author_id=before.author_id,
        author_keeps_view=order.author_keeps_view if has_author else before.author_keeps_view,
        state=order.state if _comes_after(record, before) else before.state,
        note=order.note if "note" in record.said else before.note,
        credited_to=before.credited_to
        if _is_credited(record, order, before)
        else order.credited_to,
        # A draft is listed when it was imported.
        listed_at=before.listed_at if order.placed_at is None else order.listed_at,
    )


_PLACING = ("placed_by", "placed_at", "order_date", "credited_to", "author_keeps_view")
_FROM_HERE = {
    State.DRAFT: frozenset(State),
    State.PLACED: frozenset({State.CONFIRMED, State.FULFILLED, State.CANCELLED}),
    State.CONFIRMED: frozenset({State.FULFILLED, State.CANCELLED}),
}
"""State → those that may follow. A row says what its source knows: what was done here since stands."""


def _comes_after(record: OrderRecord, before: Order) -> bool:
    """Tell whether the row's state is a later one than that of the order that is there."""
    is_said = "state" in record.said or before.placed_at is None
    return is_said and record.state in _FROM_HERE.get(before.state, frozenset())


def _is_credited(record: OrderRecord, order: Order, before: Order) -> bool:
    """Tell whether the credit that there is stays: it is never rewritten but by what the row says."""
    was_placed = before.placed_at is not None and order.placed_at is not None
    return was_placed and not record.names_credit and order.placed_by == before.placed_by


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
    holding: set[UUID],
    counting: set[UUID],
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
        credited_to=credited(record, found, placed_at, holding, counting),
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


async def _numbers(unit: ImportUnit, count: int) -> list[str]:
    numbers: set[str] = set()
    while len(numbers) < count:
        drawn = {random_number() for _ in range(count - len(numbers))}
        numbers |= drawn - await unit.taken(drawn)
    return list(numbers)
