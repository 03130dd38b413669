"""What routes of customers share: the parts they ask for, and how a write is told."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from fastapi import Depends, Request, Response

from bailiwick_access.requests import Entrance
from bailiwick_customers.actions.ports import OpenUnit, Queries, Written
from bailiwick_kit.position import Position, written


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


async def told(response: Response, entrance: Entrance, act: Written) -> None:
    """Say where replicas must get to for this write to show, once what it took is taken (D6, D18)."""
    if act.positions:
        positions = (Position("customers", entity, version) for entity, version in act.positions)
        response.headers.update(written(*positions))
    await entrance.until(act.effective_at)
