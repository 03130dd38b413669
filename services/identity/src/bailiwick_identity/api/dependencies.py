"""What routes of identity share: the parts they ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from fastapi import Depends, Request

from bailiwick_identity.actions.ports import (
    OpenUnit,
    Passwords,
    Queries,
    SignIns,
    Tokens,
)
from bailiwick_identity.actions.throttle import Throttle


@dataclass(frozen=True)
class Desk:
    """What signing in takes. Kept in the application's lifespan state."""

    sign_ins: SignIns
    passwords: Passwords
    tokens: Tokens
    throttle: Throttle


async def _queries(request: Request) -> Queries:
    queries: Queries = request.state.queries
    return queries


async def _open_unit(request: Request) -> OpenUnit:
    open_unit: OpenUnit = request.state.open_unit
    return open_unit


async def _desk(request: Request) -> Desk:
    desk: Desk = request.state.desk
    return desk


Queried: TypeAlias = Annotated[Queries, Depends(_queries)]
"""A route's parameter: `queries: Queried`."""

Open: TypeAlias = Annotated[OpenUnit, Depends(_open_unit)]
"""A route's parameter: `open_unit: Open`."""

AtDesk: TypeAlias = Annotated[Desk, Depends(_desk)]
"""A route's parameter: `desk: AtDesk`."""
