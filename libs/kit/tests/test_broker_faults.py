"""A broker that is killed, restarted, frozen or not there yet: nothing lost, nothing doubled (F1-F5)."""

import asyncio
from uuid import UUID

import pytest

from bailiwick_kit.bus.lanes import in_both_lanes
from bailiwick_testkit.servers.real import Servers
from bailiwick_testkit.services.toy import Things, changed
from bailiwick_testkit.waiting import running, until

pytestmark = pytest.mark.faults
ORG = UUID(int=1)


async def settled_alike(things: Things, promised: int) -> None:
    await until(things.is_settled, "all sent and had their effect", within=40)
    originals, copies, times = await things.state()
    # One more may have been committed whose promise was cut off.
    assert len(originals) - promised in {0, 1}
    assert (originals, times) == (copies, {1})


async def keep_changing(things: Things, changed_so_far: list[UUID]) -> None:
    """Go on placing, as callers do, whatever the broker does."""
    while True:
        event = changed(ORG)
        async with asyncio.timeout(2):  # nobody who writes waits for the broker
            await things.change(event)
        changed_so_far.append(event.thing_id)
        await asyncio.sleep(0.02)


async def test_a_broker_that_is_killed_and_comes_back_loses_and_doubles_nothing(
    shaken: Things, fragile: Servers
) -> None:
    broker = fragile.rabbitmq()
    done: list[UUID] = []

    async def change() -> None:
        await keep_changing(shaken, done)

    async def has_effects() -> bool:
        return bool(await shaken.one("SELECT count(*) > 20 FROM copies"))

    async with running(shaken.relay().run, *in_both_lanes(shaken.consumer())):
        async with running(change):
            await until(has_effects)
            before = len(done)
            await asyncio.to_thread(broker.kill)
            await until(lambda: _more(done, before + 20), "writes go on without the broker")
            await asyncio.to_thread(broker.start)
        await settled_alike(shaken, len(done))


async def _more(done: list[UUID], count: int) -> bool:
    return len(done) > count


async def test_a_frozen_broker_holds_up_nobody_who_writes_and_gets_all_when_it_thaws(
    shaken: Things, fragile: Servers
) -> None:
    broker = fragile.rabbitmq()
    done: list[UUID] = []

    async def change() -> None:
        await keep_changing(shaken, done)

    async def is_given_up() -> bool:
        return bool(await shaken.one("SELECT count(*) FROM outbox WHERE error = 'unconfirmed'"))

    # What waited for the broker is more than a share: the rest of it comes as bulk.
    async with running(shaken.relay().run, *in_both_lanes(shaken.consumer())):
        await shaken.change(changed(ORG))
        await settled_alike(shaken, 1)
        broker.pause()
        try:
            async with running(change):
                await until(is_given_up, "the relay gives up waiting for a confirm", within=12)
        finally:
            broker.resume()
        await settled_alike(shaken, len(done) + 1)


async def test_a_service_starts_before_its_broker_and_outlives_its_restart(
    shaken: Things, fragile: Servers
) -> None:
    broker = fragile.rabbitmq()
    async with running(shaken.relay().run, shaken.consumer().run):
        await shaken.change(changed(ORG))
        await settled_alike(shaken, 1)
        await asyncio.to_thread(broker.stop)
        try:
            # One more of each: it starts where there is no broker.
            async with running(shaken.relay().run, shaken.consumer().run):
                await shaken.change(changed(ORG), changed(ORG))
                await asyncio.to_thread(broker.start)
                await settled_alike(shaken, 3)
        finally:
            await asyncio.to_thread(broker.start)


async def test_a_broker_short_of_disk_holds_up_nobody_and_gets_all_when_it_has_room(
    shaken: Things, fragile: Servers
) -> None:
    broker = fragile.rabbitmq()

    async def is_given_up() -> bool:
        return bool(await shaken.one("SELECT count(*) FROM outbox WHERE error = 'unconfirmed'"))

    async with running(shaken.relay().run, shaken.consumer().run):
        await shaken.change(changed(ORG))
        await settled_alike(shaken, 1)
        await asyncio.to_thread(broker.control, "set_disk_free_limit", "900000GB")
        try:
            async with asyncio.timeout(2):
                await shaken.change(*(changed(ORG) for _ in range(20)))
            await until(is_given_up, "the relay gives up waiting for a confirm", within=12)
        finally:
            await asyncio.to_thread(broker.control, "set_disk_free_limit", "64MB")
        await settled_alike(shaken, 21)
