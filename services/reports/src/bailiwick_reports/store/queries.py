"""Reading reports: always through what the caller may see, never around it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from bailiwick_access.authorizer import Gate
from bailiwick_access.representatives import holding
from bailiwick_access.requests import Reading
from bailiwick_kit.database.engine import plan_for_values
from bailiwick_kit.policy.scope import Scope
from bailiwick_reports.domain.portfolio import AskedPortfolio, Standing, silent_since, today_in
from bailiwick_reports.domain.sales import Asked, Dimension, Figures, Group
from bailiwick_reports.domain.team import SILENT_DAYS, Coverage, Team
from bailiwick_reports.store import tables
from bailiwick_reports.store.aggregate import credit_by, sales_by, to_figures, to_group
from bailiwick_reports.store.filters import asked_for
from bailiwick_reports.store.portfolios import (
    dates_of,
    figures_of_customers,
    standings,
    to_standing,
)
from bailiwick_reports.store.teams import COVERAGE, PERFORMANCES, to_performance
from bailiwick_reports.store.visible_rows import (
    HELD,
    HOW_MANY_HELD,
    SMALL,
    Sight,
    bound,
    is_of_a_portfolio,
)

_PAGE = 1_000


class ReportQueries:
    """Reads reports through what a caller may see. The composition root makes one."""

    async def sales(
        self, reading: Reading, sight: Sight, asked: Asked, *, limit: int
    ) -> Sequence[Group]:
        """Return up to `limit` groups of the sales that the caller may see."""
        conditions = asked_for(asked)
        is_small = await _is_small(reading, sight.scope)
        statement = sales_by(
            sight, asked.by, frozenset(conditions), is_limited=True, is_small=is_small
        )
        if statement is None:
            return []
        values = {**conditions, "limit": limit}
        return [to_group(row, asked.by) for row in await _rows(reading, statement, values)]

    async def sales_pages(
        self, reading: Reading, sight: Sight, asked: Asked
    ) -> AsyncGenerator[Sequence[Group], None]:
        """Yield all of them, on a connection with a snapshot."""
        conditions = asked_for(asked)
        is_small = await _is_small(reading, sight.scope)
        statement = sales_by(
            sight, asked.by, frozenset(conditions), is_limited=False, is_small=is_small
        )
        if statement is not None:
            async for page in _pages(reading, statement, conditions):
                yield [to_group(row, asked.by) for row in page]

    async def credit(self, reading: Reading, asked: Asked, *, limit: int) -> Sequence[Group]:
        """Return up to `limit` groups of the caller's own frozen credit, whatever they may view."""
        conditions = asked_for(asked)
        statement = credit_by(asked.by, frozenset(conditions), is_limited=True)
        values = {**conditions, "limit": limit}
        return [to_group(row, asked.by) for row in await _rows(reading, statement, values)]

    async def credit_pages(
        self, reading: Reading, asked: Asked
    ) -> AsyncGenerator[Sequence[Group], None]:
        """Yield all of them, on a connection with a snapshot."""
        conditions = asked_for(asked)
        statement = credit_by(asked.by, frozenset(conditions), is_limited=False)
        async for page in _pages(reading, statement, conditions):
            yield [to_group(row, asked.by) for row in page]

    async def portfolio(
        self, reading: Reading, scope: Scope, asked: AskedPortfolio, *, limit: int
    ) -> Sequence[Standing]:
        """Return up to `limit` customers that the caller may see, the longest silent first."""
        conditions = _standing(reading, asked)
        statement = standings(scope, frozenset(conditions), is_limited=True)
        if statement is None:
            return []
        found = await _rows(reading, statement, {**conditions, "limit": limit})
        return await _with_figures(reading, asked, found)

    async def portfolio_pages(
        self, reading: Reading, scope: Scope, asked: AskedPortfolio
    ) -> AsyncGenerator[Sequence[Standing], None]:
        """Yield all of them, on a connection with a snapshot."""
        conditions = _standing(reading, asked)
        statement = standings(scope, frozenset(conditions), is_limited=False)
        if statement is not None:
            async for page in _pages(reading, statement, conditions):
                yield await _with_figures(reading, asked, page)

    async def team(self, reading: Reading, gate: Gate, scope: Scope, asked: Asked) -> Team:
        """Return the team with its credit in the period; only the dates of what is asked count."""
        caller = reading.caller
        since = silent_since(today_in(caller.time_zone, caller.now), SILENT_DAYS)
        who = {"holding": await holding(reading.connection, gate, caller, tables.members)}
        found = await _rows(reading, PERFORMANCES, {"silent_since": since, **who})
        sight = Sight(scope, is_restricted=False, hides_customers=False)
        credited = await self._credited(reading, sight, asked)
        [coverage] = await _rows(reading, COVERAGE, who)
        performances = (to_performance(row) for row in found)
        team = (replace(one, credited=tuple(credited[one.member_id])) for one in performances)
        return Team(
            members=tuple(one for one in team if one.holds_customers or one.credited),
            house=tuple(credited[tables.HOUSE]),
            coverage=Coverage(**coverage),
        )

    async def _credited(
        self, reading: Reading, sight: Sight, asked: Asked
    ) -> Mapping[UUID, Sequence[Figures]]:
        conditions = asked_for(asked)
        by = (Dimension.CREDITED_TO,)
        statement = sales_by(sight, by, frozenset(conditions), is_limited=False, is_small=False)
        credited: defaultdict[UUID, list[Figures]] = defaultdict(list)
        if statement is not None:
            for row in await _rows(reading, statement, conditions):
                credited[row["key0"]].append(to_figures(row))
        return credited

    async def held(self, reading: Reading) -> frozenset[UUID]:
        """Return the customers that the caller represents now."""
        return frozenset(row["customer_id"] for row in await _rows(reading, HELD, {}))


async def _is_small(reading: Reading, scope: Scope) -> bool:
    """Tell whether what the caller may see is of few customers, so that they are the way to it."""
    if not is_of_a_portfolio(scope):
        return False
    [held] = await _rows(reading, HOW_MANY_HELD, {})
    return bool(held["customers"] <= SMALL)


async def _pages(
    reading: Reading, statement: sa.Select[Any], values: Mapping[str, object]
) -> AsyncGenerator[Sequence[RowMapping], None]:
    """Yield the rows a page at a time: the database keeps the rest."""
    await plan_for_values(reading.connection)
    result = await reading.connection.stream(
        statement,
        {**bound(reading.caller), **values},
        execution_options={"yield_per": _PAGE},
    )
    try:
        async for page in result.mappings().partitions():
            yield page
    finally:
        await result.close()


async def _rows(
    reading: Reading, statement: sa.Select[*tuple[Any, ...]], values: Mapping[str, object]
) -> Sequence[RowMapping]:
    await plan_for_values(reading.connection)
    found = await reading.connection.execute(statement, {**bound(reading.caller), **values})
    rows: Sequence[RowMapping] = found.mappings().all()
    return rows


def _standing(reading: Reading, asked: AskedPortfolio) -> Mapping[str, object]:
    values: dict[str, object] = {}
    if asked.relation is not None:
        values["relation"] = asked.relation
    if asked.silent_for is not None:
        today = today_in(reading.caller.time_zone, reading.caller.now)
        values["silent_since"] = silent_since(today, asked.silent_for)
    return values


async def _with_figures(
    reading: Reading, asked: AskedPortfolio, found: Sequence[RowMapping]
) -> Sequence[Standing]:
    dates = dates_of(asked)
    statement = figures_of_customers(frozenset(dates))
    values = {**dates, "customer_ids": [row["customer_id"] for row in found]}
    figures: defaultdict[UUID, list[Figures]] = defaultdict(list)
    for row in await _rows(reading, statement, values):
        figures[row["customer_id"]].append(to_figures(row))
    return [to_standing(row, figures[row["customer_id"]]) for row in found]
