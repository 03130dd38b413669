"""Each service's account at the stack's own broker: nothing is open to it but its own work (ADR 26)."""

from __future__ import annotations

import asyncio
import base64
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from aiormq.exceptions import ChannelAccessRefused

from bailiwick_contracts.envelope import EXCHANGE, bulk
from bailiwick_contracts.identity import MemberChanged
from bailiwick_kit.bus.broker import open_channel
from bailiwick_kit.bus.topology import direct_exchange
from bailiwick_launcher.processes import Process
from bailiwick_launcher.services import SERVICES
from bailiwick_testkit.fakes.subscriber import a_message, deliver
from bailiwick_testkit.servers.stack import Running
from bailiwick_testkit.waiting import wait_until

Try = Callable[[AbstractChannel], Coroutine[Any, Any, object]]
THEIRS = "orders.identity"


def asked(management: str, account: str, path: str) -> Any:
    """Ask the management API as the account of an address of the broker."""
    address, known = urlsplit(management), urlsplit(account)
    credentials = base64.b64encode(f"{known.username}:{known.password}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310 - of our own broker
        f"{address.scheme}://{address.hostname}:{address.port}/api/{path}",
        headers={"Authorization": f"Basic {credentials}"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.loads(answer.read())


def test_every_service_is_connected_as_itself_and_given_nothing_more(stack: Running) -> None:
    broker = stack.stack.rabbitmq

    def users() -> set[str]:
        found = asked(broker.management, broker.url, "connections?columns=user")
        return {str(one["user"]) for one in found if "user" in one}

    wait_until(lambda: users() >= set(SERVICES), "every service is connected")
    admin = str(urlsplit(broker.url).password)
    for service in SERVICES:
        pid = Process(service, stack.stack.places, ()).pid()
        environment = Path(f"/proc/{pid}/environ").read_text("utf-8")
        assert f"BAILIWICK_BROKER_URL=amqp://{service}:" in environment
        assert admin not in environment, service


@pytest.mark.parametrize("path", ["whoami", "users", "queues", "definitions"])
def test_a_services_account_may_not_ask_the_management_api(stack: Running, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refusal:
        asked(stack.stack.rabbitmq.management, stack.stack.broker("reports"), path)
    refusal.value.close()
    assert refusal.value.code == 401


async def _publish(channel: AbstractChannel, exchange: str, key: str) -> None:
    to = await channel.get_exchange(exchange, ensure=False)
    await to.publish(aio_pika.Message(b"{}"), key, mandatory=False)


async def _get(channel: AbstractChannel, queue: str) -> None:
    found = await channel.get_queue(queue, ensure=False)
    await found.get(fail=False)


async def _consume(channel: AbstractChannel, queue: str) -> None:
    async def ignore(_: object) -> None: ...

    found = await channel.get_queue(queue, ensure=False)
    await found.consume(ignore)


async def _bind(channel: AbstractChannel, queue: str, exchange: str) -> None:
    found = await channel.get_queue(queue, ensure=False)
    await found.bind(exchange, "#")


async def _purge(channel: AbstractChannel, queue: str) -> None:
    found = await channel.get_queue(queue, ensure=False)
    await found.purge()


_MEMBER = f"{MemberChanged.type}.{uuid4()}"
BORDERS: Mapping[str, Try] = {
    "publish another's event": lambda on: _publish(on, EXCHANGE, _MEMBER),
    "publish another's event as bulk": lambda on: _publish(on, bulk(EXCHANGE), _MEMBER),
    "put it into another's queue": lambda on: _publish(on, "amq.default", THEIRS),
    "put it there as another does": lambda on: _publish(on, direct_exchange("orders"), THEIRS),
    "take from another's queue": lambda on: _get(on, THEIRS),
    "read another's queue": lambda on: _consume(on, THEIRS),
    "read another's queue for bulk": lambda on: _consume(on, bulk(THEIRS)),
    "take another's dead letters": lambda on: _get(on, f"{THEIRS}.dead"),
    "read what a subscriber is told": lambda on: _get(on, f"subscriber.{uuid4()}.erp"),
    "declare a queue": lambda on: on.declare_queue("mine"),
    "declare an exchange": lambda on: on.declare_exchange("mine"),
    "bind its own queue to more": lambda on: _bind(on, "reports.orders", EXCHANGE),
    "bind another's queue": lambda on: _bind(on, THEIRS, direct_exchange("reports")),
    "delete another's queue": lambda on: on.queue_delete(THEIRS),
    "delete its own queue": lambda on: on.queue_delete("reports.orders"),
    "delete the exchange": lambda on: on.exchange_delete(EXCHANGE),
    "purge another's queue": lambda on: _purge(on, THEIRS),
    "purge another's dead letters": lambda on: _purge(on, f"{THEIRS}.dead"),
}


@pytest.mark.parametrize("border", BORDERS)
async def test_reports_crosses_no_border(stack: Running, border: str) -> None:
    async with open_channel(stack.stack.broker("reports"), "a test") as channel:
        with pytest.raises(ChannelAccessRefused):
            async with asyncio.timeout(10):
                await BORDERS[border](channel)


def test_what_a_service_cannot_read_it_sets_aside_replays_and_drops(stack: Running) -> None:
    event_id = str(uuid4())

    def run(*words: str) -> str:
        return stack.stack.run_service("reports", "dead-letters", *words).stdout

    def is_dead() -> bool:
        return event_id in run("list")

    deliver(stack.stack.rabbitmq.url, "reports.orders", a_message(event_id, "no.event", {}, b"{}"))
    wait_until(is_dead, "it is among the dead letters")
    assert run("replay", event_id) == "1 replayed\n"
    wait_until(is_dead, "it is there again")
    assert run("drop", event_id) == "1 dropped\n"
