"""A connection that is given up is over then, whatever its broker does about it."""

from __future__ import annotations

from typing import Any

import aio_pika
import pytest
from typing_extensions import override
from yarl import URL

from bailiwick_kit.bus import broker


class Dead:
    """The transport of a broker that has been killed."""

    async def close(self, _: object) -> None:
        raise ConnectionResetError


class Killed(aio_pika.Connection):
    """A connection whose broker dies while it is held."""

    @override
    async def channel(self, *_: Any, **__: Any) -> Any:  # type: ignore[override] # asked for no more
        return object()


async def test_a_connection_whose_broker_died_is_over_when_it_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection = Killed(URL("amqp://nobody@127.0.0.1:9/"))
    connection.transport = Dead()  # type: ignore[assignment] # all that closing asks of it

    async def connect(*_: object, **__: object) -> Killed:
        return connection

    monkeypatch.setattr(aio_pika, "connect", connect)
    async with broker.open_channel("amqp://nobody@127.0.0.1:9/", "test"):
        pass
    # Else the driver closes it when it is collected, on whatever loop runs then, or on none.
    assert connection.is_closed
