"""Steps of a migration over tables that people work on meanwhile: none keeps anybody waiting for long.

A revision that touches a table with many rows takes these first, and what it makes anew after them. Each
step commits at once and may be repeated: a migration that ends half way begins its revision again, and finds
the steps that are done. What takes a table from readers holds it for a moment, and is waited for in turns of
`LOCK_TIMEOUT`, since whoever comes meanwhile waits behind it. What reads the whole table (an index, the
validation of a check) takes it from nobody, and rows are changed some thousand at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa
import structlog
from alembic import op
from sqlalchemy.exc import DBAPIError

from bailiwick_contracts.instants import END_OF_TIME, FIRST_DAY, LAST_DAY, START_OF_TIME

LOCK_TIMEOUT = 2
"""Seconds that a migration waits for a lock, and others behind it. More than the one second after which
autovacuum gives way (`deadlock_timeout`)."""
TRIES = 60
"""How often a step is tried whose lock others hold."""
PAUSE = 3.0
"""Seconds between two tries, for those who waited behind it."""
PIECE = 5_000
"""Rows that are looked at in one piece: those of them that change are locked together, for a moment."""

_INSTANTS = (START_OF_TIME.isoformat(), END_OF_TIME.isoformat())
_DAYS = (FIRST_DAY.isoformat(), LAST_DAY.isoformat())
_WHO = (
    "SELECT pid, application_name, xact_start, query FROM pg_stat_activity"
    " WHERE xact_start < now() - interval '2 s';"
)
_LOCK_NOT_AVAILABLE, _DEADLOCK = "55P03", "40P01"

_log = structlog.get_logger(__name__)
ResultT = TypeVar("ResultT")


class LockedOutError(Exception):
    """A table was in use all the time. It says what to do."""

    def __init__(self, statement: str) -> None:
        super().__init__(
            f"Others held a table all the time, {TRIES} times {LOCK_TIMEOUT} s: {statement}\n"
            f"Who: {_WHO}\nEnd it, or wait for it; then run migrate again: it goes on where it has stopped."
        )


def patiently(work: Callable[[], ResultT]) -> ResultT:
    """Do what may find a table locked, again and again.

    Raises:
        LockedOutError: it found it locked `TRIES` times.
    """
    tried = 0
    while True:
        try:
            return work()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in {_LOCK_NOT_AVAILABLE, _DEADLOCK}:
                raise
            tried, statement = tried + 1, " ".join((error.statement or "").split())[:120]
            if tried == TRIES:
                raise LockedOutError(statement) from error
            _log.warning("migrations.locked", tried=tried, statement=statement)
        time.sleep(PAUSE)


def step(work: Callable[[], ResultT]) -> ResultT:
    """Do what may be repeated, and commit it at once, with all that the revision did before."""
    with op.get_context().autocommit_block():
        return patiently(work)


def run(statement: str, bound: Mapping[str, object] | None = None) -> Sequence[sa.RowMapping]:
    """Run a statement as a step, and return its rows."""
    return step(lambda: _ask(statement, bound))


def _ask(statement: str, bound: Mapping[str, object] | None = None) -> Sequence[sa.RowMapping]:
    result = op.get_bind().execute(sa.text(statement), bound or {})
    return result.mappings().all() if result.returns_rows else ()


def add_column(table: str, column: sa.Column[Any]) -> None:
    """Add a column that is nullable, or has a constant for a default: PostgreSQL rewrites no row then."""
    step(lambda: op.add_column(table, column, if_not_exists=True))


def create_index(name: str, table: str, columns: Sequence[Any], **options: Any) -> None:
    """Make an index beside all who read and write; one that was left half made is made anew.

    `options` are those of `op.create_index`.
    """

    def build() -> None:
        found = _ask(_INDEX, {"name": name})
        if found and found[0]["indisvalid"]:
            return
        # It waits for transactions that began before it, and meanwhile nobody waits for it.
        _ask("SET lock_timeout = 0")
        try:
            if found:
                op.drop_index(name, table, postgresql_concurrently=True)
            op.create_index(name, table, columns, postgresql_concurrently=True, **options)
        finally:
            _ask(f"SET lock_timeout = '{LOCK_TIMEOUT}s'")

    step(build)


_INDEX = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)"


def add_checks(table: str, checks: Mapping[str, str]) -> None:
    """Refuse new rows that break a check; of rows that there are, `validate_checks` makes sure.

    Of checks (name → condition) that are there already, nothing changes.
    """

    def add() -> None:
        known = sa.inspect(op.get_bind()).get_check_constraints(table)
        new = checks.keys() - {one["name"] for one in known}
        if new:
            added = (
                f"ADD CONSTRAINT {name} CHECK ({checks[name]}) NOT VALID" for name in sorted(new)
            )
            _ask(f"ALTER TABLE {table} {', '.join(added)}")

    step(add)


def validate_checks(table: str, *names: str) -> None:
    """Make sure that all rows pass the checks, beside all who read and write."""
    if names:
        validated = ", ".join(f"VALIDATE CONSTRAINT {name}" for name in names)
        run(f"ALTER TABLE {table} {validated}")


def change_in_pieces(table: str, *changes: str) -> None:
    """Change a table's rows piece by piece, in the order of its key.

    `changes` are common table expressions (`fixed AS (UPDATE …)`) that change what belongs to the rows of
    `piece`, which has the columns of the key. What they do to a row again changes nothing.
    """
    key = _key_of(table)
    names = ", ".join(key)
    bound = [f"CAST(CAST(:after_{at} AS text) AS {type_})" for at, type_ in enumerate(key.values())]
    shown = ", ".join(f"CAST({name} AS text) AS after_{at}" for at, name in enumerate(key))
    backwards = ", ".join(f"piece.{name} DESC" for name in key)
    last: dict[str, object] = {}
    while True:
        later = f"WHERE ({names}) > ({', '.join(bound)})" if last else ""
        rows = f"SELECT {names} FROM {table} {later} ORDER BY {names} LIMIT {PIECE}"  # noqa: S608
        found = run(
            f"WITH piece AS MATERIALIZED ({rows}), {', '.join(changes)}"  # noqa: S608
            f" SELECT {shown} FROM piece ORDER BY {backwards} LIMIT 1",
            last,
        )
        if not found:
            return
        last = dict(found[0])


def _key_of(table: str) -> dict[str, str]:
    """Return the columns of a table's primary key, with their types."""
    return {row["name"]: row["type"] for row in run(_KEY, {"table": table})}


_KEY = """
SELECT quote_ident(a.attname) AS name, format_type(a.atttypid, a.atttypmod) AS type
FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS part (number, place)
JOIN pg_attribute a ON true
WHERE i.indrelid = CAST(:table AS regclass) AND i.indisprimary AND part.place <= i.indnkeyatts
  AND a.attrelid = i.indrelid AND a.attnum = part.number
ORDER BY part.place
"""


def show_all_organizations(*tables: str) -> None:
    """Let the owner see the rows of all organizations, until the migration ends."""
    for table in tables:
        if run(_IS_FORCED, {"table": table})[0]["relforcerowsecurity"]:
            run(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")


def isolate_owner(connection: sa.Connection) -> None:
    """Let the owner see one organization at a time again, wherever the working roles do."""

    def isolate(table: str) -> None:
        with connection.begin_nested():
            connection.execute(sa.text(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY"))
        connection.commit()

    tables = connection.scalars(sa.text(_NOT_FORCED)).all()
    connection.commit()
    for table in tables:
        patiently(partial(isolate, table))


_IS_FORCED = "SELECT relforcerowsecurity FROM pg_class WHERE oid = CAST(:table AS regclass)"
_NOT_FORCED = """
SELECT CAST(oid AS regclass)::text FROM pg_class
WHERE relkind IN ('r', 'p') AND relnamespace = CAST(current_schema AS regnamespace)
  AND relrowsecurity AND NOT relforcerowsecurity
"""


def make_finite(*tables: str) -> None:
    """Let no infinite instant or day into these tables any more; those that are there are repaired.

    An infinite one comes back from the driver without a zone, and every comparison in Python fails.
    -infinity becomes START_OF_TIME, infinity the open end, and of days the first and the last. Of a
    table that has some of the checks, only new columns get theirs.
    """
    for table in tables:
        columns = moments_of(table)
        checks = finite_checks(table, columns)
        add_checks(table, checks)
        show_all_organizations(table)
        _repair(table, columns)
        validate_checks(table, *checks)


def moments_of(table: str) -> dict[str, bool]:
    """Return a table's instants and days, with whether each is an instant."""
    return {
        column["name"]: isinstance(column["type"], sa.DateTime)
        for column in sa.inspect(op.get_bind()).get_columns(table)
        if isinstance(column["type"], sa.DateTime | sa.Date)
    }


def finite_checks(table: str, columns: Mapping[str, bool]) -> dict[str, str]:
    """Return the checks that keep them finite, by name."""
    return {f"{table}_{column}_finite": f"isfinite({column})" for column in columns}


def _repair(table: str, columns: Mapping[str, bool]) -> None:
    """Bring the rows that have an infinite value within the bounds; `columns`: is it an instant."""
    infinite = " OR ".join(f"NOT isfinite({table}.{name})" for name in columns)
    if not run(f"SELECT 1 FROM {table} WHERE {infinite} LIMIT 1"):  # noqa: S608
        return
    # All of such a row: where one end of an interval moves, the other may not stay before it.
    moved = ", ".join(
        f"{name} = CASE WHEN {table}.{name} < '{first}' THEN '{first}'"
        f" WHEN {table}.{name} > '{last}' THEN '{last}' ELSE {table}.{name} END"
        for name, is_instant in columns.items()
        for first, last in [_INSTANTS if is_instant else _DAYS]
    )
    is_its = " AND ".join(f"{table}.{name} = piece.{name}" for name in _key_of(table))
    change_in_pieces(
        table,
        f"repaired AS (UPDATE {table} SET {moved} FROM piece WHERE {is_its} AND ({infinite}))",  # noqa: S608
    )
