"""Deadlines: of somebody else's answer, without our own delay; of a request, until it has committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar

_TURNS = 5
"""Turns of the event loop in which what has arrived is read and handed on: a moment, if nothing has."""

_of_request: ContextVar[asyncio.Timeout | None] = ContextVar(
    "deadline of the request", default=None
)


@asynccontextmanager
async def request_within(seconds: float) -> AsyncIterator[asyncio.Timeout]:
    """Do as `asyncio.timeout` does, until `lift` is called inside.

    Raises:
        TimeoutError: the time was up, and nothing was committed.
    """
    async with asyncio.timeout(seconds) as scope:
        outer = _of_request.set(scope)
        try:
            yield scope
        finally:
            _of_request.reset(outer)


def lift() -> None:
    """Let the request at hand end when it ends: what is committed is not answered by a refusal."""
    scope = _of_request.get()
    if scope is not None:
        with suppress(RuntimeError):  # the time is up already
            scope.reschedule(None)


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
