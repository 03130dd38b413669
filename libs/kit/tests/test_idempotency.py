"""The same key twice has one effect, whoever comes second and whenever (D23)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import MetaData, func, select
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bailiwick_kit.clock import FixedClock
from bailiwick_kit.errors import Invalid
from bailiwick_kit.web.idempotency import (
    Claim,
    IdempotencyKeys,
    KeyInFlight,
    KeyReused,
    Replay,
    SentKey,
    idempotency_keys,
)
from bailiwick_testkit.servers.real import Postgres

metadata = MetaData()
table = idempotency_keys(metadata)
keys = IdempotencyKeys(table)
NOW = FixedClock().now()
CLAIM = Claim(UUID(int=1), UUID(int=2), "POST", "/v1/orders", "key-1", "f" * 64)


@pytest.fixture(scope="module")
async def engine(postgres: Postgres) -> AsyncIterator[AsyncEngine]:
    database = await postgres.fresh_database("kit", migrated=False)
    engine = create_async_engine(database.owner)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    yield engine
    await engine.dispose()
    await postgres.drop(database)


@pytest.fixture
def claim() -> Claim:
    return replace(CLAIM, org_id=uuid4())


async def test_a_first_claim_is_free_and_a_repeat_is_told_what_was_done(
    engine: AsyncEngine, claim: Claim
) -> None:
    done = Replay(uuid4(), 1, 201)
    async with engine.begin() as connection:
        assert await keys.claim(connection, claim, now=NOW) is None
        await keys.record(connection, claim, done, now=NOW)
    async with engine.begin() as connection:
        assert await keys.claim(connection, claim, now=NOW) == done


async def test_another_body_under_the_same_key_is_refused(
    engine: AsyncEngine, claim: Claim
) -> None:
    async with engine.begin() as connection:
        await keys.claim(connection, claim, now=NOW)
        await keys.record(connection, claim, Replay(uuid4(), 1, 201), now=NOW)
    async with engine.begin() as connection:
        with pytest.raises(KeyReused) as refused:
            await keys.claim(connection, replace(claim, fingerprint="0" * 64), now=NOW)
    assert refused.value.code == "idempotency-key-reused"


async def test_while_the_first_is_under_way_the_second_is_refused_at_once(
    engine: AsyncEngine, claim: Claim
) -> None:
    async with engine.begin() as first:
        await keys.claim(first, claim, now=NOW)
        async with engine.begin() as second:
            with pytest.raises(KeyInFlight) as refused:
                await keys.claim(second, claim, now=NOW)
    assert refused.value.code == "idempotency-key-in-flight"


async def test_an_act_that_was_rolled_back_leaves_the_key_free(
    engine: AsyncEngine, claim: Claim
) -> None:
    async with engine.connect() as connection, connection.begin() as transaction:
        await keys.claim(connection, claim, now=NOW)
        await keys.record(connection, claim, Replay(uuid4(), 1, 201), now=NOW)
        await transaction.rollback()
    async with engine.begin() as connection:
        assert await keys.claim(connection, claim, now=NOW) is None


async def test_a_key_belongs_to_one_organization_caller_method_and_path(
    engine: AsyncEngine, claim: Claim
) -> None:
    async with engine.begin() as connection:
        await keys.claim(connection, claim, now=NOW)
        await keys.record(connection, claim, Replay(uuid4(), 1, 201), now=NOW)
    others = [
        replace(claim, org_id=uuid4()),
        replace(claim, caller=uuid4()),
        replace(claim, method="PUT"),
        replace(claim, path="/v1/customers"),
        replace(claim, key="key-2"),
    ]
    async with engine.begin() as connection:
        for other in others:
            assert await keys.claim(connection, other, now=NOW) is None
    assert len({one.lock() for one in (claim, *others)}) == 6


async def test_after_a_day_the_key_is_free_and_taken_anew(
    engine: AsyncEngine, claim: Claim
) -> None:
    first, second = Replay(uuid4(), 1, 201), Replay(uuid4(), 1, 201)
    later = NOW + timedelta(hours=24)
    async with engine.begin() as connection:
        await keys.claim(connection, claim, now=NOW)
        await keys.record(connection, claim, first, now=NOW)
    async with engine.begin() as connection:
        just_before = later - timedelta(microseconds=1)
        assert await keys.claim(connection, claim, now=just_before) == first
    async with engine.begin() as connection:
        assert await keys.claim(connection, claim, now=later) is None
        await keys.record(connection, claim, second, now=later)
    async with engine.begin() as connection:
        assert await keys.claim(connection, claim, now=later) == second


async def test_of_many_at_once_exactly_one_acts(engine: AsyncEngine, claim: Claim) -> None:
    effects = 0

    async def act() -> str:
        nonlocal effects
        try:
            async with engine.begin() as connection:
                replay = await keys.claim(connection, claim, now=NOW)
                if replay is None:
                    await asyncio.sleep(0)
                    effects += 1
                    await keys.record(connection, claim, Replay(uuid4(), 1, 201), now=NOW)
        except KeyInFlight:
            return "in flight"
        return "new" if replay is None else "replay"

    outcomes = await asyncio.gather(*(act() for _ in range(20)))
    assert effects == outcomes.count("new") == 1
    async with engine.begin() as connection:
        mine = select(func.count()).where(table.c.org_id == claim.org_id)
        assert await connection.scalar(mine) == 1


def test_a_key_is_visible_ascii_of_bounded_length() -> None:
    assert SentKey(None).read() is None
    assert SentKey("a" * 200).read() == "a" * 200
    for bad in ("", " ", "a b", "a" * 201, "é", "a\n", "\x7f"):
        with pytest.raises(Invalid):
            SentKey(bad).read()
