"""What a migration makes of rows that its new rule would refuse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from unittest.mock import Mock
from uuid import UUID

import asyncpg
import pytest
from alembic import command
from alembic.config import Config

import bailiwick_orders
from bailiwick_kit.clock import END_OF_TIME
from bailiwick_kit.database import migrations
from bailiwick_kit.database.engine import Database
from bailiwick_launcher.databases import DatabaseUrls
from bailiwick_orders.store.customer_names import NUMBER, RARE, Renaming, find
from bailiwick_orders.store.rows import searched_number
from bailiwick_testkit.servers.real import Postgres
from bailiwick_testkit.services.large_company import superuser_dsn

VERSIONS = Path(bailiwick_orders.__file__).parent / "store" / "migrations"
ORG = UUID(int=1)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass
class Before:
    """A database as a migration finds it."""

    config: Config
    urls: DatabaseUrls
    connection: asyncpg.Connection


@asynccontextmanager
async def before(postgres: Postgres, migration: str) -> AsyncIterator[Before]:
    urls = await postgres.fresh_database("orders", migrated=False)
    config = migrations._config(VERSIONS, urls.owner, "orders_api", "orders_worker")
    [file] = (VERSIONS / "versions").glob(f"*_{migration}.py")
    await asyncio.to_thread(command.upgrade, config, f"{int(file.name[:4]) - 1:04}")
    connection = await asyncpg.connect(superuser_dsn(postgres, urls))
    try:
        yield Before(config, urls, connection)
    finally:
        await connection.close()
        await postgres.drop(urls)


async def plant(
    connection: asyncpg.Connection, number: int, day: date | None, listed_at: datetime
) -> None:
    order_id = UUID(int=number)
    await connection.execute(
        """
        INSERT INTO orders (org_id, order_id, number, customer_id, customer_name, author_id, source, state,
            order_date, listed_at, currency, lines, net, imported, version)
        VALUES ($1, $2, $3, $1, 'Sol', $1, 'import', 'placed', $4, $5, 'EUR', '[]', 0, true, 1)
        """,
        *(ORG, order_id, str(number), day, listed_at),
    )
    for relation, valid_from in (("author", listed_at), ("main", LONG_AGO)):
        await connection.execute(
            "INSERT INTO visibility VALUES ($1, $1, $2, $3, $4, $5, $6)",
            *(ORG, listed_at, order_id, relation, valid_from, END_OF_TIME),
        )


async def test_orders_that_were_listed_days_after_their_date_are_listed_on_it_with_their_visibility(
    postgres: Postgres,
) -> None:
    async with before(postgres, "filters_at_a_million_orders") as found:
        await _listed_on_their_date(found.config, found.connection)


async def _listed_on_their_date(config: Config, connection: asyncpg.Connection) -> None:
    late, just, day = (
        datetime(2024, 3, 7, 9, tzinfo=UTC),
        datetime(2024, 3, 3, 23, 59, tzinfo=UTC),
        date(2024, 3, 2),
    )
    for number, (dated, listed_at) in enumerate(((day, late), (day, just), (None, late)), 1):
        await plant(connection, number, dated, listed_at)
    await asyncio.to_thread(command.upgrade, config, "head")
    expected = [datetime(2024, 3, 2, tzinfo=UTC), just, late]
    rows = await connection.fetch("SELECT listed_at FROM orders ORDER BY number")
    assert [row["listed_at"] for row in rows] == expected
    for relation in ("author", "main"):
        seen = await connection.fetch(
            "SELECT listed_at, valid_from FROM visibility WHERE relation = $1 ORDER BY order_id",
            relation,
        )
        assert [row["listed_at"] for row in seen] == expected
        begins = expected if relation == "author" else [LONG_AGO] * 3
        assert [row["valid_from"] for row in seen] == begins
    with pytest.raises(asyncpg.CheckViolationError, match="orders_listed_by_date"):
        await plant(connection, 4, day, datetime(2024, 3, 4, tzinfo=UTC))


async def test_names_of_the_version_before_are_found_after_the_upgrade_and_while_both_run(
    postgres: Postgres,
) -> None:
    async with before(postgres, "orders_are_found_by_the_customers_name") as found:
        await plant(found.connection, 1, None, LONG_AGO)  # it shows "Sol"
        await found.connection.execute(
            "INSERT INTO customers VALUES ($1, $1, 'C', 'Łuna', 'approved', NULL, NULL, $1, 1, 1)",
            ORG,
        )
        await asyncio.to_thread(command.upgrade, found.config, "head")
        async with Database(found.urls.worker, name="test") as database:
            caller = Mock(org_id=ORG, member_id=ORG, now=LONG_AGO)

            async def shapes(*texts: str) -> list[str]:
                async with database.reading(ORG) as connection:
                    return [(await find(connection, caller, text)).by for text in texts]

            assert await shapes("sol", "luna", "mar") == [RARE, RARE, NUMBER]
            await found.connection.execute(
                "INSERT INTO organizations (org_id, name, settings, package,"
                " seat_limit, time_zone, currency, version, seq)"
                " VALUES ($1, 'O', '{}', 'p', 1, 'UTC', 'EUR', 1, 1)",
                ORG,
            )
            await found.connection.execute("UPDATE customers SET name = 'Mar', version = 2")
            await found.connection.execute("UPDATE orders SET customer_name = 'Été'")
            await Renaming(database).catch_up()
            assert await shapes("mar", "ete", "luna") == [RARE] * 3
            assert not await Renaming(database)._some(ORG)


async def test_former_numbers_are_searched_for_in_the_words_of_sql_and_python_alike(
    postgres: Postgres,
) -> None:
    refs = ["Inv-0012", "SO/ÄÇß-İ ", "so%20x", None]
    async with before(postgres, "former_numbers_in_any_case") as found:
        for number, ref in enumerate(refs, 1):
            await plant(found.connection, number, None, LONG_AGO)
            await found.connection.execute(
                "UPDATE orders SET external_ref = $1 WHERE number = $2", ref, str(number)
            )
        await asyncio.to_thread(command.upgrade, found.config, "head")
        rows = await found.connection.fetch("SELECT former_number FROM orders ORDER BY number")
    assert [row["former_number"] for row in rows] == [ref and searched_number(ref) for ref in refs]
    assert rows[0]["former_number"] == "inv-0012"
