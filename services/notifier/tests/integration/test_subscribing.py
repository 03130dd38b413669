"""Another system is let in by command: to its organization's events of its types, and to nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aio_pika
import jsonschema
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from bailiwick_contracts.catalogue import BOUND, SNAPSHOTS
from bailiwick_contracts.envelope import EXCHANGE, Event, bulk
from bailiwick_contracts.headers import headers
from bailiwick_contracts.orders import OrderCancelled, OrderEvent, OrderPlaced, OrderSnapshot
from bailiwick_kit.bus.broker import open_channel
from bailiwick_kit.bus.broker_management import Management
from bailiwick_kit.bus.outbox import record
from bailiwick_kit.bus.relay import Relay
from bailiwick_kit.database import migrations
from bailiwick_kit.process.service import declare_topology
from bailiwick_launcher.databases import DatabaseUrls
from bailiwick_notifier import subscribing
from bailiwick_notifier.settings import Settings
from bailiwick_notifier.subscribers import Readers
from bailiwick_testkit.checkout import CHECKOUT
from bailiwick_testkit.servers.real import Postgres, Rabbitmq
from bailiwick_testkit.services.application import settings_for
from bailiwick_testkit.services.toy import MIGRATIONS, Things, open_things, outbox
from bailiwick_testkit.waiting import running, until

SAMPLES = CHECKOUT / "contracts/samples"
NOWHERE = DatabaseUrls(*["postgresql+asyncpg://nobody@127.0.0.1:9/none"] * 4)
"""The commands ask no database."""


@dataclass
class Operator:
    """Whoever calls the commands: `await operator("add", name="erp")`."""

    settings: Settings
    org: UUID

    async def __call__(self, command: str, *more: str, **options: object) -> Result:
        given = {"org": self.org, **options}
        arguments = [part for name, value in given.items() for part in (f"--{name}", str(value))]
        program = subscribing.subscriber_commands(lambda: self.settings)
        return await asyncio.to_thread(
            CliRunner().invoke, program, [command, *arguments, *more], catch_exceptions=False
        )

    async def repair(self) -> Result:
        program = subscribing.subscriber_commands(lambda: self.settings)
        return await asyncio.to_thread(CliRunner().invoke, program, ["repair"])

    async def told(self, command: str, *more: str, **options: object) -> dict[str, str]:
        result = await self(command, *more, **options)
        assert result.exit_code == 0, result.output
        return dict(line.split(maxsplit=1) for line in result.stdout.splitlines())


@pytest.fixture
async def broker_url(rabbitmq: Rabbitmq) -> AsyncIterator[str]:
    url = await asyncio.to_thread(rabbitmq.vhost)
    await declare_topology(url)
    yield url
    await asyncio.to_thread(rabbitmq.drop_vhost, url)


@pytest.fixture
async def operator(
    rabbitmq: Rabbitmq, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Operator]:
    monkeypatch.setattr(subscribing, "Readers", partial(Readers, ripens=0))
    operator = Operator(settings(broker_url, SecretStr(rabbitmq.server.management)), uuid4())
    yield operator
    await operator("remove", name="erp")  # users belong to no virtual host


def settings(broker_url: str, management: SecretStr | None) -> Settings:
    made: Settings = settings_for(
        Settings,
        NOWHERE,
        broker_url=broker_url,
        broker_management_url=management,
        smtp_url=SecretStr("smtp://127.0.0.1:9"),
        mail_from="Bailiwick <orders@example.com>",
    )
    return made


@pytest.fixture
async def publisher(postgres: Postgres, broker_url: str) -> AsyncIterator[Things]:
    """Give an outbox, whose relay tells what is in it as orders would."""
    urls = await postgres.fresh_database("things", migrated=False)
    roles = {"api_role": "things_api", "worker_role": "things_worker"}
    await asyncio.to_thread(migrations.upgrade, MIGRATIONS, urls.owner, **roles)
    async with open_things(urls, broker_url, postgres.url) as things:
        yield things
    await postgres.drop(urls)


def order(kind: type[OrderEvent], org: UUID) -> OrderEvent:
    sample = json.loads(Path(SAMPLES, kind.type, "typical.json").read_text("utf-8"))
    return kind.model_validate({**sample, "org_id": org, "order_id": uuid4()})


async def published(publisher: Things, *events: Event) -> list[str]:
    ids = []
    for event in events:
        async with publisher.api.writing(event.org_id) as connection:
            ids += await record(connection, outbox, [event])
    urls = publisher.urls
    async with running(Relay(urls.worker, publisher.broker_url, "orders", EXCHANGE, BOUND).run):

        async def is_empty() -> bool:
            return await publisher.unsent() == 0

        await until(is_empty, "an empty outbox")
    return [str(one) for one in ids]


@asynccontextmanager
async def reading(told: dict[str, str]) -> AsyncIterator[Callable[[], Any]]:
    async with open_channel(told["address"], "test") as channel:
        queue = await channel.get_queue(told["user"])
        yield partial(queue.get, fail=False)


async def test_a_subscriber_gets_its_organizations_events_of_its_types_as_documented(
    operator: Operator, publisher: Things
) -> None:
    told = await operator.told("add", "--event", OrderPlaced.type, name="erp")
    assert told["events"] == OrderPlaced.type
    org = operator.org
    sent = [order(OrderPlaced, org), order(OrderPlaced, uuid4()), order(OrderCancelled, org)]
    ids = await published(publisher, *sent, order(OrderPlaced, org))
    async with reading(told) as take:
        got = [await take(), await take()]
        assert await take() is None
    assert [message.headers["ce-id"] for message in got] == [ids[0], ids[3]]
    jsonschema.validate(got[0].headers, headers(OrderPlaced.type, "/orders"))
    assert got[0].content_type == "application/json"
    assert OrderPlaced.model_validate_json(got[0].body) == sent[0]


async def test_a_subscriber_of_an_older_version_is_repaired(operator: Operator) -> None:
    told = await operator.told("add", "--event", OrderPlaced.type, name="erp")
    settings, key = operator.settings, f"{OrderPlaced.type}.{operator.org}"
    assert settings.broker_management_url is not None
    urls = (settings.broker_management_url.get_secret_value(), settings.broker_url)
    async with Management(urls[0], urls[1].get_secret_value()) as management:
        await management.unbind(bulk(EXCHANGE), told["user"], key)
        done = await operator.repair()
        assert done.stdout.splitlines()[-1] == "1 repaired"
        assert await management.bindings(bulk(EXCHANGE), told["user"]) == {key}
    assert (await operator.repair()).stdout == "0 repaired\n"


async def test_a_new_subscriber_gets_all_of_orders_but_snapshots(operator: Operator) -> None:
    told = await operator.told("add", name="erp")
    types = told["events"].split(", ")
    assert types == list(subscribing.USUAL)
    assert OrderPlaced.type in types
    assert not SNAPSHOTS & {*types, *subscribing.OFFERED}


async def test_adding_again_tells_no_password_and_keeps_what_was_chosen(operator: Operator) -> None:
    first = await operator.told("add", "--event", OrderPlaced.type, name="erp")
    again = await operator.told("add", name="erp")
    assert again["events"] == OrderPlaced.type
    assert first["password"] not in str(again)
    changed = await operator.told("add", "--event", OrderCancelled.type, name="erp")
    assert changed["events"] == OrderCancelled.type
    async with reading(first):
        pass


async def test_subscribers_are_listed_by_organization(operator: Operator) -> None:
    await operator("add", "--event", OrderPlaced.type, name="erp")
    other = Operator(operator.settings, uuid4())
    await other("add", name="erp")
    listed = (await operator("list")).stdout.splitlines()
    assert listed == [f"erp  0 waiting  0 connected  {OrderPlaced.type}"]
    await other("remove", name="erp")
    assert (await other("list")).stdout == ""


async def test_a_rotated_password_replaces_the_old_one(operator: Operator) -> None:
    before = await operator.told("add", name="erp")
    after = await operator.told("rotate", name="erp")
    with pytest.raises(aio_pika.exceptions.ProbableAuthenticationError):
        async with reading(before):
            pass
    async with reading(after) as take:
        assert await take() is None


async def test_a_removed_subscriber_is_shut_out_at_once(operator: Operator) -> None:
    told = await operator.told("add", name="erp")
    async with open_channel(told["address"], "test") as channel:
        assert (await operator("remove", name="erp")).exit_code == 0

        async def is_closed() -> bool:
            return channel.is_closed

        await until(is_closed, "a closed channel")
    assert (await operator("list")).stdout == ""


@pytest.mark.parametrize("command", ["rotate", "remove"])
async def test_whoever_is_not_there_is_named(operator: Operator, command: str) -> None:
    result = await operator(command, name="nobody")
    assert result.exit_code == 1
    assert f"no subscriber.{operator.org}.nobody" in result.stderr


BAD_NAMES = ["", "a.b", "*", "#", "a*", "Erp", "érp", "e rp", "a_b", "-a", "a-", "a\n", "a" * 300]


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("command", ["add", "rotate", "remove"])
async def test_a_name_that_a_pattern_could_mean_is_refused(command: str, name: str) -> None:
    operator = Operator(settings("amqp://nobody@127.0.0.1:9/", None), uuid4())
    result = await operator(command, name=name)
    assert result.exit_code == 2
    assert "small letters" in result.stderr


@pytest.mark.parametrize("name", [OrderSnapshot.type, "orders.order.placed", "#", "*", ""])
async def test_a_type_that_is_not_offered_is_refused_with_those_that_are(name: str) -> None:
    operator = Operator(settings("amqp://nobody@127.0.0.1:9/", None), uuid4())
    result = await operator("add", "--event", name, name="erp")
    assert result.exit_code == 2
    assert "orders.order.placed.v1" in result.stderr


async def test_an_organization_is_an_id() -> None:
    operator = Operator(settings("amqp://nobody@127.0.0.1:9/", None), uuid4())
    assert (await operator("list", org="*")).exit_code == 2


@pytest.mark.parametrize("command", ["add", "rotate", "remove"])
async def test_without_the_management_address_the_setting_is_named(command: str) -> None:
    operator = Operator(settings("amqp://nobody@127.0.0.1:9/", None), uuid4())
    result = await operator(command, name="erp")
    assert result.exit_code == 2
    assert "BAILIWICK_BROKER_MANAGEMENT_URL" in result.stderr


async def test_a_management_api_that_is_away_is_told_without_its_password() -> None:
    url = SecretStr("http://us:the-word@127.0.0.1:9")
    result = await Operator(settings("amqp://nobody@127.0.0.1:9/", url), uuid4())("list")
    assert result.exit_code == 1
    assert "management API" in result.stderr
    assert "the-word" not in result.output


@pytest.mark.parametrize(("management", "exit_code"), [("http://us:it@127.0.0.1:9", 1), ("", 2)])
def test_the_broker_is_all_that_the_program_has_to_be_given(
    management: str, exit_code: int
) -> None:
    """Compose runs it in a container of its own, which knows no database."""
    environment = {
        "PATH": os.environ["PATH"],
        "BAILIWICK_BROKER_URL": "amqp://us:it@127.0.0.1:9/",
        "BAILIWICK_BROKER_MANAGEMENT_URL": management,
    }
    command = [sys.executable, "-m", "bailiwick_notifier", "subscribers", "list"]
    done = subprocess.run(  # noqa: S603 - our own program
        [*command, "--org", str(uuid4())], env=environment, capture_output=True, check=False
    )
    assert done.returncode == exit_code, done.stderr
