"""What routes of notifier share: the parts they ask for."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from fastapi import Depends, Request

from bailiwick_notifier.actions.ports import OpenUnit, Queries


async def _queries(request: Request) -> Queries:
    queries: Queries = request.state.queries
    return queries


async def _open_unit(request: Request) -> OpenUnit:
    open_unit: OpenUnit = request.state.open_unit
    return open_unit


Queried: TypeAlias = Annotated[Queries, Depends(_queries)]
"""A route's parameter: `queries: Queried`."""

Open: TypeAlias = Annotated[OpenUnit, Depends(_open_unit)]
"""A route's parameter: `open_unit: Open`."""
