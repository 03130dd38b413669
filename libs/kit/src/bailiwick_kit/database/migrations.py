"""Migrations: run by the owner role, one at a time, with rights and row-level security said beside a table.

`upgrade` may be started by several at once; an advisory lock lets one work and the others find nothing
left to do. A database that a newer version has been at is left as it is: whoever goes back to this one
finds all that it needs, since a migration takes away nothing that the version before it uses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
import structlog
from alembic import command, context, op
from alembic.config import Config
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from bailiwick_contracts.instants import END_OF_TIME, FIRST_DAY, LAST_DAY, START_OF_TIME

_INSTANTS = (START_OF_TIME.isoformat(), END_OF_TIME.isoformat())
_DAYS = (FIRST_DAY.isoformat(), LAST_DAY.isoformat())

_log = structlog.get_logger(__name__)


def upgrade(directory: Path, url: str, *, api_role: str, worker_role: str) -> None:
    """Bring the database to the newest revision in `directory`; the roles are granted what they need."""
    command.upgrade(_config(directory, url, api_role, worker_role), "head")


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
    context.configure(connection=connection, target_metadata=metadata, compare_type=True)
    with context.begin_transaction():
        connection.execute(
            sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(f"bailiwick.{service}")))
        )
        if newer := _unknown(context.get_context().get_current_heads()):
            _log.warning("migrations.newer-database", service=service, revision=newer)
            return
        context.run_migrations()


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
    """Let no infinite instant or day into these tables any more; those that are there are repaired.

    An infinite one comes back from the driver without a zone, and every comparison in Python fails.
    -infinity becomes START_OF_TIME, infinity the open end, and of days the first and the last. Of a
    table that has some of the checks, only new columns get theirs.
    """
    inspector = sa.inspect(op.get_bind())
    for table in tables:
        columns = {
            column["name"]: isinstance(column["type"], sa.DateTime)
            for column in inspector.get_columns(table)
            if isinstance(column["type"], sa.DateTime | sa.Date)
        }
        _repair(table, columns)
        known = {check["name"] for check in inspector.get_check_constraints(table)}
        named = {f"{table}_{column}_finite": column for column in columns}
        checks = (
            f"ADD CONSTRAINT {name} CHECK (isfinite({named[name]}))"
            for name in named.keys() - known
        )
        op.execute(f"ALTER TABLE {table} {', '.join(checks)}")


def _repair(table: str, columns: Mapping[str, bool]) -> None:
    """Bring the rows that have an infinite value within the bounds; `columns`: is it an instant."""
    # All of such a row: where one end of an interval moves, the other may not stay before it.
    moved = ", ".join(
        f"{name} = CASE WHEN {name} < '{first}' THEN '{first}' WHEN {name} > '{last}' THEN '{last}'"
        f" ELSE {name} END"
        for name, is_instant in columns.items()
        for first, last in [_INSTANTS if is_instant else _DAYS]
    )
    infinite = " OR ".join(f"NOT isfinite({name})" for name in columns)
    with every_organization(table):
        op.execute(f"UPDATE {table} SET {moved} WHERE {infinite}")  # noqa: S608


@contextmanager
def every_organization(table: str) -> Iterator[None]:
    """Let the owner see the rows of all organizations, to repair them, until the block ends."""
    statement = "SELECT relforcerowsecurity FROM pg_class WHERE oid = CAST(:name AS regclass)"
    isolated = op.get_bind().scalar(sa.text(statement), {"name": table})
    if isolated:
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    yield
    if isolated:
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def show_all_to_worker(table: str) -> None:
    """Let the worker role alone see all organizations' rows: for heads and for housekeeping."""
    worker = context.config.attributes["worker_role"]
    op.execute(f'CREATE POLICY all_organizations ON {table} TO "{worker}" USING (true)')
