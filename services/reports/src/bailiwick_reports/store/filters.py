"""Narrows the cube: conditions by name, their values bound, so that one statement serves a shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bailiwick_reports.domain.sales import CANCELLED, FORMER, HOUSE, NOWHERE, OTHERS, Asked
from bailiwick_reports.store import tables
from bailiwick_reports.store.tables import customers, sales
from bailiwick_reports.store.visible_rows import MEMBER_ID, Rows, Sight


def asked_for(asked: Asked) -> Mapping[str, object]:
    """Return the names of the conditions that are asked for, each with the value that it binds.

    Words (`house`) are part of the name and bind nothing.
    """
    return dict(_asked(asked))


def of_country(rows: Rows) -> Rows:
    """Return the rows with their customers beside them, which have the country."""
    return rows.joined(
        customers,
        customers.c.org_id == sales.c.org_id,
        customers.c.customer_id == sales.c.customer_id,
    )


def conditions(
    names: frozenset[str], rows: Rows, sight: Sight | None
) -> Iterator[sa.ColumnElement[bool]]:
    """Yield the named conditions on rows that a caller may see; without a sight, nothing is folded.

    What is folded away is not found by asking for it either.
    """
    for name in sorted(names):
        yield _CONDITIONS[name]
    if sight is None:
        return
    if sight.hides_customers and names & _TELLING:
        yield rows.represented
    if _FORMER in names:
        yield sa.not_(rows.represented) if sight.hides_customers else sa.false()
    if sight.is_restricted:
        for name in sorted(names & {"author", "credited_to"}):
            yield _MEMBERS[name] == MEMBER_ID


def _asked(asked: Asked) -> Iterator[tuple[str, object]]:
    yield "states", [*asked.states, CANCELLED]
    for name in ("order_date_from", "order_date_to", "source", "customer", "country", "author"):
        yield from _named(name, getattr(asked, name))
    yield from _named("credited_to", asked.credited_to)
    yield from _named("currency", asked.currency)


def _named(name: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, UUID) or (value is not None and f"{name}={value}" not in _CONDITIONS):
        yield name, value
    elif value is not None:
        yield f"{name}={value}", None


def _equals(column: sa.Column[Any], name: str) -> sa.ColumnElement[bool]:
    return column == sa.bindparam(name, type_=column.type)


_FORMER = f"customer={FORMER}"
_TELLING = frozenset({"customer", "country", f"country={NOWHERE}"})
"""Being counted under these tells who a customer is, or where."""

_MEMBERS: Mapping[str, sa.Column[Any]] = {
    "author": sales.c.author_id,
    "credited_to": sales.c.credited_to,
}

_CONDITIONS: Mapping[str, sa.ColumnElement[bool]] = {
    "states": sales.c.state == sa.any_(sa.bindparam("states", type_=sa.ARRAY(sa.Text))),
    "order_date_from": sales.c.order_date >= sa.bindparam("order_date_from", type_=sa.Date),
    "order_date_to": sales.c.order_date <= sa.bindparam("order_date_to", type_=sa.Date),
    "source": _equals(sales.c.source, "source"),
    "customer": _equals(sales.c.customer_id, "customer"),
    _FORMER: sa.true(),
    "country": _equals(customers.c.country, "country"),
    f"country={NOWHERE}": customers.c.country.is_(None),
    "author": _equals(sales.c.author_id, "author"),
    f"author={OTHERS}": sales.c.author_id != MEMBER_ID,
    # How the house is kept is no member's id: whoever sends that finds nobody.
    "credited_to": sa.and_(
        _equals(sales.c.credited_to, "credited_to"), sales.c.credited_to != tables.HOUSE
    ),
    f"credited_to={HOUSE}": sales.c.credited_to == tables.HOUSE,
    f"credited_to={OTHERS}": sales.c.credited_to != MEMBER_ID,
    "currency": _equals(sales.c.currency, "currency"),
}
NEED_COUNTRY = frozenset({"country", f"country={NOWHERE}"})
"""The conditions that read the customer beside the row."""
