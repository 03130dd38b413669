"""Accounts of a real broker: each service does its own work there, and crosses no border."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from aiormq.exceptions import ChannelAccessRefused, PublishError

from bailiwick_contracts.catalogue import PUBLISHED, SUBSCRIBED, queue_name
from bailiwick_contracts.envelope import EXCHANGE, bulk
from bailiwick_kit.bus.broker import open_channel
from bailiwick_kit.bus.broker_accounts import (
    EVENTS,
    MIGRATIONS,
    SERVICES,
    accounts,
    definitions,
    password_hash,
)
from bailiwick_kit.bus.topology import dead_queue, direct_exchange, retry_queue
from bailiwick_kit.process import service
from bailiwick_testkit.servers.real import Rabbitmq

Try = Callable[[AbstractChannel], Coroutine[Any, Any, object]]


@dataclass(frozen=True)
class Broker:
    """A virtual host with every account, under names of this run: accounts are the whole broker's."""

    url: str
    mark: str
    passwords: dict[str, str]

    def as_(self, account: str) -> str:
        parts = urlsplit(self.url)
        at = parts.netloc.rpartition("@")[2]
        return parts._replace(
            netloc=f"{account}{self.mark}:{self.passwords[account]}@{at}"
        ).geturl()

    @asynccontextmanager
    async def channel(self, account: str) -> AsyncIterator[AbstractChannel]:
        async with open_channel(self.as_(account), "a test") as channel:
            yield channel


@pytest.fixture(scope="module")
def broker(rabbitmq: Rabbitmq) -> Any:
    url, mark = rabbitmq.vhost(), f"-{secrets.token_hex(4)}"
    host = urlsplit(url).path.removeprefix("/")
    passwords = {one.name: secrets.token_urlsafe(24) for one in accounts()}
    hashes = {name: password_hash(password) for name, password in passwords.items()}
    wanted = definitions(hashes, host)
    for user in wanted["users"]:
        user["name"] += mark
    for permission in (*wanted["permissions"], *wanted["topic_permissions"]):
        permission["user"] += mark
    rabbitmq.ask("POST", "/definitions", wanted)
    made = Broker(url, mark, passwords)
    asyncio.run(service.declare_topology(made.as_(MIGRATIONS)))
    yield made
    for name in passwords:
        rabbitmq.ask("DELETE", f"/users/{quote(name + mark, safe='')}")
    rabbitmq.drop_vhost(url)


def _event(publisher: str) -> str:
    return PUBLISHED[publisher][0].type


async def _publish(channel: AbstractChannel, key: str, exchange: str = EXCHANGE) -> None:
    to = await channel.get_exchange(exchange, ensure=False)
    await to.publish(aio_pika.Message(b"{}"), key, mandatory=False)


async def _is_let(broker: Broker, account: str, attempt: Try) -> bool:
    try:
        async with broker.channel(account) as channel, asyncio.timeout(10):
            await attempt(channel)
    except ChannelAccessRefused:
        return False
    return True


def _beside(queue: str) -> tuple[str, ...]:
    """Give a queue and all that belong to it."""
    beside = bulk(queue)
    return (queue, retry_queue(queue), beside, retry_queue(beside), dead_queue(queue))


def _consumed(service_name: str) -> list[str]:
    return [queue_name(service_name, publisher) for publisher in SUBSCRIBED.get(service_name, {})]


@pytest.mark.parametrize("name", SERVICES)
async def test_a_service_publishes_its_own_events_and_no_others(broker: Broker, name: str) -> None:
    for publisher, exchange in product((one for one in SERVICES if PUBLISHED[one]), EVENTS):
        key = f"{_event(publisher)}.{uuid4()}"
        publish = partial(_publish, key=key, exchange=exchange)
        assert await _is_let(broker, name, publish) is (publisher == name), (name, publisher)


@pytest.mark.parametrize("name", SERVICES)
async def test_a_service_reads_its_own_queues_with_their_dead_letters_and_no_others(
    broker: Broker, name: str
) -> None:
    for reader in SERVICES:
        for queue in _consumed(reader):
            for one in _beside(queue):
                read = partial(_read, queue=one)
                assert await _is_let(broker, name, read) is (reader == name), (name, one)


async def _delete(channel: AbstractChannel, queue: str) -> None:
    await channel.queue_delete(queue)


BORDERS: dict[str, Try] = {
    "declare a queue": lambda channel: channel.declare_queue("mine", durable=True),
    "declare an exchange": lambda channel: channel.declare_exchange("mine", "topic"),
    "delete its own queue": lambda channel: _delete(channel, "reports.orders"),
    "delete another's queue": lambda channel: _delete(channel, "orders.identity"),
    "delete its own dead letters": lambda channel: _delete(channel, "reports.orders.dead"),
    "empty another's dead letters": lambda channel: _purge(channel, "orders.identity.dead"),
    "read a subscriber's queue": lambda channel: _read(channel, "subscriber.x.erp"),
    "bind its own queue to more": lambda channel: _bind(channel, "reports.orders", "#"),
    "bind another's queue": lambda channel: _bind(channel, "orders.identity", "#"),
    "bind another's queue to its own exchange": lambda channel: _bind(
        channel, "orders.identity", "orders.identity", direct_exchange("reports")
    ),
    "delete the exchange": lambda channel: channel.exchange_delete(EXCHANGE),
}


async def _ignore(_: object) -> None: ...


async def _read(channel: AbstractChannel, queue: str) -> None:
    found = await channel.get_queue(queue, ensure=False)
    await found.consume(_ignore)


async def _purge(channel: AbstractChannel, queue: str) -> None:
    found = await channel.get_queue(queue, ensure=False)
    await found.purge()


async def _bind(channel: AbstractChannel, queue: str, key: str, exchange: str = EXCHANGE) -> None:
    found = await channel.get_queue(queue, ensure=False)
    await found.bind(exchange, key)


@pytest.mark.parametrize("border", BORDERS)
async def test_reports_crosses_no_border(broker: Broker, border: str) -> None:
    assert not await _is_let(broker, "reports", BORDERS[border])


async def _put(broker: Broker, account: str, queue: str, exchange: str | None = None) -> None:
    """Put a message into one queue, by the account's own exchange unless told otherwise."""
    async with broker.channel(account) as channel:
        to = await channel.get_exchange(exchange or direct_exchange(account), ensure=False)
        await to.publish(aio_pika.Message(b"{}"), queue, mandatory=True)


@pytest.mark.parametrize("name", SERVICES)
async def test_a_service_puts_messages_into_its_own_queues_and_those_of_its_listeners_alone(
    broker: Broker, name: str
) -> None:
    for reader in SERVICES:
        for publisher in SUBSCRIBED.get(reader, {}):
            queue = queue_name(reader, publisher)
            for one in _beside(queue):
                is_for_it = reader == name or (publisher == name and one in {queue, bulk(queue)})
                try:
                    await _put(broker, name, one)
                except PublishError:  # it came back
                    assert not is_for_it, (name, one)
                else:
                    assert is_for_it, (name, one)


@pytest.mark.parametrize("exchange", ["", *map(direct_exchange, SERVICES)])
async def test_no_exchange_of_another_leads_into_a_queue(broker: Broker, exchange: str) -> None:
    for name in SERVICES:
        if exchange == direct_exchange(name):
            continue
        with pytest.raises(ChannelAccessRefused):
            await _put(broker, name, "reports.orders", exchange or "amq.default")


@pytest.mark.parametrize("name", [*SERVICES, MIGRATIONS])
def test_no_service_may_ask_the_management_api(
    broker: Broker, rabbitmq: Rabbitmq, name: str
) -> None:
    address = urlsplit(rabbitmq.server.management)
    known = base64.b64encode(f"{name}{broker.mark}:{broker.passwords[name]}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310 - of our own broker
        f"{address.scheme}://{address.netloc.rpartition('@')[2]}/api/whoami",
        headers={"Authorization": f"Basic {known}"},
    )
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(request, timeout=10)  # noqa: S310
    refusal.value.close()
    assert refusal.value.code == 401


async def test_migrations_declare_everything_again_and_publish_no_event(broker: Broker) -> None:
    await service.declare_topology(broker.as_(MIGRATIONS))
    key = f"{_event('identity')}.{uuid4()}"
    assert not await _is_let(broker, MIGRATIONS, lambda channel: _publish(channel, key))


def test_definitions_are_json_with_a_hash_for_each_account_and_no_password() -> None:
    passwords = {one.name: secrets.token_urlsafe(24) for one in accounts()}
    text = json.dumps(definitions({name: password_hash(one) for name, one in passwords.items()}))
    assert not [one for one in passwords.values() if one in text]
    assert [user["tags"] for user in json.loads(text)["users"]].count([]) == len(passwords) - 1
