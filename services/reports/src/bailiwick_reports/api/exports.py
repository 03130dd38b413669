"""Routes that hand a whole report out as a file: /v1/reports/…/export."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from bailiwick_access.caller import Caller
from bailiwick_access.requests import AtEntrance, Entrance, Gated, Reading, SignedIn
from bailiwick_kit.bodies import SentQuery, query
from bailiwick_kit.errors import Unavailable
from bailiwick_kit.problems import problems
from bailiwick_kit.sheets import (
    Download,
    FileTooLarge,
    Kind,
    Row,
    Shelf,
    Spooled,
    TooManyRows,
    spool,
)
from bailiwick_kit.wire import Model
from bailiwick_reports.actions.ports import Queries
from bailiwick_reports.api import columns
from bailiwick_reports.api.asked import CreditQuery, PortfolioQuery, SalesQuery, TeamQuery
from bailiwick_reports.api.parts import Queried, sight_of
from bailiwick_reports.domain.errors import ReportTooLarge
from bailiwick_reports.domain.portfolio import today_in

router = APIRouter(prefix="/v1/reports", tags=["reports"])

T = TypeVar("T")
Pages: TypeAlias = Callable[[Reading], AsyncGenerator[Sequence[Row], None]]
"""Reads the rows of a file, on a connection with a snapshot."""

_LONGEST = 12.0
"""Seconds to write a file in: less than what a request has until its answer begins, and more than a
statement has; so a database that does not answer is told from a file that is too long."""

_LARGEST = 48 * 1024 * 1024
"""Bytes of one file: 200,000 rows and more."""
ROOM = 96 * 1024 * 1024
"""Bytes that finished files may take while they are sent. With three more being written that stays below
the 256 MiB of temporary folder that a container is given."""

_TAKES_TOO_LONG = "It takes too long to write: ask for less, a year at a time, say."


class RightsChanged(Unavailable):
    """What the caller may see is not what it was when the file was begun."""

    code = "rights-changed"
    title = "What you may see has changed meanwhile"


_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file",
        "content": {
            kind.media_type.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
            for kind in Kind
        },
    },
    **problems(400, 401, 403, 422, 503, ReportTooLarge, TooManyRows, RightsChanged),
}


class AsFile(Model):
    """As which kind of file."""

    format: Literal["csv", "xlsx"] = Field(
        default="csv", description="CSV is UTF-8 with a byte order mark"
    )

    @property
    def kind(self) -> Kind:
        """Return the kind of file."""
        return Kind(self.format)


class SalesExport(AsFile, SalesQuery):
    """Which sales, as which kind of file."""


class CreditExport(AsFile, CreditQuery):
    """Which credit, as which kind of file."""


class PortfolioExport(AsFile, PortfolioQuery):
    """Which customers, as which kind of file."""


class TeamExport(AsFile, TeamQuery):
    """Which days' credit, as which kind of file."""


@dataclass(frozen=True)
class Table:
    """What a file has in it."""

    report: str
    kind: Kind
    columns: Sequence[str]
    pages: Pages


class Export:
    """Makes a file of a report: all of it at one instant, and only if the caller may still have it then."""

    def __init__(
        self, request: Request, caller: SignedIn, entrance: AtEntrance, queries: Queried
    ) -> None:
        self._authorization = request.headers.get("authorization")
        self._caller: Caller = caller
        self._entrance: Entrance = entrance
        self._queries: Queries = queries
        self._shelf: Shelf = request.state.shelf

    async def of(self, table: Table, granted: T, ask: Callable[[Caller], Awaitable[T]]) -> Response:
        """Return the file. `ask` tells what the caller may see, which was `granted` before.

        Raises:
            RightsChanged: it is something else by now.
            ReportTooLarge: it cannot be written in the time that there is.
            TooManyRows: a worksheet does not hold as many.
        """
        with ExitStack() as until_sent:
            spooled, held = await self._spooled(table)
            until_sent.callback(spooled.file.close)
            async with self._entrance.reading(self._authorization, ()) as reading:
                is_granted = await ask(reading.caller) == granted
                if not is_granted or await self._queries.held(reading) != held:
                    raise RightsChanged("Ask for the file again.", retry_after=1)
            today = today_in(self._caller.time_zone, self._caller.now)
            until_sent.pop_all()
            return Download(spooled, f"{table.report}-{today}.{table.kind}")

    async def _spooled(self, table: Table) -> tuple[Spooled, object]:
        async with self._queries.exporting:
            if not self._shelf.has_room():
                raise Unavailable(
                    "Many files are being downloaded. Try again later.", retry_after=30
                )
            try:
                async with asyncio.timeout(_LONGEST) as limit:
                    spooled, held = await self._written(table)
                    self._shelf.put(spooled)
                    return spooled, held
            except FileTooLarge as error:
                raise ReportTooLarge(str(error)) from None
            except TimeoutError:
                if not limit.expired():
                    raise
                raise ReportTooLarge(_TAKES_TOO_LONG) from None

    async def _written(self, table: Table) -> tuple[Spooled, object]:
        async with self._entrance.database.snapshot(self._caller.org_id) as connection:
            reading = Reading(self._caller, connection)
            held = await self._queries.held(reading)
            async with aclosing(table.pages(reading)) as pages:
                return await spool(table.kind, table.columns, pages, most=_LARGEST), held


Exporting: TypeAlias = Annotated[Export, Depends(Export)]
"""A route's parameter: `export: Exporting`."""


@router.get("/sales/export", operation_id="export_sales", responses=_FILE, response_class=Response)
async def export_sales(
    caller: SignedIn,
    gate: Gated,
    queries: Queried,
    export: Exporting,
    sent: Annotated[SentQuery[SalesExport], query(SalesExport)],
) -> Response:
    """Hand out sales as a file, all rows of it; see `/v1/reports/sales`."""
    sight = await sight_of(gate, caller)
    wanted = sent.read()
    asked = wanted.asked()
    table = Table(
        "sales",
        wanted.kind,
        columns.group_columns(asked.by),
        lambda reading: _rows(queries.sales_pages(reading, sight, asked), columns.group_rows),
    )
    return await export.of(table, sight, lambda caller: sight_of(gate, caller))


@router.get(
    "/credit/export", operation_id="export_credit", responses=_FILE, response_class=Response
)
async def export_credit(
    caller: SignedIn,
    gate: Gated,
    queries: Queried,
    export: Exporting,
    sent: Annotated[SentQuery[CreditExport], query(CreditExport)],
) -> Response:
    """Hand out your own credit as a file, all rows of it; see `/v1/reports/credit`."""
    granted = await gate.decide(caller, "reports", "view")
    wanted = sent.read()
    asked = wanted.asked()
    table = Table(
        "credit",
        wanted.kind,
        columns.group_columns(asked.by),
        lambda reading: _rows(queries.credit_pages(reading, asked), columns.group_rows),
    )
    return await export.of(table, granted, lambda caller: gate.decide(caller, "reports", "view"))


@router.get(
    "/portfolio/export", operation_id="export_portfolio", responses=_FILE, response_class=Response
)
async def export_portfolio(
    caller: SignedIn,
    gate: Gated,
    queries: Queried,
    export: Exporting,
    sent: Annotated[SentQuery[PortfolioExport], query(PortfolioExport)],
) -> Response:
    """Hand out your customers as a file, all of them; see `/v1/reports/portfolio`."""
    visible = await gate.scope(caller, "reports")
    wanted = sent.read()
    asked = wanted.asked()
    today = today_in(caller.time_zone, caller.now)
    table = Table(
        "portfolio",
        wanted.kind,
        columns.PORTFOLIO,
        lambda reading: _rows(
            queries.portfolio_pages(reading, visible.scope, asked),
            lambda found: columns.standing_rows(found, today),
        ),
    )
    return await export.of(table, visible, lambda caller: gate.scope(caller, "reports"))


@router.get("/team/export", operation_id="export_team", responses=_FILE, response_class=Response)
async def export_team(
    caller: SignedIn,
    gate: Gated,
    queries: Queried,
    export: Exporting,
    sent: Annotated[SentQuery[TeamExport], query(TeamExport)],
) -> Response:
    """Hand out the team as a file; see `/v1/reports/team`."""
    visible = await gate.scope(caller, "reports", "team")
    wanted = sent.read()
    asked = wanted.asked()

    async def pages(reading: Reading) -> AsyncGenerator[Sequence[Row], None]:
        yield list(columns.team_rows(await queries.team(reading, visible.scope, asked)))

    table = Table("team", wanted.kind, columns.TEAM, pages)
    return await export.of(table, visible, lambda caller: gate.scope(caller, "reports", "team"))


async def _rows(
    pages: AsyncGenerator[T, None], rows_of: Callable[[T], Sequence[Row]]
) -> AsyncGenerator[Sequence[Row], None]:
    async with aclosing(pages):
        async for page in pages:
            yield rows_of(page)
