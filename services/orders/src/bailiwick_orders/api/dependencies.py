"""What routes of orders are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from bailiwick_access.context import Listing, ReadContext, WriteContext, reads, writes
from bailiwick_orders.store.queries import OrderQueries
from bailiwick_orders.store.unit_of_work import OpenUnit


@dataclass(frozen=True, kw_only=True)
class OrdersApp(Listing):
    """What all requests of orders use."""

    queries: OrderQueries
    open_unit: OpenUnit


Reads: TypeAlias = Annotated[ReadContext[OrdersApp], reads(OrdersApp)]
"""A route's parameter: `context: Reads`."""

Writes: TypeAlias = Annotated[WriteContext[OrdersApp], writes(OrdersApp)]
"""A route's parameter: `context: Writes`."""
