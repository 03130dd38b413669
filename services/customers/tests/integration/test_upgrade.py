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
from bailiwick_kit import migrations
from bailiwick_kit.clock import END_OF_TIME
from bailiwick_testkit.servers import Postgres

_INSERT = sa.text(
    "INSERT INTO assignments (org_id, assignment_id, customer_id, member_id, relation, origin,"
    " valid_from, valid_to, created_by, changeset_id, version, seq) VALUES (:org_id, :id, :org_id,"
    " :id, 'main', 'direct', :begins, :ends, :org_id, :changeset_id, :version, 1)"
)


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
