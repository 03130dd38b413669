"""Connections to the broker: a short heartbeat, and a deadline around every step.

Plain connections, not "robust" ones: those heal channels behind one's back and lose what was under way.
Who holds one here gives it up at the first doubt and opens another.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aio_pika
from aio_pika.abc import AbstractChannel, TimeoutType
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError
from typing_extensions import override

HEARTBEAT = 10
"""Seconds. A broker that is cut off is noticed after three of them; the default takes minutes (T7)."""
DEADLINE = 5.0
"""Seconds within which the broker answers any one thing, or the connection is given up (T7)."""
RECONNECT_AFTER = 0.5
"""Seconds of rest before another connection is tried."""
LOST = (OSError, TimeoutError, AMQPError, ChannelInvalidStateError)
"""What the loss of the broker looks like. The last is none of the driver's other errors: it is what the
next step on a channel is told, when that channel has gone with its connection."""


class _Connection(aio_pika.Connection):
    """Closed for good where connecting fails, as while the broker is away.

    The driver's own would be closed when it is collected: on whatever loop runs then, or on none.
    """

    @override
    async def connect(self, timeout: TimeoutType = None) -> None:
        """Connect, or be closed."""
        try:
            await super().connect(timeout)
        except BaseException:
            await self.close()
            raise


@asynccontextmanager
async def open_channel(url: str, name: str) -> AsyncIterator[AbstractChannel]:
    """Hold one connection with one channel, on which a publish is confirmed, or raises (T3).

    Raises:
        OSError, TimeoutError, aio_pika.exceptions.AMQPError: the broker is away, or does not want us.
    """
    # The driver's own time-out does not cover all of the handshake with a frozen broker.
    async with asyncio.timeout(DEADLINE):
        connection = await aio_pika.connect(  # noqa: TID251 - here it is closed
            url, connection_class=_Connection, heartbeat=HEARTBEAT, name=name
        )
    try:
        async with asyncio.timeout(DEADLINE):
            channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        yield channel
    finally:
        try:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(2):
                    await connection.close()
        finally:
            # Where that failed, nothing is left to wait for, and this only says that it is over. Else
            # the driver closes it when it is collected, on whatever loop runs then.
            await connection.close()
