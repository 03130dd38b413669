"""Every crash point, killed at: the end is the same as if nothing had happened (F18, F19)."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from bailiwick_kit import crash_points
from bailiwick_testkit.services.toy import Things, changed
from bailiwick_testkit.waiting import running, until

ORG = UUID(int=1)
KILLED = -9


@asynccontextmanager
async def process(
    things: Things, job: str, crash_at: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bailiwick_testkit.services.toy", job),
        env={**things.environment(), "BAILIWICK_CRASH_AT": crash_at},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()


async def exit_code(things: Things, job: str, crash_at: str) -> int:
    async with process(things, job, crash_at) as started, asyncio.timeout(90):
        return await started.wait()


def test_every_point_is_known_and_reached_somewhere() -> None:
    here = Path(crash_points.__file__)
    sources = list(here.parent.rglob("*.py")) + list(here.parents[4].glob("services/*/src/**/*.py"))
    reached = {
        point
        for source in sources
        for point in re.findall(r"crash_points\.reach\(\"([^\"]+)\"\)", source.read_text())
    }
    assert reached == crash_points.POINTS


async def test_a_point_that_does_not_exist_cannot_be_armed(silent: Things) -> None:
    assert await exit_code(silent, "change", "consumer.nowhere") == 1


@pytest.mark.parametrize("point", sorted(p for p in crash_points.POINTS if p.startswith("relay.")))
async def test_a_relay_killed_anywhere_loses_and_doubles_nothing(
    things: Things, point: str
) -> None:
    await things.change(*(changed(ORG) for _ in range(5)))
    async with running(things.consumer().run):
        assert await exit_code(things, "relay", point) == KILLED
        await things.change(*(changed(ORG) for _ in range(5)))
        async with running(things.relay().run):
            await until(things.is_settled)
    originals, copies, times = await things.state()
    assert (len(originals), originals, times) == (10, copies, {1})


@pytest.mark.parametrize(
    "point", sorted(p for p in crash_points.POINTS if p.startswith("consumer."))
)
async def test_a_consumer_killed_anywhere_loses_and_doubles_nothing(
    things: Things, point: str
) -> None:
    await things.change(*(changed(ORG) for _ in range(5)))
    async with running(things.relay().run):
        assert await exit_code(things, "consume", point) == KILLED
        await things.change(*(changed(ORG) for _ in range(5)))
        async with running(things.consumer().run):
            await until(things.is_settled)
    originals, copies, times = await things.state()
    assert (len(originals), originals, times) == (10, copies, {1})


@pytest.mark.parametrize(("point", "written"), [("before", 0), ("after", 1)])
async def test_an_action_killed_is_whole_or_not_at_all(
    things: Things, point: str, written: int
) -> None:
    assert await exit_code(things, "change", f"action.{point}-commit") == KILLED
    assert await things.one("SELECT count(*) FROM originals") == written
    assert await things.unsent() == written
    async with running(things.relay().run, things.consumer().run):
        await things.change(changed(ORG, UUID(int=1), version=2))
        await until(things.is_settled)
    originals, copies, times = await things.state()
    assert (len(originals), originals, times) == (1, copies, {1})
