"""What routes of customers are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from bailiwick_access.context import Listing, ReadContext, WriteContext, reads, writes
from bailiwick_customers.store.queries import CustomerQueries
from bailiwick_customers.store.unit_of_work import OpenUnit


@dataclass(frozen=True, kw_only=True)
class CustomersApp(Listing):
    """What all requests of customers use."""

    queries: CustomerQueries
    open_unit: OpenUnit


Reads: TypeAlias = Annotated[ReadContext[CustomersApp], reads(CustomersApp)]
"""A route's parameter: `context: Reads`."""

Writes: TypeAlias = Annotated[WriteContext[CustomersApp], writes(CustomersApp)]
"""A route's parameter: `context: Writes`."""
