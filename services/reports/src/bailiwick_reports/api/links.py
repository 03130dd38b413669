"""Addresses of the orders that a row counts: its filters in the words of /v1/orders, and nothing else."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from urllib.parse import urlencode
from uuid import UUID

from bailiwick_reports.domain.sales import FORMER, HOUSE, OTHERS, Asked, Dimension, Value


def orders_link(asked: Asked, by: Sequence[Value] = (), currency: str | None = None) -> str:
    """Return the address that lists exactly the orders counted by one row of what was asked for."""
    for value in by:
        asked = _narrowed(asked, value)
    if currency is not None:
        asked = replace(asked, currency=currency)
    pairs: list[tuple[str, object]] = [("state", state) for state in asked.states]
    pairs += [
        ("order_date_from", asked.order_date_from),
        ("order_date_to", asked.order_date_to),
        ("source", asked.source),
        ("customer_id", asked.customer),
        ("country", asked.country),
        ("author_id", asked.author),
        ("credited_to", asked.credited_to),
        ("currency", asked.currency),
    ]
    return f"/v1/orders?{urlencode([(name, str(it)) for name, it in pairs if it is not None])}"


def _narrowed(asked: Asked, value: Value) -> Asked:
    """Add what a row is about. What is folded says less than a filter that found it."""
    match value.dimension, value.value:
        case Dimension.DAY | Dimension.MONTH, day:
            return _within(asked, day)
        case Dimension.SOURCE, source:
            more: dict[str, object] = {"source": source}
        case Dimension.CUSTOMER | Dimension.COUNTRY, "former":
            more = {"customer": FORMER}
        case Dimension.CUSTOMER, customer_id:
            more = {"customer": UUID(customer_id)}
        case Dimension.COUNTRY, country:
            more = {"country": country}
        case (Dimension.AUTHOR | Dimension.CREDITED_TO) as name, "others":
            more = {name.value: getattr(asked, name.value) or OTHERS}
        case (Dimension.AUTHOR | Dimension.CREDITED_TO) as name, member:
            more = {name.value: HOUSE if member == HOUSE else UUID(member)}
    return replace(asked, **more)  # type: ignore[arg-type]


def _within(asked: Asked, day: str) -> Asked:
    """Narrow the dates to a day or a month; they may have been narrower already: half a month, say."""
    if len(day) == len("2026-01"):
        first = date.fromisoformat(f"{day}-01")
        last = first.replace(day=monthrange(first.year, first.month)[1])
    else:
        first = last = date.fromisoformat(day)
    return replace(
        asked,
        order_date_from=max(first, asked.order_date_from or first),
        order_date_to=min(last, asked.order_date_to or last),
    )
