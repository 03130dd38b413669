"""What identity keeps for a while only goes in bounded pieces, each found by an index on its time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from bailiwick_identity.store.expiry import SessionExpiry, kinds
from bailiwick_kit.database.engine import Database
from bailiwick_kit.process.housekeeping import AT_ONCE, deletion
from bailiwick_testkit.services.identity import IdentityService

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
YOUNG = 7
_ID = "gen_random_uuid()"
ROWS = {
    "sign_in_attempts": "sha256({0}::text::bytea), 1, {1}",
    "refresh_tokens": f"sha256({{0}}::text::bytea), {_ID}, {{1}}, NULL",
    "sessions": f"{_ID}, {_ID}, {_ID}, {_ID}, {{1}}, {{1}}, NULL",
}
INDEXES = {
    "sign_in_attempts": "sign_in_attempts_since",
    "refresh_tokens": "refresh_tokens_issued",
    "sessions": "sessions_expiry",
}


async def fill(house: IdentityService, old: int, young: int) -> None:
    """Put rows into each table that has rows for a while only: past their time, and of today."""
    api = Database(house.urls.api, pool=1, deadline=120)
    async with api.writing(None) as connection:
        for table, values in ROWS.items():
            for number, first, at in ((old, 1, NOW - timedelta(days=400)), (young, -young, NOW)):
                row = values.format("n", f"'{at.isoformat()}'::timestamptz")
                numbers = f"generate_series({first}, {first + number - 1}) AS n"
                await connection.exec_driver_sql(f"INSERT INTO {table} SELECT {row} FROM {numbers}")  # noqa: S608
    await api.close()


async def left(house: IdentityService, table: sa.Table) -> int:
    async with house.database.reading(None) as connection:
        return int(
            (await connection.execute(sa.select(sa.func.count()).select_from(table))).scalar_one()
        )


def scans(plan: dict[str, Any]) -> list[tuple[str, str | None]]:
    """Return how a plan reads tables: node type and index, parts included."""
    here = [(plan["Node Type"], plan.get("Index Name"))] if "Scan" in plan["Node Type"] else []
    return here + [one for part in plan.get("Plans", ()) for one in scans(part)]


async def plan_of(
    house: IdentityService, table: sa.Table, past: sa.ColumnElement[bool]
) -> dict[str, Any]:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    compiled = deletion(table, past).compile(
        dialect=dialect, compile_kwargs={"literal_binds": True}
    )
    async with house.database.reading(None) as connection:
        found = await connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {compiled}")
        plan: dict[str, Any] = found.scalar_one()[0]["Plan"]
        return plan


async def expires(house: IdentityService, old: int) -> None:
    """Let so many rows of each kind expire, and see how."""
    await fill(house, old, YOUNG)
    deleted: list[int] = []

    def count(_: object, cursor: Any, statement: str, *__: object) -> None:
        if statement.startswith("DELETE"):
            deleted.append(cursor.rowcount)

    sa.event.listen(house.database.engine.sync_engine, "after_cursor_execute", count)
    await SessionExpiry(house.database).tidy(NOW)

    assert max(deleted) == AT_ONCE
    assert len(deleted) == len(ROWS) * (old // AT_ONCE + 1)
    for table, _ in kinds(NOW):
        assert await left(house, table) == YOUNG, table.name


async def test_what_is_over_goes_in_bounded_pieces_and_what_is_not_stays(
    house: IdentityService,
) -> None:
    await expires(house, AT_ONCE + 1000)


@pytest.mark.slow
async def test_a_hundred_thousand_rows_of_each_kind_go_in_bounded_pieces(
    house: IdentityService,
) -> None:
    await expires(house, 100_000)


async def test_each_piece_is_found_by_an_index_among_rows_that_stay(house: IdentityService) -> None:
    await fill(house, 1000, 20_000)
    owner = Database(house.urls.owner, pool=1)
    async with owner.reading(None) as connection:
        for name in ROWS:
            await connection.exec_driver_sql(f"ANALYZE {name}")
    await owner.close()

    for table, past in kinds(NOW):
        found = scans(await plan_of(house, table, past))
        assert INDEXES[table.name] in [index for _, index in found], found
        assert {kind for kind, _ in found} <= {"Tid Scan", "Index Scan", "Bitmap Index Scan"}, found
