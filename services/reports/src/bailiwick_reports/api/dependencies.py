"""What routes of reports share: the parts they ask for, and what a caller may see."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from fastapi import Depends, Request

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_reports.actions.ports import Queries, Sight


async def _queries(request: Request) -> Queries:
    queries: Queries = request.state.queries
    return queries


Queried: TypeAlias = Annotated[Queries, Depends(_queries)]
"""A route's parameter: `queries: Queried`."""


async def sight_of(gate: Gate, caller: Caller) -> Sight:
    """Return what the caller may see of the sales.

    Raises:
        Forbidden: the caller lacks reports.
        PolicyUnavailable: policy did not answer as it should.
    """
    visible = await gate.scope(caller, "reports")
    return Sight(
        scope=visible.scope,
        is_restricted=visible.is_restricted,
        hides_customers=visible.hides("order", "customer"),
    )


async def may_view_orders(gate: Gate, caller: Caller) -> bool:
    """Tell whether a link to orders leads anywhere for the caller."""
    return await gate.is_capable(caller, caller.subject, "orders", "view")
