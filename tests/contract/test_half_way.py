"""A migration that ends half way, at any revision, goes on at the next start and makes the same tables."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest
from alembic import command
from alembic.runtime.migration import HeadMaintainer, RevisionStep

from bailiwick_kit.database import migrations
from bailiwick_launcher.databases import DatabaseUrls
from bailiwick_testkit.checkout import CHECKOUT, SERVICES
from bailiwick_testkit.servers.real import Postgres
from bailiwick_testkit.services.large_company import superuser_dsn

TABLES = """
SELECT 'column', c.oid::regclass::text, concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod),
    a.attnotnull, pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum), a.attacl::text)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
UNION ALL SELECT 'table', oid::regclass::text, concat_ws(' ', relacl::text, relrowsecurity,
    relforcerowsecurity, obj_description(oid, 'pg_class'))
FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
UNION ALL SELECT 'check', conrelid::regclass::text, concat_ws(' ', conname, pg_get_constraintdef(oid))
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT 'index', tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT 'half', indexrelid::regclass::text, '' FROM pg_index WHERE NOT indisvalid
UNION ALL SELECT 'policy', tablename, concat_ws(' ', policyname, roles::text, qual, with_check)
FROM pg_policies ORDER BY 1, 2, 3
"""


async def tables(postgres: Postgres, urls: DatabaseUrls) -> list[tuple[str, ...]]:
    connection = await asyncpg.connect(superuser_dsn(postgres, urls))
    try:
        return [tuple(row) for row in await connection.fetch(TABLES)]
    finally:
        await connection.close()


@pytest.mark.parametrize("service", SERVICES)
async def test_a_migration_that_ends_before_a_revision_is_whole_goes_on(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    whole = await postgres.fresh_database(service)
    half = await postgres.fresh_database(service, migrated=False)
    folder = Path("services", service, "src", f"bailiwick_{service}", "store", "migrations")
    roles = (f"{service}_api", f"{service}_worker")
    config = migrations._config(CHECKOUT / folder, half.owner, *roles)
    killed, note = list[str](), HeadMaintainer.update_to_step

    def killed_before_it_is_noted(self: HeadMaintainer, step: RevisionStep) -> None:
        """Lose what is not committed, when all of a revision is done, and begin with it again."""
        killed.append(step.revision.revision)
        migration, connection = self.context, self.context.connection
        assert migration._transaction is not None
        assert connection is not None
        migration._transaction.rollback()
        migration._transaction = connection.begin()
        step.migration_fn()
        note(self, step)

    await asyncio.to_thread(command.upgrade, config, "0001")
    monkeypatch.setattr(HeadMaintainer, "update_to_step", killed_before_it_is_noted)
    await asyncio.to_thread(command.upgrade, config, "head")
    revisions = [one.name[:4] for one in (CHECKOUT / folder / "versions").glob("*.py")]
    assert killed == sorted(revisions)[1:]
    assert await tables(postgres, half) == await tables(postgres, whole)
    for urls in (whole, half):
        await postgres.drop(urls)
