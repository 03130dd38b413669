"""Waiting for what happens elsewhere: looked for again and again until a deadline, never slept for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

FoundT = TypeVar("FoundT")


async def until(
    condition: Callable[[], Awaitable[Any]], what: str = "", *, within: float = 15.0
) -> Any:
    """Return what the condition gives as soon as that is true.

    Raises:
        AssertionError: it was not, in all that time.
    """
    clock = asyncio.get_running_loop()
    deadline = clock.time() + within
    while not (found := await condition()):
        assert clock.time() < deadline, f"not within {within} s: {what or condition}"  # noqa: S101
        await asyncio.sleep(0.02)
    return found


def wait_until(condition: Callable[[], FoundT], what: str, *, within: float = 60.0) -> FoundT:
    """Return the same for tests that block; within a minute, where something has to come back first.

    Raises:
        AssertionError: it was not, in all that time.
    """
    deadline = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {within} s: {what}"  # noqa: S101
        time.sleep(0.05)
    return found


@asynccontextmanager
async def running(*jobs: Callable[[], Awaitable[None]]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Run jobs that only end when they are cancelled; one that ends by itself fails the test."""
    tasks = [asyncio.ensure_future(_job(job)) for job in jobs]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    by_themselves = [one for one in ended if not isinstance(one, asyncio.CancelledError)]
    assert not by_themselves, f"jobs ended by themselves: {by_themselves}"  # noqa: S101


async def _job(job: Callable[[], Awaitable[None]]) -> None:
    await job()
