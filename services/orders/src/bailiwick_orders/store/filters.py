"""Narrows lists of orders: conditions by name, their values bound, so that one statement serves a shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import sqlalchemy as sa

from bailiwick_access.visibility import Listed
from bailiwick_kit.policy.scope import Scope
from bailiwick_kit.text.search import after
from bailiwick_orders.domain.views import Filters
from bailiwick_orders.store.customer_names import FREQUENT, NUMBER, RARE, shown
from bailiwick_orders.store.rows import searched_number
from bailiwick_orders.store.tables import LISTED_WITHIN, customers, orders

_REPRESENTING = ("main", "additional")
_OTHERS_WROTE, _OTHERS_SOLD = "author_id=others", "credited_to=others"
_FORMER, _REPRESENTED, _NOTHING = "customer_id=former", "represented", "nothing"


def asked(filters: Filters) -> Mapping[str, Mapping[str, object]]:
    """Return the names of the conditions that are asked for, and what each of them binds."""
    found = dict(_asked(filters))
    if filters.hides_customers and filters.tells_of_customers:
        # A masked customer must not be found out by asking for it.
        found[_REPRESENTED] = {}
    if _FORMER in found and not filters.hides_customers:
        found[_NOTHING] = {}
    return found


def narrowed(
    rows: sa.Select[Any], names: AbstractSet[str], listed: Listed, scope: Scope
) -> sa.Select[Any]:
    """Narrow what `listed.rows(scope)` selects by the named conditions, all at once."""
    facts = (rows.selected_columns[f"fact_{fact}"] for fact in _REPRESENTING)
    is_represented = sa.or_(*(fact.element for fact in facts))
    if _NOTHING in names:
        return rows.where(sa.false())
    if _REPRESENTED in names:
        rows = rows.having(is_represented)
    is_of_portfolio = listed.reads_visibility(scope)
    if is_of_portfolio and _OTHERS_WROTE in names:
        rows = rows.where(listed.stands_in_none_of(("author",)))
    if is_of_portfolio and _OTHERS_SOLD in names:
        rows = rows.where(_sold_by_others(listed.visibility))
    if is_of_portfolio and _FORMER in names:
        rows = rows.where(listed.stands_in_none_of(_REPRESENTING))
    elif _FORMER in names:
        rows = rows.having(sa.not_(is_represented))
    if "order_date_to" in names:
        # What came in up to a day was listed by then: what is newer need not be read. `orders` has a check.
        rows = rows.where(listed.listed_at(scope) < _listed_by(_date("order_date_to")))
    conditions = {**_CONDITIONS, **_TEXTS}
    return rows.where(*(condition for name, condition in conditions.items() if name in names))


def begins(text: str) -> Mapping[str, object]:
    """Return what binds the ranges of numbers, and of former numbers in whichever case, that begin so."""
    cases = {"number": text.upper(), "as_sent": text, "former_number": searched_number(text)}
    return cases | {f"{name}_end": after(first) for name, first in cases.items()}


def _asked(filters: Filters) -> Iterator[tuple[str, Mapping[str, object]]]:
    for name, value in vars(filters).items():
        word = f"{name}={value}"
        if word in _WORDS:
            yield word, {}
        elif name in _CONDITIONS and value not in {None, ()}:
            yield name, {name: value}


def _begins(column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[bool]:
    # A range, and not LIKE: no index serves LIKE under row-level security (ADR 29).
    first, end = (sa.bindparam(one, type_=sa.Text) for one in (name, f"{name}_end"))
    return sa.and_(column >= first, column < end)


def _sold_by_others(visible: sa.Table) -> sa.ColumnElement[bool]:
    # Once more, from the index of the key alone: most orders of a portfolio are one's own, and not read.
    sold = orders.alias("sold")
    return sa.exists().where(
        sold.c.org_id == visible.c.org_id,
        sold.c.order_id == visible.c.order_id,
        sold.c.order_date.is_not(None),
        sold.c.credited_to.is_distinct_from(_ME),
    )


def _equals(name: str) -> sa.ColumnElement[bool]:
    column = orders.c[name]
    return column == sa.bindparam(name, type_=column.type)


def _date(name: str) -> sa.BindParameter[Any]:
    return sa.bindparam(name, type_=sa.Date)


def _listed_by(day: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the instant before which orders of the day are listed, in whichever zone it is their date."""
    return sa.func.timezone("UTC", sa.cast(day + LISTED_WITHIN, sa.DateTime))


def _lies_in(country: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    # EXISTS and not a join: the order stays its own only row, so that the one level of grouping and the
    # order of the index are left as they are, and a page still ends at its limit.
    return sa.exists().where(
        customers.c.org_id == orders.c.org_id,
        customers.c.customer_id == orders.c.customer_id,
        country,
    )


_PLACED = orders.c.order_date.is_not(None)
_ME = sa.bindparam("member_id", type_=sa.Uuid)

_CONDITIONS: Mapping[str, sa.ColumnElement[bool]] = {
    **{
        name: _equals(name)
        for name in (
            *("customer_id", "currency", "source"),
            *("author_id", "placed_by", "credited_to"),
        )
    },
    "country": _lies_in(customers.c.country == sa.bindparam("country", type_=sa.Text)),
    "country=none": _lies_in(customers.c.country.is_(None)),
    _OTHERS_WROTE: orders.c.author_id != _ME,
    "credited_to=house": sa.and_(_PLACED, orders.c.credited_to.is_(None)),
    _OTHERS_SOLD: sa.and_(_PLACED, orders.c.credited_to.is_distinct_from(_ME)),
    "states": orders.c.state == sa.any_(sa.bindparam("states", type_=sa.ARRAY(sa.Text))),
    "order_date_from": orders.c.order_date >= _date("order_date_from"),
    "order_date_to": orders.c.order_date <= _date("order_date_to"),
}
_NUMBERED = (
    _begins(orders.c.number, "number"),
    _begins(orders.c.former_number, "former_number"),
    _begins(orders.c.external_ref.collate("C"), "as_sent"),  # what the version before has imported
)
_OF_FEW = orders.c.customer_id == sa.any_(sa.bindparam("customer_ids", type_=sa.ARRAY(sa.Uuid())))
_FEW = orders.c.order_id == sa.any_(sa.bindparam("order_ids", type_=sa.ARRAY(sa.Uuid())))
_TEXTS: Mapping[str, sa.ColumnElement[bool]] = {
    NUMBER: sa.or_(*_NUMBERED),
    RARE: sa.or_(*_NUMBERED, sa.and_(_OF_FEW, shown()), _FEW),
    FREQUENT: sa.or_(*_NUMBERED, shown()),
}
_WORDS = {_FORMER, *(name for name in _CONDITIONS if "=" in name)}
