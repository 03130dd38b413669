"""What routes of reports are given, and what a caller may see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.context import Application, ReadContext, application, reads
from bailiwick_reports.api.concurrency import Turns
from bailiwick_reports.api.spreadsheets import DownloadQuota
from bailiwick_reports.store.queries import ReportQueries
from bailiwick_reports.store.visible_rows import Sight


@dataclass(frozen=True, kw_only=True)
class ReportsApp(Application):
    """What all requests of reports use."""

    queries: ReportQueries
    quota: DownloadQuota
    turns: Turns


Reads: TypeAlias = Annotated[ReadContext[ReportsApp], reads(ReportsApp)]
"""A route's parameter: `context: Reads`."""

Running: TypeAlias = Annotated[ReportsApp, application(ReportsApp)]
"""A parameter: `app: Running`."""


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
