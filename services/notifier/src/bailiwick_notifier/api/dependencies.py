"""What routes of notifier are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from bailiwick_access.context import Listing, ReadContext, WriteContext, reads, writes
from bailiwick_notifier.store.queries import DeliveryQueries
from bailiwick_notifier.store.unit_of_work import OpenUnit


@dataclass(frozen=True, kw_only=True)
class NotifierApp(Listing):
    """What all requests of notifier use."""

    queries: DeliveryQueries
    open_unit: OpenUnit


Reads: TypeAlias = Annotated[ReadContext[NotifierApp], reads(NotifierApp)]
"""A route's parameter: `context: Reads`."""

Writes: TypeAlias = Annotated[WriteContext[NotifierApp], writes(NotifierApp)]
"""A route's parameter: `context: Writes`."""
