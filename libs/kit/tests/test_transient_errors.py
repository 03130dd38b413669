"""What PostgreSQL really raises: an outage is told from a fault of ours (F7, F9)."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bailiwick_kit.transient_errors import OUTAGES, is_outage
from bailiwick_testkit.servers.real import Postgres


@pytest.fixture(scope="module")
async def url(postgres: Postgres) -> AsyncIterator[str]:
    database = await postgres.fresh_database("kit", migrated=False)
    yield database.owner
    await postgres.drop(database)


@pytest.fixture
async def engine(url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=0.1)
    yield engine
    await engine.dispose()


async def raised(engine: AsyncEngine, statement: str, **values: object) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one it is, is the question
        async with engine.connect() as connection:
            await connection.execute(text(statement), values)
    return caught.value


async def test_a_connection_that_is_cut_is_an_outage(engine: AsyncEngine) -> None:
    error = await raised(engine, "select pg_terminate_backend(pg_backend_pid())")
    assert isinstance(error, OUTAGES)
    assert is_outage(error)


async def test_a_server_that_is_not_there_or_refuses_is_an_outage(url: str) -> None:
    for address in (
        "postgresql+asyncpg://u:p@127.0.0.1:1/d",
        "postgresql+asyncpg://u:p@/d?host=/nowhere",
        "postgresql+asyncpg://u:p@name.invalid/d",
    ):
        gone = create_async_engine(address)
        assert is_outage(await raised(gone, "select 1")), address
        await gone.dispose()


async def test_a_password_that_has_been_changed_is_an_outage(url: str) -> None:
    role = make_url(url).set(password="of yesterday")
    refused = create_async_engine(role)
    assert is_outage(await raised(refused, "select 1"))
    await refused.dispose()


async def test_a_pool_that_is_exhausted_is_an_outage(engine: AsyncEngine) -> None:
    async with engine.connect():
        assert is_outage(await raised(engine, "select 1"))


async def test_a_statement_that_takes_too_long_is_an_outage(engine: AsyncEngine) -> None:
    statement = "select pg_sleep(5) from (select set_config('statement_timeout', '50', false)) x"
    async with engine.connect() as connection:
        await connection.execute(text("set statement_timeout = 50"))
        with pytest.raises(OUTAGES) as caught:
            await connection.execute(text(statement))
        assert is_outage(caught.value)


async def test_what_is_wrong_with_a_statement_or_its_values_is_ours(engine: AsyncEngine) -> None:
    assert not is_outage(await raised(engine, "select nothing"))
    assert not is_outage(await raised(engine, "select 1/0"))
    assert not is_outage(await raised(engine, "select cast(:a as int)", a=2**40))
    assert not is_outage(await raised(engine, "select cast(:a as text)", a="a\x00b"))
