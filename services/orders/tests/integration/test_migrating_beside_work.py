"""People go on working while a database is migrated, whatever it holds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
from alembic import command
from alembic.config import Config

import bailiwick_orders
from bailiwick_kit.database import migration_steps, migrations
from bailiwick_kit.database.migration_steps import LockedOutError
from bailiwick_testkit.servers.real import Postgres
from bailiwick_testkit.services.large_company import superuser_dsn
from bailiwick_testkit.waiting import until

FOLDER = Path(bailiwick_orders.__file__).parent / "store" / "migrations"
ORG = UUID(int=1)
FILL = """
WITH made AS (
    INSERT INTO orders (org_id, order_id, number, customer_id, customer_name, author_id, source, state,
        order_date, listed_at, placed_at, placed_by, currency, lines, net, imported, version)
    SELECT $1, gen_random_uuid(), n::text, held.customer_id, 'Łuna ' || n % 500, $1, 'import', 'placed',
        '2024-03-02', '2024-03-07', '2024-03-07', $1, 'EUR', '[]', 0, true, 1
    FROM generate_series(1, $2::int) AS n JOIN customers AS held ON held.code = (n % 500)::text
    RETURNING order_id, listed_at
), seen AS (
    INSERT INTO visibility
    SELECT $1, $1, listed_at, order_id, relation, '2020-01-01', '9999-12-31'
    FROM made, unnest(ARRAY['author', 'main']) AS relation
)
INSERT INTO outbox (event_id, org_id, subject, type, body) SELECT order_id, $1, $1, 't', '' FROM made
"""
CUSTOMERS = """
INSERT INTO customers SELECT $1, gen_random_uuid(), n::text, 'Łuna ' || n, 'approved', NULL, NULL, $1, 1, 1
FROM generate_series(0, 499) AS n
"""
READ = "SELECT count(*) FROM orders JOIN visibility USING (org_id, order_id) WHERE order_id = $1"
WRITE = """
WITH customer AS (SELECT customer_id FROM customers WHERE code = '7' FOR SHARE), made AS (
    INSERT INTO orders (org_id, order_id, number, customer_id, customer_name, author_id, source, state,
        listed_at, currency, lines, net, imported, version)
    SELECT $1, $2::uuid, $2::uuid::text, customer_id, 'Łuna 7', $1, 'web', 'draft',
        now(), 'EUR', '[]', 0, false, 1
    FROM customer
), outbox AS (
    INSERT INTO outbox (event_id, org_id, subject, type, body) VALUES ($2::uuid, $1, $1, 't', '')
)
INSERT INTO visibility VALUES ($1, $1, now(), $2::uuid, 'author', now(), '9999-12-31')
"""
DONE = "SELECT count(*) FROM orders WHERE author_keeps_view AND listed_at = '2024-03-02T00:00:00Z'"
CHANGE = "UPDATE orders SET note = 'x' WHERE order_id = $1"


async def before_all(postgres: Postgres) -> tuple[Config, str]:
    """Make a database as the first version left it; return how to migrate it, and its address."""
    urls = await postgres.fresh_database("orders", migrated=False)
    config = migrations._config(FOLDER, urls.owner, "orders_api", "orders_worker")
    await asyncio.to_thread(command.upgrade, config, "0001")
    return config, superuser_dsn(postgres, urls)


@asynccontextmanager
async def open_connection(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url, server_settings={"statement_timeout": "60s"})
    try:
        yield connection
    finally:
        await connection.close()


async def longest(url: str, ended: asyncio.Event, *statements: tuple[str, bool]) -> float:
    """Run statements as often as they go, until it has ended; return the seconds that the longest took."""
    took = 0.0
    async with open_connection(url) as connection:
        while not ended.is_set():
            order_id = uuid4()
            for statement, takes_org in statements:
                began = time.monotonic()
                await connection.execute(statement, *([ORG] if takes_org else []), order_id)
                took = max(took, time.monotonic() - began)
            await asyncio.sleep(0.005)
    return took


async def waits_while_migrated(postgres: Postgres, orders: int) -> tuple[float, float, float]:
    """Return how long a migration took, and the longest statement of a reader and of a writer."""
    config, url = await before_all(postgres)
    ended = asyncio.Event()
    async with open_connection(url) as connection, asyncio.TaskGroup() as people:
        await connection.execute(CUSTOMERS, ORG)
        await connection.execute(FILL, ORG, orders, timeout=120)
        await connection.execute("ANALYZE")
        reader = people.create_task(longest(url, ended, (READ, False)))
        writer = people.create_task(longest(url, ended, (WRITE, True), (CHANGE, False)))
        began = time.monotonic()
        try:
            await asyncio.to_thread(command.upgrade, config, "head")
        finally:
            took = time.monotonic() - began
            ended.set()
        assert await connection.fetchval(DONE) == orders
    return took, reader.result(), writer.result()


async def test_who_reads_or_writes_while_a_database_is_migrated_waits_a_part_of_it(
    postgres: Postgres,
) -> None:
    took, reader, writer = await waits_while_migrated(postgres, 5_000)
    assert max(reader, writer) < took / 3


@pytest.mark.slow
async def test_nobody_waits_a_second_while_fifty_thousand_orders_are_migrated(
    postgres: Postgres,
) -> None:
    took, reader, writer = await waits_while_migrated(postgres, 50_000)
    assert max(reader, writer) < min(1, took / 5)


async def test_a_table_that_is_in_use_is_waited_for_in_short_turns_and_then_said_to_be(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, url = await before_all(postgres)
    monkeypatch.setattr(migration_steps, "TRIES", 2)
    monkeypatch.setattr(migration_steps, "PAUSE", 0.1)
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT", 0.3)
    owner = str(config.attributes["url"])
    roles = {"api_role": "orders_api", "worker_role": "orders_worker"}

    async def migrate() -> None:
        await asyncio.to_thread(migrations.upgrade, FOLDER, owner, **roles)

    async with open_connection(url) as holding, open_connection(url) as other:
        async with holding.transaction():
            await holding.execute("SELECT FROM orders LIMIT 1")  # a long report, or who forgot it
            migrating = asyncio.create_task(migrate())
            while not migrating.done():
                async with asyncio.timeout(5):
                    await other.execute(READ, uuid4())
            with pytest.raises(LockedOutError, match=r"ALTER TABLE orders .*\n.*pg_stat_activity"):
                await migrating
        await migrate()
        assert await other.fetchval("SELECT version_num FROM alembic_version") > "0009"
        assert not await other.fetch(
            "SELECT FROM pg_class WHERE relrowsecurity AND NOT relforcerowsecurity"
        )


async def test_who_waits_for_another_migration_keeps_no_index_from_being_made(
    postgres: Postgres,
) -> None:
    config, url = await before_all(postgres)
    async with open_connection(url) as one:
        await one.execute("SELECT pg_advisory_lock(hashtext('bailiwick.orders'))")
        waiting = asyncio.create_task(asyncio.to_thread(command.upgrade, config, "head"))
        await until(partial(_waits, one))
        async with asyncio.timeout(20):
            await one.execute("CREATE INDEX CONCURRENTLY beside ON orders (net)")
        assert not waiting.done()
        await one.execute("SELECT pg_advisory_unlock_all()")
        await waiting


async def _waits(connection: asyncpg.Connection) -> bool:
    asked = "%pg_try_advisory_lock%' OR query LIKE '%COMMIT%"
    found = await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"  # noqa: S608
        f" AND pid <> pg_backend_pid() AND (query LIKE '{asked}')"
    )
    return bool(found)
