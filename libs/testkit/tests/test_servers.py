"""The servers that other tests stand on."""

from __future__ import annotations

import asyncio
import os

import asyncpg
import pytest

from bailiwick_kit.bus.broker import open_channel
from bailiwick_launcher.databases import DatabaseUrls
from bailiwick_launcher.processes import StackError
from bailiwick_launcher.servers import probes
from bailiwick_testkit.servers.real import Opa, Postgres, Rabbitmq, Servers


async def connect(url: str) -> asyncpg.Connection:
    return await asyncpg.connect(url.replace("+asyncpg", ""))


@pytest.fixture(scope="module")
async def empty(postgres: Postgres) -> DatabaseUrls:
    return await postgres.fresh_database("orders", migrated=False)


@pytest.mark.parametrize("role", ["owner", "api", "worker"])
async def test_role_is_itself_and_nothing_more(empty: DatabaseUrls, role: str) -> None:
    connection = await connect(getattr(empty, role))
    row = await connection.fetchrow("SELECT * FROM pg_roles WHERE rolname = current_user")
    await connection.close()
    assert row["rolname"] == f"orders_{role}"
    for right in ("rolsuper", "rolbypassrls", "rolcreatedb", "rolcreaterole"):
        assert row[right] is False, right


@pytest.mark.parametrize("role", ["api", "worker"])
async def test_working_roles_make_no_tables(empty: DatabaseUrls, role: str) -> None:
    connection = await connect(getattr(empty, role))
    for statement in ("CREATE TABLE t (a int)", "CREATE SCHEMA s", "CREATE TEMP TABLE t (a int)"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    await connection.close()


async def test_owner_makes_exclusion_constraints(empty: DatabaseUrls) -> None:
    connection = await connect(empty.owner)
    await connection.execute(
        "CREATE TABLE held (org uuid, during tstzrange, EXCLUDE USING gist (org WITH =, during WITH &&))"
    )
    await connection.close()


async def test_databases_are_apart(postgres: Postgres) -> None:
    one, two = await asyncio.gather(
        postgres.fresh_database("orders", migrated=False),
        postgres.fresh_database("customers", migrated=False),
    )
    assert one.name != two.name
    with pytest.raises(asyncpg.PostgresError):
        await connect(one.api.replace(one.name, two.name))
    await postgres.drop(one)
    await postgres.drop(two)


async def test_virtual_hosts_are_apart(rabbitmq: Rabbitmq) -> None:
    one, two = rabbitmq.vhost(), rabbitmq.vhost()
    async with open_channel(one, "a test") as channel:
        await channel.declare_queue("q", durable=True, arguments={"x-queue-type": "quorum"})
        assert [queue["name"] for queue in rabbitmq.queues(one)] == ["q"]
        assert rabbitmq.queues(two) == []
    rabbitmq.drop_vhost(one)
    rabbitmq.drop_vhost(two)


def test_policy_server_can_be_frozen_killed_and_brought_back(opa: Opa) -> None:
    mine = opa.extra()
    mine.pause()
    assert not mine.server.is_ready()
    mine.resume()
    assert mine.server.is_ready()
    mine.kill()
    assert probes.http_status(mine.url, "/health") == 0
    mine.start()
    assert mine.server.is_ready()
    mine.stop()
    assert opa.server.is_ready()


def test_private_database_server_is_durable_and_keeps_its_data_over_a_kill(
    servers: Servers,
) -> None:
    async def ask(url: str, statement: str) -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    with servers.private() as mine:
        postgres = mine.postgres()
        assert postgres.url != servers.postgres().url
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert asyncio.run(ask(postgres.url, f"SHOW {setting}")) == "on"
        asyncio.run(ask(postgres.url, "CREATE TABLE kept AS SELECT 1 AS n"))
        postgres.kill()
        with pytest.raises(OSError, match=r"[Cc]onnect"):
            asyncio.run(ask(postgres.url, "SELECT 1"))
        postgres.start()
        assert asyncio.run(ask(postgres.url, "SELECT n FROM kept")) == 1
        folder = mine.places.data
    assert not folder.exists()


def test_given_server_is_never_stopped(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    address = servers.postgres().url
    monkeypatch.setenv("BAILIWICK_POSTGRES_URL", address)
    given = Servers(servers.places.data / "given").postgres()
    with pytest.raises(StackError, match="not ours"):
        given.kill()
    given.stop()
    assert servers.postgres().server.is_ready()


def test_workers_of_a_run_share_its_folder(servers: Servers) -> None:
    controller = int(servers.places.data.name.partition("-")[0])
    assert controller in {os.getpid(), os.getppid()}
