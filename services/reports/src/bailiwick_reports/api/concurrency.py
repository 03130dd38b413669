"""Turns at what few may do at the same time, and of one organization fewer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID
from weakref import WeakValueDictionary


class Turns:
    """Lets `at_once` in at the same time, of one organization `of_one` at most.

    An organization that asks for many waits for its own, and holds no turn meanwhile.
    """

    def __init__(self, at_once: int, of_one: int) -> None:
        self._all = asyncio.Semaphore(at_once)
        self._of_one = of_one
        self._own: WeakValueDictionary[UUID, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, org_id: UUID) -> AsyncIterator[None]:
        """Wait for a turn of the organization, and hold it until the block ends."""
        own = self._own.setdefault(org_id, asyncio.Semaphore(self._of_one))
        async with own, self._all:
            yield
