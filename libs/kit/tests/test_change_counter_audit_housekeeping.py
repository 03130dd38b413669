"""Numbers without gaps, trails that only grow, and rows that are deleted when their time has come."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from bailiwick_kit.database import audit as trail
from bailiwick_kit.process import housekeeping
from bailiwick_kit.process.housekeeping import Housekeeping
from bailiwick_kit.replication.change_counter import next_numbers
from bailiwick_kit.web.idempotency import idempotency_keys
from bailiwick_testkit.services.toy import (
    Things,
    audit,
    change_counters,
    changed,
    inbox,
    originals,
    outbox,
    upsert,
)
from bailiwick_testkit.waiting import running, until

ORG, OTHER = UUID(int=1), UUID(int=2)


class ChangedMindError(Exception):
    """What rolls a transaction back."""


async def test_numbers_have_no_gaps_whoever_comes_at_once_and_whoever_gives_up(
    silent: Things,
) -> None:
    taken: list[int] = []
    seen: list[bool] = []

    async def take(number: int) -> None:
        org_id = OTHER if number % 10 == 0 else ORG
        async with silent.api.writing(org_id) as connection:
            numbers = await next_numbers(connection, change_counters, org_id, 1 + number % 3)
            # Who has a number sees everything committed that was done under a lower one.
            done = await connection.scalar(sa.select(sa.func.count()).select_from(originals))
            seen.append(done == numbers.start - 1)
            for each in numbers:
                await upsert(connection, originals, changed(org_id, UUID(int=each)))
            if number % 4 == 1:
                raise ChangedMindError
        if org_id == ORG:
            taken.extend(numbers)

    await asyncio.gather(*(take(number) for number in range(120)), return_exceptions=True)
    assert sorted(taken) == list(range(1, len(taken) + 1))
    assert (len(seen), all(seen)) == (120, True)
    assert await silent.one("SELECT seq FROM change_counters WHERE org_id = $1", ORG) == len(taken)


async def test_a_trail_commits_with_its_effect_and_can_only_grow(silent: Things) -> None:
    row = {
        "org_id": ORG,
        "at": datetime.now(UTC),
        "member_id": uuid4(),
        "action": "thing.change",
        "entity_id": uuid4(),
    }
    async with silent.api.writing(ORG) as connection:
        await trail.note(connection, audit, **row, details={"from": 1})  # type: ignore[arg-type]

    async def change_mind() -> None:
        async with silent.api.writing(ORG) as connection:
            await trail.note(connection, audit, **row)  # type: ignore[arg-type]
            raise ChangedMindError

    with pytest.raises(ChangedMindError):
        await change_mind()
    assert [dict(r)["action"] for r in await silent.ask("SELECT * FROM audit")] == ["thing.change"]
    for statement in ("DELETE FROM audit", "UPDATE audit SET action = ''", "TRUNCATE audit"):
        with pytest.raises(DBAPIError, match="permission denied"):
            async with silent.worker.writing(ORG) as connection:
                await connection.exec_driver_sql(statement)


async def test_what_is_past_its_time_goes_in_bounded_steps_and_nothing_else(
    silent: Things, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "AT_ONCE", 3)
    keys = idempotency_keys(sa.MetaData())
    await silent.ask(
        "CREATE TABLE idempotency_keys (org_id uuid, caller uuid, method text, path text, key text,"
        " fingerprint text, entity_id uuid, version bigint, status smallint, created_at timestamptz)"
    )
    await silent.ask("GRANT ALL ON idempotency_keys TO things_worker")
    await silent.ask("""
        INSERT INTO outbox (event_id, org_id, subject, type, body, sent_at)
        SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), kind, '',
               now() - age::interval
        FROM generate_series(1, 5),
             (VALUES ('sent long ago', '15 days'), ('sent', '13 days'), ('unsent', NULL)) v (kind, age)
    """)
    await silent.ask("""
        INSERT INTO inbox (event_id, type, arrived_at, done_at)
        SELECT gen_random_uuid(), kind, now() - arrived::interval, now() - done::interval
        FROM generate_series(1, 5),
             (VALUES ('old', '31 days', '31 days'), ('never done', '31 days', NULL),
                     ('replayed', '31 days', '1 day'), ('new', '29 days', '29 days'))
             v (kind, arrived, done)
    """)
    await silent.ask("""
        INSERT INTO idempotency_keys
        SELECT gen_random_uuid(), gen_random_uuid(), 'POST', '/things', key, '', gen_random_uuid(), 1, 201,
               now() - age::interval
        FROM generate_series(1, 5), (VALUES ('old', '25 hours'), ('new', '23 hours')) v (key, age)
    """)
    deleted: list[int] = []

    def count(_: object, cursor: Any, statement: str, *__: object) -> None:
        if statement.startswith("DELETE"):
            deleted.append(cursor.rowcount)

    sa.event.listen(silent.worker.engine.sync_engine, "after_cursor_execute", count)
    await Housekeeping(silent.worker, outbox, keys, inbox).tidy()
    assert max(deleted) == 3

    async def left(table: str, column: str = "type") -> dict[str, int]:
        rows = await silent.ask(f"SELECT {column} AS kind, count(*) FROM {table} GROUP BY 1")  # noqa: S608
        return {row["kind"]: row["count"] for row in rows}

    assert await left("outbox") == {"sent": 5, "unsent": 5}
    assert await left("inbox") == {"replayed": 5, "new": 5}
    assert await left("idempotency_keys", "key") == {"new": 5}
    assert timedelta(days=14) == housekeeping.SENT_KEPT


async def test_what_cannot_be_tidied_holds_up_nothing_else(silent: Things) -> None:
    await silent.ask("""
        INSERT INTO inbox (event_id, type, arrived_at, done_at)
        VALUES (gen_random_uuid(), 'old', now() - interval '31 days', now() - interval '31 days')
    """)
    missing = idempotency_keys(sa.MetaData())

    async def is_tidied() -> bool:
        return not await silent.ask("SELECT * FROM inbox")

    with capture_logs() as logs:
        async with running(Housekeeping(silent.worker, outbox, missing, inbox).run):
            await until(is_tidied)
    failed = [(line["event"], line["kind"]) for line in logs]
    assert failed == [("housekeeping.failed", "idempotency_keys")]


async def test_housekeeping_leaves_alone_what_a_service_does_not_have(silent: Things) -> None:
    await silent.ask("""
        INSERT INTO inbox (event_id, type, arrived_at, done_at)
        VALUES (gen_random_uuid(), 'old', now() - interval '31 days', now() - interval '31 days')
    """)
    await Housekeeping(silent.worker, inbox=inbox).tidy()
    assert not await silent.ask("SELECT * FROM inbox")
    await Housekeeping(silent.worker).tidy()
