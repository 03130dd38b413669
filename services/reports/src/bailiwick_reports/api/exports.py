"""Routes that hand a whole report out as a file: /v1/reports/…/export."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, TypeAlias, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field, model_validator

from bailiwick_access.caller import Caller
from bailiwick_access.context import SignedIn
from bailiwick_access.requests import Reading
from bailiwick_kit.errors import Unavailable
from bailiwick_kit.web.bodies import SentQuery, query
from bailiwick_kit.web.fields import Model
from bailiwick_kit.web.problems import problems
from bailiwick_reports.api import columns
from bailiwick_reports.api.dependencies import Running, sight_of
from bailiwick_reports.api.query_params import CreditQuery, PortfolioQuery, SalesQuery, TeamQuery
from bailiwick_reports.api.spreadsheets import (
    CsvFormat,
    Download,
    Kind,
    Row,
    Spooled,
    spool,
)
from bailiwick_reports.domain.errors import ReportTooLarge
from bailiwick_reports.domain.portfolio import today_in

router = APIRouter(prefix="/v1/reports", tags=["reports"])

T = TypeVar("T")
Pages: TypeAlias = Callable[[Reading], AsyncGenerator[Sequence[Row], None]]
"""Reads the rows of a file, on a connection with a snapshot."""

_LONGEST = 12.0
"""Seconds to write a file in: less than what a request has until its answer begins, and more than a
statement has; so a database that does not answer is told from a file that is too long."""

_MOST_ROWS = {Kind.CSV: 200_000, Kind.XLSX: 50_000}
"""Rows of one file: what the widest report writes in half of the time. A row of a worksheet takes some ten
times as much processor time as one of a CSV (measured: 0.14 ms and 0.012 ms for fifteen cells)."""
_LARGEST = 48 * 1024 * 1024
"""Bytes of one file: more than as many rows of ordinary names take."""
ROOM = 96 * 1024 * 1024
"""Bytes that finished files may take while they are sent. With two more being written that stays below
the 256 MiB of temporary folder that a container is given: a worksheet lies there twice for a moment, in all
74 MiB (measured)."""
SHARE = ROOM // 2
"""What of them one organization's may take: whoever downloads slowly leaves the other half."""
AT_ONCE = 2
"""As many files are written at the same time, so that they leave connections to everybody else."""
OF_ONE = 1
"""As many of them are one organization's, so that it leaves a turn to the others."""

_SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t"}
_NO_ROOM = "Many files are being downloaded. Try again later."
_TAKES_TOO_LONG = (
    "Writing the file takes too long at the moment. Try again later, or ask for less: a year, say."
)


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
    **problems(400, 401, 403, 422, 503, ReportTooLarge, RightsChanged),
}


class AsFile(Model):
    """As which kind of file, and how it is written."""

    format: Literal["csv", "xlsx"] = Field(
        default="csv",
        description="CSV is UTF-8 with a byte order mark, and has at most 200,000 rows; XLSX at most 50,000",
    )
    separator: Literal["comma", "semicolon", "tab"] | None = Field(
        default=None,
        description="What stands between the cells of a CSV: a comma, or a semicolon where the decimal mark"
        " is a comma",
    )
    decimal_mark: Literal["point", "comma"] | None = Field(
        default=None, description="What stands before the decimals in a CSV: a point, unless named"
    )
    text: Literal["escaped", "raw"] | None = Field(
        default=None,
        description="In a CSV. `escaped`, unless named: an apostrophe stands before what a spreadsheet could"
        " run as a formula. `raw`: text as it is, for programs; never open it in a spreadsheet",
    )

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        chosen = (self.separator, self.decimal_mark, self.text)
        if self.format == "xlsx" and any(one is not None for one in chosen):
            msg = "Leave out separator, decimal_mark and text: a worksheet needs none of them"
            raise ValueError(msg)
        if self.separator == self.decimal_mark == "comma":
            msg = "Choose another separator: here the comma is the decimal mark"
            raise ValueError(msg)
        return self

    @property
    def kind(self) -> Kind:
        """Return the kind of file."""
        return Kind(self.format)

    @property
    def layout(self) -> CsvFormat:
        """Return how a CSV is written."""
        is_comma = self.decimal_mark == "comma"
        separator = self.separator or ("semicolon" if is_comma else "comma")
        return CsvFormat(
            separator=_SEPARATORS[separator],
            decimal_mark="," if is_comma else ".",
            escapes=self.text != "raw",
        )


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
    file: AsFile
    columns: Sequence[str]
    pages: Pages


class Export:
    """Makes a file of a report: all of it at one instant, and only if the caller may still have it then."""

    def __init__(self, request: Request, caller: SignedIn, app: Running) -> None:
        self._authorization = request.headers.get("authorization")
        self._entrance = app.entrance
        self._quota = app.quota
        self._turns = app.turns
        self.caller: Caller = caller
        self.gate = app.entrance.gate
        self.queries = app.queries

    async def of(self, table: Table, granted: T, ask: Callable[[Caller], Awaitable[T]]) -> Response:
        """Return the file. `ask` tells what the caller may see, which was `granted` before.

        Raises:
            RightsChanged: it is something else by now.
            ReportTooLarge: it has more rows or bytes than a file may.
            Unavailable: it takes longer than there is time, or files that are still being downloaded leave no
                room for another.
        """
        with ExitStack() as until_sent:
            spooled, held = await self._spooled(table)
            until_sent.callback(spooled.file.close)
            async with self._entrance.reading(self._authorization, ()) as reading:
                is_granted = await ask(reading.caller) == granted
                if not is_granted or await self.queries.held(reading) != held:
                    raise RightsChanged("Ask for the file again.", retry_after=1)
            today = today_in(self.caller.time_zone, self.caller.now)
            until_sent.pop_all()
            return Download(spooled, f"{table.report}-{today}.{table.file.kind}")

    async def _spooled(self, table: Table) -> tuple[Spooled, object]:
        org_id = self.caller.org_id
        async with self._turns.of(org_id):
            if not self._quota.has_room(org_id):
                raise Unavailable(_NO_ROOM, retry_after=30)
            try:
                async with asyncio.timeout(_LONGEST) as limit:
                    spooled, held = await self._written(table)
                    if not self._quota.put(org_id, spooled):
                        spooled.file.close()
                        raise Unavailable(_NO_ROOM, retry_after=30)
                    return spooled, held
            except TimeoutError:
                if not limit.expired():
                    raise
                # The largest file takes half of the time on an idle machine: this one is busy.
                raise Unavailable(_TAKES_TOO_LONG, retry_after=30) from None

    async def _written(self, table: Table) -> tuple[Spooled, object]:
        async with self._entrance.database.snapshot(self.caller.org_id) as connection:
            reading = Reading(self.caller, connection)
            held = await self.queries.held(reading)
            async with aclosing(table.pages(reading)) as pages:
                kind = table.file.kind
                spooled = await spool(
                    kind,
                    table.columns,
                    pages,
                    most_rows=_MOST_ROWS[kind],
                    most=_LARGEST,
                    layout=table.file.layout,
                )
                return spooled, held


Exporting: TypeAlias = Annotated[Export, Depends(Export)]
"""A route's parameter: `export: Exporting`."""


@router.get("/sales/export", operation_id="export_sales", responses=_FILE, response_class=Response)
async def export_sales(
    export: Exporting,
    sent: Annotated[SentQuery[SalesExport], query(SalesExport)],
) -> Response:
    """Hand out sales as a file, all rows of it; see `/v1/reports/sales`."""
    sight = await sight_of(export.gate, export.caller)
    wanted = sent.read()
    asked = wanted.asked()
    table = Table(
        "sales",
        wanted,
        columns.group_columns(asked.by),
        lambda reading: _rows(
            export.queries.sales_pages(reading, sight, asked), columns.group_rows
        ),
    )
    return await export.of(table, sight, lambda caller: sight_of(export.gate, caller))


@router.get(
    "/credit/export", operation_id="export_credit", responses=_FILE, response_class=Response
)
async def export_credit(
    export: Exporting,
    sent: Annotated[SentQuery[CreditExport], query(CreditExport)],
) -> Response:
    """Hand out your own credit as a file, all rows of it; see `/v1/reports/credit`."""
    granted = await export.gate.decide(export.caller, "reports", "view")
    wanted = sent.read()
    asked = wanted.asked()
    table = Table(
        "credit",
        wanted,
        columns.group_columns(asked.by),
        lambda reading: _rows(export.queries.credit_pages(reading, asked), columns.group_rows),
    )
    return await export.of(
        table, granted, lambda caller: export.gate.decide(caller, "reports", "view")
    )


@router.get(
    "/portfolio/export", operation_id="export_portfolio", responses=_FILE, response_class=Response
)
async def export_portfolio(
    export: Exporting,
    sent: Annotated[SentQuery[PortfolioExport], query(PortfolioExport)],
) -> Response:
    """Hand out your customers as a file, all of them; see `/v1/reports/portfolio`."""
    visible = await export.gate.scope(export.caller, "reports")
    wanted = sent.read()
    asked = wanted.asked()
    today = today_in(export.caller.time_zone, export.caller.now)
    table = Table(
        "portfolio",
        wanted,
        columns.PORTFOLIO,
        lambda reading: _rows(
            export.queries.portfolio_pages(reading, visible.scope, asked),
            lambda found: columns.standing_rows(found, today),
        ),
    )
    return await export.of(table, visible, lambda caller: export.gate.scope(caller, "reports"))


@router.get("/team/export", operation_id="export_team", responses=_FILE, response_class=Response)
async def export_team(
    export: Exporting,
    sent: Annotated[SentQuery[TeamExport], query(TeamExport)],
) -> Response:
    """Hand out the team as a file; see `/v1/reports/team`."""
    visible = await export.gate.scope(export.caller, "reports", "team")
    wanted = sent.read()
    asked = wanted.asked()

    async def pages(reading: Reading) -> AsyncGenerator[Sequence[Row], None]:
        yield list(
            columns.team_rows(await export.queries.team(reading, export.gate, visible.scope, asked))
        )

    table = Table("team", wanted, columns.TEAM, pages)
    return await export.of(
        table, visible, lambda caller: export.gate.scope(caller, "reports", "team")
    )


async def _rows(
    pages: AsyncGenerator[T, None], rows_of: Callable[[T], Sequence[Row]]
) -> AsyncGenerator[Sequence[Row], None]:
    async with aclosing(pages):
        async for page in pages:
            yield rows_of(page)
