"""Migrations: run by the owner role, one at a time, with rights and row-level security said beside a table.

`upgrade` may be started by several at once; an advisory lock lets one work and the others find nothing
left to do. A database that a newer version has been at is left as it is: whoever goes back to this one
finds all that it needs, since a migration takes away nothing that the version before it uses.

People work meanwhile. Each revision is a transaction of its own, and short; what is not goes in
`migration_steps`. No statement waits longer than a moment for a lock, and with it whoever comes after it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
import structlog
from alembic import command, context, op
from alembic.config import Config
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from bailiwick_kit.database.migration_steps import (
    LOCK_TIMEOUT,
    finite_checks,
    isolate_owner,
    moments_of,
    patiently,
)

_TURN_EVERY = 0.5
"""Seconds between looks at whether another migration of the service has ended."""

_log = structlog.get_logger(__name__)


def upgrade(directory: Path, url: str, *, api_role: str, worker_role: str) -> None:
    """Bring the database to the newest revision in `directory`; the roles are granted what they need.

    Raises:
        LockedOutError: others held a table all the time; what was done by then stays.
    """
    config = _config(directory, url, api_role, worker_role)
    patiently(lambda: command.upgrade(config, "head"))


def check(directory: Path, url: str) -> None:
    """Raise where tables in code and in the database differ."""
    command.check(_config(directory, url, "", ""))


def _config(directory: Path, url: str, api_role: str, worker_role: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(directory))
    config.attributes.update(url=url, api_role=api_role, worker_role=worker_role)
    return config


def run(metadata: sa.MetaData, service: str) -> None:
    """Run the migrations; the whole of a service's `env.py`."""
    asyncio.run(_run(context.config.attributes["url"], metadata, service))


async def _run(url: str, metadata: sa.MetaData, service: str) -> None:
    engine = create_async_engine(url, poolclass=sa.pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(_migrate, metadata, service)
        await connection.commit()
    await engine.dispose()


def _migrate(connection: Connection, metadata: sa.MetaData, service: str) -> None:
    connection.execute(sa.text(f"SET lock_timeout = '{LOCK_TIMEOUT}s'"))
    _wait_for_turn(connection, service)
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        if newer := _unknown(context.get_context().get_current_heads()):
            _log.warning("migrations.newer-database", service=service, revision=newer)
            return
        context.run_migrations()
        isolate_owner(connection)


def _wait_for_turn(connection: Connection, service: str) -> None:
    """Wait until no other migration of the service is at work, and keep others out until disconnected.

    Between looks, and never within a statement: an index that is made beside others waits for every
    statement that began before it, this one included.
    """
    turn = sa.select(sa.func.pg_try_advisory_lock(sa.func.hashtext(f"bailiwick.{service}")))
    is_said = False
    while not connection.scalar(turn):
        connection.commit()
        if not is_said:
            _log.info("migrations.another-is-at-work", service=service)
            is_said = True
        time.sleep(_TURN_EVERY)
    connection.commit()


def _unknown(revisions: Sequence[str]) -> str | None:
    known = {script.revision for script in context.script.walk_revisions()}
    return next((revision for revision in revisions if revision not in known), None)


def grant(table: str, *, api: Sequence[str] = (), worker: Sequence[str] = ()) -> None:
    """Grant rights on a table (`select`, `insert`, `update`, `delete`) to the two working roles."""
    attributes = context.config.attributes
    for role, rights in ((attributes["api_role"], api), (attributes["worker_role"], worker)):
        if rights:
            op.execute(f'GRANT {", ".join(rights)} ON {table} TO "{role}"')


def isolate(table: str) -> None:
    """Let a session see and write the rows of the organization in `app.org` only, and none without one."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY one_organization ON {table} USING "
        "(org_id = NULLIF(current_setting('app.org', true), '')::uuid)"
    )


def keep_finite(*tables: str) -> None:
    """Let no infinite instant or day into tables that this revision makes; `make_finite` is for others."""
    for table in tables:
        checks = finite_checks(table, moments_of(table)).items()
        added = ", ".join(f"ADD CONSTRAINT {name} CHECK ({check})" for name, check in checks)
        op.execute(f"ALTER TABLE {table} {added}")


def show_all_to_worker(table: str) -> None:
    """Let the worker role alone see all organizations' rows: for heads and for housekeeping."""
    worker = context.config.attributes["worker_role"]
    op.execute(f'CREATE POLICY all_organizations ON {table} TO "{worker}" USING (true)')
