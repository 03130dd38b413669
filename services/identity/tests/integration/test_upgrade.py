"""What the version before has stored, and goes on to store, is found by the rules of this one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID, uuid4

import sqlalchemy as sa
from alembic import command
from sqlalchemy.ext.asyncio import create_async_engine

import bailiwick_identity.store
from bailiwick_identity.store.queries import found_by
from bailiwick_identity.store.tables import members
from bailiwick_kit.database import migrations
from bailiwick_testkit.servers.real import Postgres

_MEMBER = sa.text(
    "INSERT INTO members (org_id, member_id, kind, mode, permissions, ticks, collections, status,"
    " valid_from, valid_until, name, email, language, version, seq, listed_at, search)"
    " VALUES (:org_id, :id, 'member', 'permissions', '{}', '{}', '{}', 'active', '2026-01-01',"
    " '9999-12-31', :name, 'a@wines.example', 'es', 1, 1, '2026-01-01', :search)"
)


async def test_members_of_the_version_before_are_found_by_their_words(postgres: Postgres) -> None:
    urls = await postgres.fresh_database("identity", migrated=False)
    folder = Path(bailiwick_identity.store.__file__).parent / "migrations"
    [path] = folder.glob("versions/*_members_are_searched_by_words.py")
    config = migrations._config(folder, urls.owner, "identity_api", "identity_worker")
    await asyncio.to_thread(command.upgrade, config, f"{int(path.name[:4]) - 1:04}")
    org_id, engine = uuid4(), create_async_engine(urls.owner)
    isolated = sa.text("SELECT set_config('app.org', :org_id, false)")

    async def write(member_id: UUID, name: str, search: str) -> None:
        async with engine.begin() as connection:
            await connection.execute(isolated, {"org_id": str(org_id)})
            row = {"org_id": org_id, "id": member_id, "name": name, "search": search}
            await connection.execute(_MEMBER, row)

    async def found(text: str) -> Iterable[UUID]:
        async with engine.begin() as connection:
            await connection.execute(isolated, {"org_id": str(org_id)})
            statement = sa.select(members.c.member_id).where(*found_by(text))
            return (await connection.execute(statement)).scalars().all()

    before, beside = uuid4(), uuid4()
    await write(before, "Łucja O’Brien", "łucja o’brien a@wines.example")
    await asyncio.to_thread(command.upgrade, config, "head")
    await write(beside, "Bruno", "bruno a@wines.example")
    assert await found("obrien lucja") == [before]
    assert await found("bruno") == [beside]
    async with engine.begin() as connection:  # as the version before changes a name
        await connection.execute(isolated, {"org_id": str(org_id)})
        changed = {"name": "Zoë", "search": "zoe a@wines.example", "version": 2}
        await connection.execute(
            members.update().where(members.c.member_id == before).values(**changed)
        )
    assert await found("zoe") == [before]
    assert await found("lucja") == []
    await engine.dispose()
    await postgres.drop(urls)
