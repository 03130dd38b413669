"""Routes over reports: /v1/reports."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter

from bailiwick_kit.web.bodies import SentQuery, query
from bailiwick_kit.web.problems import problems
from bailiwick_reports.api import schemas
from bailiwick_reports.api.dependencies import Reads, may_view_orders, sight_of
from bailiwick_reports.api.query_params import CreditQuery, PortfolioQuery, SalesQuery, TeamQuery
from bailiwick_reports.api.rendering import grouped_report, portfolio_report, team_report
from bailiwick_reports.domain.errors import ReportTooLarge
from bailiwick_reports.domain.portfolio import today_in
from bailiwick_reports.domain.sales import MOST_ROWS, refuse_too_many

router = APIRouter(prefix="/v1/reports", tags=["reports"])

_READ = problems(400, 401, 403, 422, ReportTooLarge)


@router.get("/sales", operation_id="read_sales", responses=_READ)
async def read_sales(
    context: Reads,
    sent: Annotated[SentQuery[SalesQuery], query(SalesQuery)],
) -> schemas.GroupedReport:
    """Add up exactly the orders that you may view now; a draft is no sale, a cancelled order is apart."""
    sight = await sight_of(context.gate, context.caller)
    asked = sent.read().asked()
    groups = await context.app.queries.sales(context, sight, asked, limit=MOST_ROWS + 1)
    refuse_too_many(len(groups))
    return grouped_report(groups, asked, links=await may_view_orders(context.gate, context.caller))


@router.get("/credit", operation_id="read_credit", responses=_READ)
async def read_credit(
    context: Reads,
    sent: Annotated[SentQuery[CreditQuery], query(CreditQuery)],
) -> schemas.GroupedReport:
    """Add up what you were credited with, whoever represents the customers now."""
    caller = context.caller
    await context.gate.decide(caller, "reports", "view")
    asked = sent.read().asked()
    groups = await context.app.queries.credit(context, asked, limit=MOST_ROWS + 1)
    refuse_too_many(len(groups))
    own = replace(asked, credited_to=caller.member_id)
    return grouped_report(groups, own, links=await may_view_orders(context.gate, caller))


@router.get("/portfolio", operation_id="read_portfolio", responses=_READ)
async def read_portfolio(
    context: Reads,
    sent: Annotated[SentQuery[PortfolioQuery], query(PortfolioQuery)],
) -> schemas.PortfolioReport:
    """Say of each of your customers when and how much they ordered, the longest silent first."""
    caller = context.caller
    scope = (await context.gate.scope(caller, "reports")).scope
    asked = sent.read().asked()
    found = await context.app.queries.portfolio(context, scope, asked, limit=MOST_ROWS + 1)
    refuse_too_many(len(found))
    today = today_in(caller.time_zone, caller.now)
    return portfolio_report(found, asked, today, links=await may_view_orders(context.gate, caller))


@router.get("/team", operation_id="read_team", responses=_READ)
async def read_team(
    context: Reads,
    sent: Annotated[SentQuery[TeamQuery], query(TeamQuery)],
) -> schemas.TeamReport:
    """Compare the members: their customers now, their credit in the period; for managers."""
    scope = (await context.gate.scope(context.caller, "reports", "team")).scope
    asked = sent.read().asked()
    team = await context.app.queries.team(context, context.gate, scope, asked)
    return team_report(team, asked, links=await may_view_orders(context.gate, context.caller))
