"""How what was found goes over the wire. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from bailiwick_reports.api import schemas
from bailiwick_reports.api.links import orders_link
from bailiwick_reports.domain.portfolio import AskedPortfolio, Standing
from bailiwick_reports.domain.sales import Asked, Figures, Group, totals
from bailiwick_reports.domain.team import Performance, Team


def grouped_report(groups: Sequence[Group], asked: Asked, *, links: bool) -> schemas.GroupedReport:
    """Return groups with their sums; `links` where the caller may view orders."""
    return schemas.GroupedReport.model_construct(
        rows=tuple(_group(group, asked, links=links) for group in groups),
        totals=tuple(
            schemas.TotalBody.model_construct(
                **_figures(total),
                orders_link=orders_link(asked, currency=total.currency) if links else None,
            )
            for total in totals(group.figures for group in groups)
        ),
    )


def portfolio_report(
    found: Iterable[Standing], asked: AskedPortfolio, today: date, *, links: bool
) -> schemas.PortfolioReport:
    """Return customers with what they ordered."""
    return schemas.PortfolioReport.model_construct(
        rows=tuple(_standing(standing, asked, today, links=links) for standing in found)
    )


def team_report(team: Team, asked: Asked, *, links: bool) -> schemas.TeamReport:
    """Return a team."""
    spread = team.distribution
    return schemas.TeamReport.model_construct(
        members=tuple(_performance(one, team, asked, links=links) for one in team.members),
        house=_all_figures(team.house),
        coverage=schemas.CoverageBody.model_construct(**vars(team.coverage)),
        distribution=schemas.DistributionBody.model_construct(**vars(spread)),
    )


def _group(group: Group, asked: Asked, *, links: bool) -> schemas.GroupBody:
    return schemas.GroupBody.model_construct(
        **_figures(group.figures),
        by=tuple(
            schemas.ValueBody.model_construct(
                dimension=one.dimension.value, value=one.value, label=one.label
            )
            for one in group.by
        ),
        orders_link=orders_link(asked, group.by, group.figures.currency) if links else None,
    )


def _standing(
    standing: Standing, asked: AskedPortfolio, today: date, *, links: bool
) -> schemas.StandingBody:
    orders = Asked(
        order_date_from=asked.order_date_from,
        order_date_to=asked.order_date_to,
        customer=standing.customer_id,
    )
    return schemas.StandingBody.model_construct(
        customer=schemas.CustomerBody.model_construct(
            customer_id=standing.customer_id,
            name=standing.name,
            country=standing.country,
            status=standing.status,
        ),
        relation=standing.relation,
        first_order_date=standing.first_order_date,
        last_order_date=standing.last_order_date,
        silent_days=standing.silent_days(today),
        interval_days=standing.interval_days,
        figures=_all_figures(standing.figures),
        orders_link=orders_link(orders) if links else None,
    )


def _performance(
    one: Performance, team: Team, asked: Asked, *, links: bool
) -> schemas.PerformanceBody:
    orders = Asked(
        order_date_from=asked.order_date_from,
        order_date_to=asked.order_date_to,
        credited_to=one.member_id,
    )
    return schemas.PerformanceBody.model_construct(
        member=schemas.MemberBody.model_construct(
            member_id=one.member_id, name=one.name, status=one.status
        ),
        customers_main=one.customers_main,
        customers_additional=one.customers_additional,
        silent_90_days=one.silent_90_days,
        share=team.share(one),
        credited=_all_figures(one.credited),
        orders_link=orders_link(orders) if links else None,
    )


def _all_figures(figures: Iterable[Figures]) -> tuple[schemas.FiguresBody, ...]:
    return tuple(schemas.FiguresBody.model_construct(**_figures(one)) for one in figures)


def _figures(figures: Figures) -> dict[str, Any]:
    return {
        "currency": figures.currency,
        "orders": figures.orders,
        "pieces": figures.pieces,
        "net": _sum(figures.net, figures.currency),
        "cancelled": schemas.Cancelled.model_construct(
            orders=figures.cancelled_orders, net=_sum(figures.cancelled_net, figures.currency)
        ),
    }


def _sum(amount: Decimal, currency: str) -> schemas.Sum:
    return schemas.Sum.model_construct(amount=amount, currency=currency)
