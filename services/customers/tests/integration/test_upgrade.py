"""What a version before has stored goes on by the rules of this one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa
from alembic import command
from sqlalchemy.ext.asyncio import create_async_engine

import bailiwick_customers.store
from bailiwick_customers.store.searching import Refolding, find, narrowed
from bailiwick_customers.store.tables import customers
from bailiwick_kit.clock import END_OF_TIME
from bailiwick_kit.database import migrations
from bailiwick_kit.database.engine import Database
from bailiwick_testkit.servers.real import Postgres

_INSERT = sa.text(
    "INSERT INTO assignments (org_id, assignment_id, customer_id, member_id, relation, origin,"
    " valid_from, valid_to, created_by, changeset_id, version, seq) VALUES (:org_id, :id, :org_id,"
    " :id, 'main', 'direct', :begins, :ends, :org_id, :changeset_id, :version, 1)"
)


_CUSTOMER = sa.text(
    "INSERT INTO customers (org_id, customer_id, code, name, search, tax_id, status, contacts, addresses,"
    " city, tags, created_by, listed_at, imported, version, seq) VALUES (:org_id, :id, :code, :name, '',"
    " 'B-1', 'approved', '[{\"name\": \"José\", \"phone\": \"600 11\"}]', '[]', 'Łódź', '{}', :org_id,"
    " now(), false, 1, 1)"
)


async def test_what_the_version_before_wrote_is_found_after_the_upgrade_and_while_both_run(
    postgres: Postgres,
) -> None:
    urls = await postgres.fresh_database("customers", migrated=False)
    folder = Path(bailiwick_customers.store.__file__).parent / "migrations"
    [path] = folder.glob("versions/*_customers_are_searched_by_words.py")
    config = migrations._config(folder, urls.owner, "customers_api", "customers_worker")
    await asyncio.to_thread(command.upgrade, config, f"{int(path.name[:4]) - 1:04}")
    org_id, first, second = uuid4(), uuid4(), uuid4()
    engine = create_async_engine(urls.owner)
    isolated = sa.text("SELECT set_config('app.org', :org_id, false)")
    async with engine.begin() as connection:
        await connection.execute(isolated, {"org_id": str(org_id)})
        await connection.execute(
            _CUSTOMER, {"org_id": org_id, "id": first, "code": "AB", "name": "L’Été ☀"}
        )
    await asyncio.to_thread(command.upgrade, config, "head")

    async def found(text: str, *, looks_up: bool = False) -> bool:
        async with database.reading(org_id) as connection:
            sought = await find(connection, org_id, text, looks_up=looks_up, in_portfolio=False)
            if sought is None:
                return False
            rows = narrowed(sa.select(customers.c.customer_id), sought.shape)
            bound = {**sought.bound, "org_id": org_id}
            return bool((await connection.execute(rows, bound)).all())

    async with Database(urls.worker, name="test") as database:
        for text in ("l'ete", "lodz", "b1", "jose 60011", "ab"):
            assert await found(text), text
        assert await found("ete lodz", looks_up=True)
        assert not await found("jose", looks_up=True)
        async with database.writing(org_id) as connection:  # as the version before writes
            await connection.execute(
                sa.text("INSERT INTO change_counters VALUES (:o, 1)"), {"o": org_id}
            )
            await connection.execute(customers.update().values(name="Sœur", contacts=[], version=2))
            await connection.execute(
                _CUSTOMER, {"org_id": org_id, "id": second, "code": "CD", "name": "Sol"}
            )
        await Refolding(database).catch_up()
        for text in ("soeur", "sol jose", "cd"):
            assert await found(text), text
        for text in ("ete", "ab jose"):
            assert not await found(text), text
    await engine.dispose()
    await postgres.drop(urls)


async def test_a_plan_of_the_version_before_gives_its_time_back_too(postgres: Postgres) -> None:
    urls = await postgres.fresh_database("customers", migrated=False)
    folder = Path(bailiwick_customers.store.__file__).parent / "migrations"
    [path] = folder.glob("versions/*_plans_give_their_time_back.py")
    config = migrations._config(folder, urls.owner, "customers_api", "customers_worker")
    await asyncio.to_thread(command.upgrade, config, f"{int(path.name[:4]) - 1:04}")
    org_id, act, today = uuid4(), uuid4(), datetime.now(UTC)
    begins = (today - timedelta(days=9), today + timedelta(days=9), today + timedelta(days=40))
    rows = [  # Ana until Bruno's month, planned in the same act; Carla from a day on, by an act of her own
        {"begins": begins[0], "ends": begins[1], "version": 2, "changeset_id": act},
        {"begins": begins[1], "ends": begins[2], "version": 1, "changeset_id": act},
        {"begins": begins[2], "ends": END_OF_TIME, "version": 1, "changeset_id": uuid4()},
    ]
    engine = create_async_engine(urls.owner)
    async with engine.begin() as connection:
        isolated = sa.text("SELECT set_config('app.org', :org_id, false)")
        await connection.execute(isolated, {"org_id": str(org_id)})
        await connection.execute(
            _INSERT, [{"id": uuid4(), "org_id": org_id, **row} for row in rows]
        )
    await engine.dispose()
    await asyncio.to_thread(command.upgrade, config, "head")
    async with engine.begin() as connection:
        await connection.execute(isolated, {"org_id": str(org_id)})
        own_ends = sa.text("SELECT own_end FROM assignments ORDER BY valid_from")
        assert (await connection.execute(own_ends)).scalars().all() == [begins[2], None, None]
    await engine.dispose()
    await postgres.drop(urls)
