"""Waiting for a part that does not answer: for work that nobody expects within a second."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bailiwick_kit.errors import Unavailable
from bailiwick_kit.transient_errors import is_outage

TRY_AGAIN_AFTER = 0.5
"""Seconds of rest before what failed is tried again."""
TELL_EVERY = 10.0
"""Seconds between telling that it is still waited for."""

ResultT = TypeVar("ResultT")


async def patiently(
    act: Callable[[], Awaitable[ResultT]],
    patience: float,
    tell: Callable[[str], None] | None = None,
) -> ResultT:
    """Do it, and try again for `patience` seconds where a part does not answer; `tell` is told which.

    What may have been done when its answer was lost has to be the same when it is done twice.
    """
    clock = asyncio.get_running_loop()
    until, next_told = clock.time() + patience, 0.0
    while True:
        try:
            return await act()
        except Exception as error:
            if clock.time() >= until or not may_pass(error):
                raise
            if tell is not None and clock.time() >= next_told:
                tell(what_of(error))
                next_told = clock.time() + TELL_EVERY
            await asyncio.sleep(TRY_AGAIN_AFTER)


def may_pass(error: BaseException) -> bool:
    """Tell whether waiting can help."""
    return isinstance(error, Unavailable) or is_outage(error)


def what_of(error: BaseException) -> str:
    """Say what does not answer."""
    return error.title if isinstance(error, Unavailable) else "The database does not answer"
