"""A deadline for somebody else's answer, which does not count our own delay against them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_TURNS = 5
"""Turns of the event loop in which what has arrived is read and handed on: a moment, if nothing has."""


@asynccontextmanager
async def answered_within(seconds: float) -> AsyncIterator[None]:
    """Do as `asyncio.timeout` does, but read what has arrived before the time is called up.

    A process that has had no processor for a while finds deadline and answer side by side when it goes
    on. The event loop would look at the clock first, and drop an answer that came in time.

    Raises:
        TimeoutError: there was no answer.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as scope:
        due: asyncio.Handle = loop.call_later(seconds, lambda: call_up(_TURNS))

        def call_up(turns: int) -> None:
            nonlocal due
            if turns:
                due = loop.call_soon(call_up, turns - 1)
            else:
                scope.reschedule(loop.time())

        try:
            yield
        finally:
            due.cancel()
