"""A queue for somebody outside, and the one user who may read it: made, listed, renewed, removed (D15).

Queue and user have the same name. The queue is bound by us, to both lanes (ADR 15), and bounded: who
stays away loses the oldest messages and never holds up a publisher. The user may read that queue and do
nothing else.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from bailiwick_contracts.envelope import bulk
from bailiwick_kit.bus.broker_management import Management

KEPT_DAYS, KEPT_MESSAGES, KEPT_MIB = 7, 100_000, 256
"""What a queue holds at most; beyond either, the oldest messages go."""
CONNECTIONS, CHANNELS = 5, 20
"""What a reader may hold open at a time."""
RIPENS = 2.0
"""Seconds before a new queue is bound: one that is younger when the broker dies can come back without a
leader, and would then leave publishers without their confirms (T1). Unbound, it is in nobody's way."""

_ARGUMENTS: dict[str, object] = {
    "x-queue-type": "quorum",
    "x-max-length": KEPT_MESSAGES,
    "x-max-length-bytes": KEPT_MIB * 1024 * 1024,
    "x-message-ttl": KEPT_DAYS * 24 * 60 * 60 * 1000,
    "x-overflow": "drop-head",  # `reject-publish` would hold up the relay, and with it everybody
    "x-delivery-limit": 1_000_000,  # brokers from 4.0 would drop a message after 20 deliveries
}


class NoReaderError(Exception):
    """There is no reader of that name."""


@dataclass(frozen=True)
class Reader:
    """A queue as it stands. Counts are some seconds late."""

    name: str
    keys: frozenset[str]
    """What it is bound by."""
    messages: int
    consumers: int


@dataclass(frozen=True)
class Readers:
    """The readers of queues bound to an exchange, and by the same keys to the one for bulk beside it.

    Every method raises ManagementError.
    """

    management: Management
    exchange: str
    ripens: float = RIPENS

    async def put(self, name: str, keys: Collection[str]) -> str | None:
        """Make queue and reader, or complete what is there; bound by exactly these keys afterwards.

        Returns the password of a new reader. Nobody is told an old one's: see `renew`.
        """
        management = self.management
        if await management.declare_queue(name, _ARGUMENTS):
            await asyncio.sleep(self.ripens)
        await self._bind(name, keys)
        password = None
        if not await management.has_user(name):
            password = secrets.token_urlsafe(32)
            await management.put_user(name, password)
        await management.allow_reading(name, f"^{re.escape(name)}$")
        await management.limit_user(
            name, {"max-connections": CONNECTIONS, "max-channels": CHANNELS}
        )
        return password

    async def bind_anew(self, prefix: str) -> list[str]:
        """Bind to both lanes what an older version bound to one; return the names, where it was needed."""
        found = []
        for queue in await self.management.queues(prefix):
            name = str(queue["name"])
            if await self._bind(name, await self.management.bindings(self.exchange, name)):
                found.append(name)
        return sorted(found)

    async def keys(self, name: str) -> frozenset[str]:
        """Return what a reader's queue is bound by; nothing if there is no such queue."""
        if not any(queue["name"] == name for queue in await self.management.queues(name)):
            return frozenset()
        return frozenset(await self.management.bindings(self.exchange, name))

    async def all(self, prefix: str) -> list[Reader]:
        """Return the readers whose names begin so, by name."""
        found = await self.management.queues(prefix)
        return [await self._reader(queue) for queue in sorted(found, key=lambda one: one["name"])]

    async def renew(self, name: str) -> str:
        """Give a reader another password, end what is open under the old one, and return the new one.

        Raises:
            NoReaderError: there is none of that name.
        """
        if not await self.management.has_user(name):
            raise NoReaderError(name)
        password = secrets.token_urlsafe(32)
        await self.management.put_user(name, password)
        await self.management.close_connections(name)
        return password

    async def remove(self, name: str) -> None:
        """Delete reader and queue, and with them what is open and what was not read.

        Raises:
            NoReaderError: there was neither.
        """
        had_user = await self.management.drop_user(name)
        await self.management.close_connections(name)
        had_queue = await self.management.drop_queue(name)
        if not (had_user or had_queue):
            raise NoReaderError(name)

    async def _bind(self, name: str, keys: Collection[str]) -> bool:
        """Have a queue bound by exactly these keys, in both lanes; tell whether it was not."""
        management, wanted, is_changed = self.management, set(keys), False
        for exchange in (self.exchange, bulk(self.exchange)):
            bound = await management.bindings(exchange, name)
            for key in sorted(wanted - bound):
                await management.bind(exchange, name, key)
            for key in sorted(bound - wanted):
                await management.unbind(exchange, name, key)
            is_changed = is_changed or bound != wanted
        return is_changed

    async def _reader(self, queue: dict[str, Any]) -> Reader:
        name = str(queue["name"])
        bound = await self.management.bindings(self.exchange, name)
        counts = (int(queue.get(count) or 0) for count in ("messages", "consumers"))
        return Reader(name, frozenset(bound), *counts)
