"""The pool: one organization at a time, whatever callers do to their requests (S20, F9)."""

import asyncio
import random
from collections import Counter
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_kit.database.engine import Database, plan_for_values
from bailiwick_kit.errors import Conflict
from bailiwick_kit.web.problems import answer_to
from bailiwick_testkit.services.toy import Things, changed, originals, upsert
from bailiwick_testkit.waiting import until

ORG, OTHER = UUID(int=1), UUID(int=2)
SETTING = "SELECT coalesce(current_setting('app.org', true), '')"
BACKEND = "SELECT pg_backend_pid()"


async def seed(things: Things, *org_ids: UUID) -> None:
    for org_id in org_ids:
        async with things.api.writing(org_id) as connection:
            for number in range(3):
                await upsert(connection, originals, changed(org_id, UUID(int=number)))


async def organizations_seen(database: Database, org_id: UUID | None) -> Counter[UUID]:
    async with database.reading(org_id) as connection:
        rows = await connection.execute(sa.select(originals.c.org_id))
        return Counter(row.org_id for row in rows)


async def test_a_session_sees_one_organization_and_without_the_setting_none(silent: Things) -> None:
    await seed(silent, ORG, OTHER)
    assert await organizations_seen(silent.api, ORG) == {ORG: 3}
    assert await organizations_seen(silent.api, OTHER) == {OTHER: 3}
    assert await organizations_seen(silent.api, None) == {}
    async with (
        silent.api.engine.connect() as bare
    ):  # never set at all: no rows, and no error either
        assert (await bare.execute(sa.select(originals))).all() == []


async def test_the_setting_is_cleared_when_the_connection_goes_back(silent: Things) -> None:
    async with silent.api.reading(ORG) as connection:
        assert (await connection.exec_driver_sql(SETTING)).scalar() == str(ORG)
    async with silent.api.writing(ORG) as connection:
        assert (await connection.exec_driver_sql(SETTING)).scalar() == str(ORG)
    for _ in range(3):
        async with silent.api.engine.connect() as connection:
            assert (await connection.exec_driver_sql(SETTING)).scalar() == ""


async def test_another_organizations_row_cannot_be_written(silent: Things) -> None:
    with pytest.raises(DBAPIError, match="row-level security"):
        async with silent.api.writing(ORG) as connection:
            await upsert(connection, originals, changed(OTHER))


async def test_the_api_role_owns_nothing_and_cannot_read_the_outbox(silent: Things) -> None:
    statement = """
        SELECT count(*) FROM pg_class WHERE relowner = 'things_api'::regrole
           OR (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = 'things_api')
    """
    assert await silent.one(statement) == 0
    for refused in ("SELECT 1 FROM outbox", "SELECT 1 FROM inbox", "CREATE TABLE t (a int)"):
        with pytest.raises(DBAPIError, match="permission denied"):
            async with silent.api.writing(ORG) as connection:
                await connection.exec_driver_sql(refused)


@pytest.mark.parametrize("with_condition", [True, False], ids=["both-guards", "row-security-alone"])
async def test_of_1000_interleaved_requests_a_third_cancelled_none_sees_foreign_rows(
    silent: Things, *, with_condition: bool
) -> None:
    org_ids = [UUID(int=number + 1) for number in range(50)]
    await seed(silent, *org_ids)
    chance = random.Random(20261122)  # noqa: S311 - no secret
    statement = sa.select(originals.c.org_id)
    outcomes: Counter[str] = Counter()

    async def request(database: Database, org_id: UUID, *, is_write: bool) -> None:
        lend = database.writing if is_write else database.reading
        async with lend(org_id) as connection:
            asked = statement.where(originals.c.org_id == org_id) if with_condition else statement
            rows = (await connection.execute(asked)).all()
            outcomes["foreign"] += sum(row.org_id != org_id for row in rows)
            outcomes["own"] += sum(row.org_id == org_id for row in rows)
            if is_write:
                await upsert(connection, originals, changed(org_id, UUID(int=1), version=2))

    async def cancelled_or_not(database: Database, number: int) -> None:
        is_write = number % 5 == 0
        task = asyncio.create_task(request(database, org_ids[number % 50], is_write=is_write))
        if number % 3 == 0:
            # Anywhere between waiting for a connection and giving it back, told by loop turns.
            for _ in range(chance.randrange(1, 60)):
                await asyncio.sleep(0)
            task.cancel()
        outcome = (await asyncio.gather(task, return_exceptions=True))[0]
        outcomes[type(outcome).__name__] += 1

    for size in (2, 5):
        async with Database(silent.urls.api, pool=size, patience=30) as database:
            slots = asyncio.Semaphore(size * 3)  # some wait for a connection, always

            async def one(number: int, slots: asyncio.Semaphore, database: Database) -> None:
                async with slots:
                    await cancelled_or_not(database, number)

            await asyncio.gather(*(one(number, slots, database) for number in range(500)))
            assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert outcomes["foreign"] == 0, outcomes
    assert outcomes["own"] > 1500, outcomes
    assert outcomes["CancelledError"] > 100, outcomes
    assert outcomes["NoneType"] + outcomes["CancelledError"] == 1000, outcomes


async def test_a_refusal_keeps_the_connection_and_anything_else_discards_it(silent: Things) -> None:
    async with Database(silent.urls.api, pool=1) as database:

        async def backend_after(error: BaseException | None, *, is_write: bool) -> int:
            lend = database.writing if is_write else database.reading
            try:
                async with lend(ORG) as connection:
                    pid = int((await connection.exec_driver_sql(BACKEND)).scalar_one())
                    if error is not None:
                        raise error
            except (Conflict, ValueError, asyncio.CancelledError):
                pass
            return pid

        for is_write in (False, True):
            first = await backend_after(None, is_write=is_write)
            assert await backend_after(Conflict(), is_write=is_write) == first
            assert await backend_after(ValueError(), is_write=is_write) == first
            second = await backend_after(asyncio.CancelledError(), is_write=is_write)
            assert second != first
            assert await backend_after(None, is_write=is_write) != second
        async with database.engine.connect() as connection:
            assert (await connection.exec_driver_sql(SETTING)).scalar() == ""


async def test_a_refused_write_leaves_nothing(silent: Things) -> None:
    async def refuse() -> None:
        async with silent.api.writing(ORG) as connection:
            await upsert(connection, originals, changed(ORG))
            raise Conflict

    with pytest.raises(Conflict):
        await refuse()
    assert await silent.one("SELECT count(*) FROM originals") == 0


async def test_a_failure_passed_over_is_never_taken_for_a_commit(silent: Things) -> None:
    woken = 0

    def wake() -> None:
        nonlocal woken
        woken += 1

    silent.api.after_commit(wake)
    row = {"org_id": ORG, "thing_id": UUID(int=1), "name": "a", "version": 1}

    async def pass_over() -> None:
        async with silent.api.writing(ORG) as connection:
            await connection.execute(originals.insert().values(**row))
            with pytest.raises(IntegrityError):
                await connection.execute(originals.insert().values(**row))

    with pytest.raises(RuntimeError, match="nothing can be committed"):
        await pass_over()
    assert (await silent.one("SELECT count(*) FROM originals"), woken) == (0, 0)
    async with silent.api.writing(ORG) as connection:  # within a savepoint it is all right
        await connection.execute(originals.insert().values(**row))
        with pytest.raises(IntegrityError):
            async with connection.begin_nested():
                await connection.execute(originals.insert().values(**row))
    assert (await silent.one("SELECT count(*) FROM originals"), woken) == (1, 1)


async def test_a_connection_cut_while_idle_is_replaced_before_anybody_notices(
    silent: Things,
) -> None:
    async with Database(silent.urls.api, name="idle", pool=3) as database:
        for lend in (database.reading, database.writing):
            async with database.reading(ORG), database.reading(ORG), database.reading(ORG):
                pass
            cut = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1"
            )
            assert len(await silent.ask(cut, "idle")) == 3
            for _ in range(4):
                async with lend(ORG) as connection:
                    assert (await connection.exec_driver_sql("SELECT 1")).scalar() == 1


async def test_an_exhausted_pool_is_503_and_costs_nobody_a_connection(silent: Things) -> None:
    async with Database(silent.urls.api, pool=2, patience=0.1) as database:
        async with database.reading(ORG), database.writing(OTHER):
            with pytest.raises(PoolTimeoutError) as caught:
                async with database.reading(ORG):
                    pass
        answer = answer_to(caught.value, "0" * 32)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        async with database.reading(ORG), database.reading(OTHER):
            pass


async def test_a_statement_that_takes_too_long_is_ended_and_is_503(silent: Things) -> None:
    assert await shown(silent, "statement_timeout") == "10s"
    assert await shown(silent, "idle_in_transaction_session_timeout") == "15s"
    async with Database(silent.urls.api, deadline=120) as slow, slow.reading(ORG) as connection:
        found = await connection.exec_driver_sql("SHOW statement_timeout")
        assert found.scalar() == "2min"

    async def sleep() -> None:
        async with silent.api.writing(ORG) as connection:
            await connection.exec_driver_sql("SET LOCAL statement_timeout = '50ms'")
            await connection.exec_driver_sql("SELECT pg_sleep(5)")

    with pytest.raises(DBAPIError) as caught:
        await sleep()
    assert answer_to(caught.value, "0" * 32).status_code == 503


async def shown(things: Things, name: str) -> str:
    async with things.api.reading(ORG) as connection:
        return str((await connection.exec_driver_sql(f"SHOW {name}")).scalar_one())


async def test_200_cancelled_clients_leave_no_transaction_open_and_no_lock_held(
    silent: Things,
) -> None:
    await seed(silent, ORG)
    async with Database(silent.urls.api, name="cancelled", pool=5, patience=30) as database:

        async def write() -> None:
            async with database.writing(ORG) as connection:
                await upsert(connection, originals, changed(ORG, UUID(int=1), version=9))
                await asyncio.Event().wait()  # a client that went away in the middle

        for _ in range(20):
            tasks = [asyncio.create_task(write()) for _ in range(10)]
            for _ in range(40):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        statement = """
            SELECT count(*) = 0 FROM pg_stat_activity
            WHERE application_name = 'cancelled' AND state LIKE 'idle in transaction%'
        """
        await until(lambda: silent.one(statement), "no transaction open", within=3)
        assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        async with database.writing(ORG) as connection:
            await connection.exec_driver_sql("SET LOCAL lock_timeout = '1s'")
            await upsert(connection, originals, changed(ORG, UUID(int=1), version=10))
    assert await silent.one("SELECT max(version) FROM originals") == 10


async def test_a_request_cancelled_twice_still_gives_its_connection_back(silent: Things) -> None:
    async with Database(silent.urls.api, pool=1, patience=5) as database:
        started = asyncio.Event()

        async def slow() -> None:
            async with database.writing(ORG) as connection:
                started.set()
                await connection.exec_driver_sql("SELECT pg_sleep(9)")

        task = asyncio.create_task(slow())
        await started.wait()
        await asyncio.sleep(0)
        for _ in range(5):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        async with database.reading(uuid4()) as connection:
            assert (await connection.exec_driver_sql("SELECT 1")).scalar() == 1


async def test_a_snapshot_sees_one_organization_at_one_instant_and_writes_nothing(
    silent: Things,
) -> None:
    await seed(silent, ORG, OTHER)
    count = sa.select(sa.func.count()).select_from(originals)
    async with silent.api.snapshot(ORG) as connection:
        assert (await connection.execute(count)).scalar_one() == 3
        async with silent.api.writing(ORG) as writing:
            await upsert(writing, originals, changed(ORG, UUID(int=99)))
        assert (await connection.execute(count)).scalar_one() == 3
        result = await connection.stream(
            sa.select(originals.c.org_id), execution_options={"yield_per": 2}
        )
        pages = [len(page) async for page in result.partitions()]
        assert pages == [2, 1]
    with pytest.raises(DBAPIError, match="read-only"):
        async with silent.api.snapshot(ORG) as connection:
            await upsert(connection, originals, changed(ORG, UUID(int=98)))


async def test_after_a_snapshot_its_connection_reads_and_writes_as_before(silent: Things) -> None:
    backends = set()
    for _ in range(3):
        async with silent.api.snapshot(ORG) as connection:
            backends.add((await connection.exec_driver_sql(BACKEND)).scalar())
        with pytest.raises(Conflict):
            async with silent.api.snapshot(ORG) as connection:
                raise Conflict
        async with silent.api.writing(OTHER) as connection:
            await upsert(connection, originals, changed(OTHER, UUID(int=1)))
            isolation = await connection.exec_driver_sql("SHOW transaction_isolation")
            assert isolation.scalar() == "read committed"
        assert await organizations_seen(silent.api, ORG) == {}
        assert await organizations_seen(silent.api, OTHER) == {OTHER: 1}
    assert len(backends) == 1


async def plans(connection: AsyncConnection) -> object:
    return (await connection.exec_driver_sql("SHOW plan_cache_mode")).scalar()


async def test_how_to_plan_is_set_on_every_loan_and_inherited_by_none(silent: Things) -> None:
    for _ in range(2):
        async with silent.api.reading(ORG, plans="force_generic_plan") as connection:
            assert await plans(connection) == "force_generic_plan"
            await plan_for_values(connection)
            assert await plans(connection) == "force_custom_plan"
        async with silent.api.reading(ORG) as connection:
            assert await plans(connection) == "auto"
            await plan_for_values(connection)
        async with silent.api.writing(ORG) as connection:
            assert await plans(connection) == "auto"
        async with silent.api.snapshot(ORG) as connection:
            assert await plans(connection) == "auto"
            await plan_for_values(connection)
            assert await plans(connection) == "force_custom_plan"
