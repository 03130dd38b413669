"""A subscriber of a test's own that hears all of one organization, and messages published by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID, uuid4

import aio_pika

from bailiwick_contracts.envelope import EXCHANGE, Event, bulk
from bailiwick_kit.bus.broker import open_channel
from bailiwick_kit.bus.messages import Envelope, from_message, to_message
from bailiwick_testkit.fakes.people import LONG_AGO

ResultT = TypeVar("ResultT")
_AT_ONCE = 100


@dataclass
class Ear:
    """Everything that was published about an organization since this was made. Safe over restarts.

    Its methods block; a test that is itself a coroutine calls them in a thread.
    """

    broker_url: str
    org_id: str
    queue: str = field(default_factory=lambda: f"ear-{uuid4().hex}")
    heard: list[Envelope] = field(default_factory=list)

    def __post_init__(self) -> None:
        _finished(self._declare())

    def listen(self, within: float = 60.0) -> list[Envelope]:
        """Take what has arrived, and give all that was ever heard.

        A broker that has just come back takes connections some seconds before its queues answer.

        Raises:
            OSError, TimeoutError, aio_pika.exceptions.AMQPError: it did not answer, in all that time.
        """
        deadline = time.monotonic() + within
        while True:
            try:
                _finished(self._take())
            except (OSError, TimeoutError, aio_pika.exceptions.AMQPError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return self.heard

    def subjects(self, event_type: str) -> dict[str, set[str]]:
        """Give what was heard of a type: subject → the ids of its events."""
        found: dict[str, set[str]] = {}
        for one in self.listen():
            if one.type == event_type:
                found.setdefault(str(one.subject), set()).add(str(one.event_id))
        return found

    def wait_for(self, event_type: str, subjects: set[str], within: float = 60.0) -> None:
        """Return when there was an event of the type about each of the subjects.

        Raises:
            AssertionError: there was not, in all that time; with how many are missing.
        """
        deadline = time.monotonic() + within
        while missing := subjects - self.subjects(event_type).keys():
            assert time.monotonic() < deadline, f"{len(missing)} never heard: {missing}"  # noqa: S101
            time.sleep(0.1)

    async def _declare(self) -> None:
        async with open_channel(self.broker_url, self.queue) as channel:
            queue = await channel.declare_queue(
                self.queue, durable=True, arguments={"x-queue-type": "quorum"}
            )
            for exchange in (EXCHANGE, bulk(EXCHANGE)):
                await queue.bind(exchange, routing_key=f"#.{self.org_id}")

    async def _take(self) -> None:
        async with open_channel(self.broker_url, self.queue) as channel:
            queue = await channel.get_queue(self.queue)
            while message := await queue.get(no_ack=False, fail=False):
                self.heard.append(from_message(message))
                await message.ack()


async def publish(broker_url: str, *events: Event, exchange: str = EXCHANGE) -> None:
    """Publish events as their owners' relays would; one that is given twice is one that is repeated."""
    ids: dict[int, UUID] = {}
    async with open_channel(broker_url, "a test") as channel:
        to = await channel.get_exchange(exchange)
        for first in range(0, len(events), _AT_ONCE):
            some = [(_message(one, ids), one) for one in events[first : first + _AT_ONCE]]
            await asyncio.gather(
                *(to.publish(message, one.routing_key, mandatory=True) for message, one in some)
            )


def _message(event: Event, ids: dict[int, UUID]) -> aio_pika.Message:
    return to_message(
        event_id=ids.setdefault(id(event), uuid4()),
        event_type=event.type,
        source=f"/{event.type.partition('.')[0]}",
        subject=event.subject,
        time=LONG_AGO,
        body=event.model_dump_json().encode(),
        trace_parent=None,
    )


def deliver(broker_url: str, queue: str, *messages: aio_pika.Message) -> None:
    """Put messages straight into a queue, whatever it is bound by."""

    async def put() -> None:
        async with open_channel(broker_url, "a test") as channel:
            for message in messages:
                await channel.default_exchange.publish(message, queue, mandatory=True)

    _finished(put())


def a_message(
    message_id: str, event_type: str, headers: Mapping[str, str], body: bytes
) -> aio_pika.Message:
    """Return a message as a publisher of events would send it, if not always an event."""
    return aio_pika.Message(
        body,
        headers=dict(headers),
        content_type="application/json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=message_id,
        type=event_type,
    )


def _finished(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    return asyncio.run(work)
