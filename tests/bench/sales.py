"""A report of sales over a hundred thousand orders, beside SQL written by hand on the orders database."""

from __future__ import annotations

import io
from decimal import Decimal
from uuid import UUID

import aiohttp
import asyncpg
from lists import Client, until_ready
from measure import Compared, compare

from bailiwick_kit.database.engine import Database
from bailiwick_launcher.databases import DatabaseUrls
from bailiwick_reports.store.cube_rebuild import Cube
from bailiwick_testkit.fakes.people import Person

PAIRS = 40
"""Fewer than of the quick ones: those by hand take their time."""

_COPIED = {
    "customers": "org_id, customer_id, code, name, status, country, version, seq",
    "assignments": "org_id, assignment_id, customer_id, member_id, relation, valid_from, valid_to,"
    " version, seq",
    "orders": "org_id, order_id, customer_id, author_id, credited_to, source, order_date, currency,"
    " state, pieces, net, version",
}
_OF_ORDERS = """
    SELECT org_id, order_id, customer_id, author_id, placed_by, source, order_date, currency, state,
        110::numeric(24, 4), net::numeric(24, 4), version FROM orders
"""
"""Each order of the bench has 110 pieces, and whoever placed it is credited."""


async def fill(orders_dsn: str, reports_dsn: str, urls: DatabaseUrls, org_id: UUID) -> None:
    """Bring reports to where all events of the orders database would have brought it."""
    source, target = await asyncpg.connect(orders_dsn), await asyncpg.connect(reports_dsn)
    try:
        for table, columns in _COPIED.items():
            rows = io.BytesIO()
            query = _OF_ORDERS if table == "orders" else f"SELECT {columns} FROM {table}"  # noqa: S608
            await source.copy_from_query(query, output=rows, format="binary")
            rows.seek(0)
            await target.copy_to_table(
                table, source=rows, columns=columns.split(", "), format="binary"
            )
        async with Database(urls.worker, pool=1, deadline=300) as database:
            await Cube(database).recount(org_id, forgetting=False)
        await target.execute("VACUUM ANALYZE")
    finally:
        await source.close()
        await target.close()


async def measured(reports: str, orders: str, people: dict[str, Person]) -> list[Compared]:
    """Measure the report by months, for somebody who sees all and for a representative."""
    async with aiohttp.ClientSession() as session:
        await until_ready(session, reports)
        await until_ready(session, orders)
        report = f"{reports}/v1/reports/sales?by=month"
        results = []
        for who, name, mine in (("manager", "all", 0), ("large", "a representative's half", 1)):
            client, by_hand = Client(session, people[who]), f"{orders}/bench/sales?mine={mine}"
            await agree(client, report, by_hand)
            figure = f"sales by month, {name}: report / by hand"
            asks = client.asks(report), client.asks(by_hand)
            results.append(await compare(figure, *asks, throughput=False, pairs=PAIRS))
        return results


async def agree(client: Client, report: str, by_hand: str) -> None:
    """See that both say the same."""
    told, expected = await client.body(report), await client.body(by_hand)
    found = [(row["by"][0]["value"], row["orders"], row["net"]["amount"]) for row in told["rows"]]
    known = [(row["month"], row["orders"], row["net"]) for row in expected["rows"]]
    if sorted(map(_figures, found)) != sorted(map(_figures, known)):
        raise RuntimeError(f"{report} says {found}, {by_hand} {known}")


def _figures(row: tuple[str, int, str]) -> tuple[str, int, Decimal]:
    return row[0], row[1], Decimal(row[2])
