"""Instants and days that a database holds are finite: in every table, and in rows of versions before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from alembic import command
from alembic.config import Config

from bailiwick_contracts.instants import END_OF_TIME, FIRST_DAY, LAST_DAY, START_OF_TIME
from bailiwick_kit.database import migrations
from bailiwick_testkit.checkout import CHECKOUT, SERVICES
from bailiwick_testkit.servers.real import Postgres

UNGUARDED = """
SELECT t.relname || '.' || a.attname AS name FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid
WHERE t.relkind IN ('r', 'p') AND t.relnamespace = 'public'::regnamespace AND a.attnum > 0
  AND NOT a.attisdropped AND a.atttypid IN ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype)
  AND NOT EXISTS (
    SELECT FROM pg_constraint c
    WHERE c.conrelid = t.oid AND c.contype = 'c' AND c.convalidated
      AND pg_get_constraintdef(c.oid) = 'CHECK (isfinite(' || quote_ident(a.attname) || '))')
"""
COLUMNS = """
SELECT t.relname AS "table", a.attname AS name, format_type(a.atttypid, NULL) AS type
FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid
WHERE t.relkind = 'r' AND t.relnamespace = 'public'::regnamespace AND a.attnum > 0
  AND a.attidentity = '' AND t.relname <> 'alembic_version'
"""
MOMENTS = {"timestamp with time zone", "date"}


@dataclass(frozen=True)
class Old:
    """A database as the version before left it, open as the superuser."""

    service: str
    connection: asyncpg.Connection
    config: Config
    tables: dict[str, dict[str, str]]
    """Table → column → type; without identities."""

    @property
    def with_moments(self) -> list[str]:
        return [name for name, columns in self.tables.items() if MOMENTS & set(columns.values())]

    async def plant(self, table: str, number: int, moment: str, **other: str) -> None:
        """Write a row of the organization of this number, with that in each instant and day."""
        columns = self.tables[table]
        values = {
            name: f"'{moment}'" if type_ in MOMENTS else _value(name, type_, number)
            for name, type_ in columns.items()
        } | {name: f"'{value}'" for name, value in other.items() if name in columns}
        names, sent = ", ".join(values), ", ".join(values.values())
        statement = f"INSERT INTO {table} ({names}) VALUES ({sent})"  # noqa: S608
        await self.connection.execute(statement)

    async def moments(self, table: str) -> set[date | datetime]:
        names = [name for name, type_ in self.tables[table].items() if type_ in MOMENTS]
        rows = await self.connection.fetch(f"SELECT {', '.join(names)} FROM {table}")  # noqa: S608
        return {value for row in rows for value in row}


def _value(name: str, type_: str, number: int) -> str:
    text = "main" if name == "relation" else f"{name} {number}"
    return {
        "uuid": f"'00000000-0000-7000-8000-{number:012}'",
        "text": f"'{text}'",
        "boolean": "true",
        "jsonb": "'{}'",
        "bytea": rf"'\x{number:02}'",
        "text[]": "'{}'",
        "uuid[]": "'{}'",
    }.get(type_, "1")


@pytest.fixture(params=SERVICES)
async def old(request: pytest.FixtureRequest, postgres: Postgres) -> AsyncIterator[Old]:
    service = str(request.param)
    urls = await postgres.fresh_database(service, migrated=False)
    folder = Path("services", service, "src", f"bailiwick_{service}", "store", "migrations")
    [path] = (CHECKOUT / folder).glob("versions/*_instants_are_finite.py")
    roles = (f"{service}_api", f"{service}_worker")
    config = migrations._config(CHECKOUT / folder, urls.owner, *roles)
    await asyncio.to_thread(command.upgrade, config, f"{int(path.name[:4]) - 1:04}")
    connection = await asyncpg.connect(
        urlsplit(postgres.url)._replace(path=f"/{urls.name}").geturl()
    )
    tables: dict[str, dict[str, str]] = {}
    for row in await connection.fetch(COLUMNS):
        tables.setdefault(row["table"], {})[row["name"]] = row["type"]
    yield Old(service, connection, config, tables)
    await connection.close()
    await postgres.drop(urls)


async def test_infinite_instants_are_repaired_and_then_refused_in_every_table(old: Old) -> None:
    for table in old.with_moments:
        await old.plant(table, 1, "-infinity", valid_to="infinity", valid_until="infinity")
        await old.plant(table, 2, "infinity")
        await old.plant(table, 3, "2024-02-29", valid_to="2024-03-01")
    kept: set[date | datetime] = {
        datetime(2024, 2, 29, tzinfo=UTC),
        datetime(2024, 3, 1, tzinfo=UTC),
        date(2024, 2, 29),
    }
    await asyncio.to_thread(command.upgrade, old.config, "head")
    bounds = {START_OF_TIME, END_OF_TIME, FIRST_DAY, LAST_DAY}
    for table in old.with_moments:
        assert await old.moments(table) <= bounds | kept, table
        for moment in ("infinity", "-infinity"):
            with pytest.raises(asyncpg.CheckViolationError):
                await old.plant(table, 4, moment)
    assert await old.connection.fetch(UNGUARDED) == [], "call keep_finite(table) in its migration"


async def test_rows_that_become_alike_by_the_repair_do_not_stop_it(old: Old) -> None:
    """A cube's row meets the one of its new day; who was seen before all time is not seen twice."""
    expected: dict[str, Any] = {}
    if "sales" in old.tables:
        await old.plant("sales", 1, "-infinity")
        await old.plant("sales", 1, "1900-01-01")
        expected = {"sales": {"orders": 2, "pieces": Decimal(2), "net": Decimal(2)}}
    elif "visibility" in old.tables:
        await old.plant("visibility", 1, "-infinity", valid_to="infinity")
        early = {"valid_from": "1850-01-01", "valid_to": "1860-01-01"}
        await old.plant("visibility", 1, "-infinity", **early)
        expected = {"visibility": {"valid_from": START_OF_TIME, "valid_to": END_OF_TIME}}
    elif "assignments" in old.tables:
        await old.plant("assignments", 1, "-infinity", valid_to="1850-01-01")
        expected = {"assignments": {"valid_from": START_OF_TIME, "valid_to": START_OF_TIME}}
    await asyncio.to_thread(command.upgrade, old.config, "head")
    for table, values in expected.items():
        [row] = await old.connection.fetch(f"SELECT * FROM {table}")  # noqa: S608
        assert {name: row[name] for name in values} == values


async def test_a_column_that_takes_infinity_is_found(postgres: Postgres) -> None:
    urls = await postgres.fresh_database("customers", migrated=False)
    connection = await asyncpg.connect(urls.owner.replace("+asyncpg", ""))
    await connection.execute(
        "CREATE TABLE planted (at timestamptz, day date CHECK (isfinite(day)))"
    )
    assert [row["name"] for row in await connection.fetch(UNGUARDED)] == ["planted.at"]
    await connection.close()
    await postgres.drop(urls)
