"""A service as a program: api, worker, or both in one process; migrate, openapi, dead letters.

What a service is made of is in its `main.py`; how it is run is the same for all.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import typer
import uvicorn
import uvloop
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from bailiwick_contracts.catalogue import SUBSCRIBED, queue_name
from bailiwick_contracts.envelope import EXCHANGE
from bailiwick_kit import logs, topology
from bailiwick_kit.dead_letter_commands import dead_letter_commands
from bailiwick_kit.settings import ServiceSettings, SettingsError

SettingsT = TypeVar("SettingsT", bound=ServiceSettings)
Work = Callable[[], Awaitable[None]]
"""Runs until cancelled."""

_BLANK = {
    "database_api_url": SecretStr("postgresql+asyncpg://nobody@localhost/none"),
    "database_worker_url": SecretStr("postgresql+asyncpg://nobody@localhost/none"),
    "policy_url": "http://localhost",
    "policy_revision": None,
    "door_secret": SecretStr(""),
}
"""Settings of an application that is described and never started."""

GRACE = 20
"""Seconds that requests in hand are given when the service is told to stop."""


@dataclass(frozen=True)
class Service(Generic[SettingsT]):
    """What a service is made of.

    `work` opens what its worker needs and yields what is to run side by side until the end.
    """

    name: str
    settings: type[SettingsT]
    migrations: Path
    application: Callable[[SettingsT], FastAPI]
    work: Callable[[SettingsT], AbstractAsyncContextManager[Sequence[Work]]]

    def command_line(self) -> typer.Typer:
        """Return the program."""
        program = typer.Typer(
            no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
        )

        @program.command()
        def api() -> None:
            """Serve HTTP."""
            _run(self._run(self.load(), serving=True, working=False))

        @program.command()
        def worker() -> None:
            """Relay and consume events."""
            _run(self._run(self.load(), serving=False, working=True))

        @program.command()
        def serve() -> None:
            """Do both in one process: for one machine."""
            _run(self._run(self.load(), serving=True, working=True))

        @program.command()
        def migrate() -> None:
            """Bring database and broker to what this version needs; repeating it changes nothing."""
            self.migrate(self.load())

        @program.command()
        def openapi() -> None:
            """Print the OpenAPI document."""
            document = self.described().openapi()
            typer.echo(json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False))

        queues = [queue_name(self.name, publisher) for publisher in SUBSCRIBED.get(self.name, {})]

        def broker_url() -> str:
            return self.load().broker_url.get_secret_value()

        program.add_typer(dead_letter_commands(queues, broker_url), name="dead-letters")
        return program

    def migrate(self, settings: SettingsT) -> None:
        """Migrate the database, and declare the whole topology before anybody needs it (D16)."""
        from bailiwick_kit import migrations  # noqa: PLC0415 - Alembic, which nothing else here needs

        migrations.upgrade(
            self.migrations,
            settings.database_owner_url.get_secret_value(),
            api_role=str(make_url(settings.database_api_url.get_secret_value()).username),
            worker_role=str(make_url(settings.database_worker_url.get_secret_value()).username),
        )
        asyncio.run(declare_topology(settings.broker_url.get_secret_value()))

    def described(self) -> FastAPI:
        """Build the application without settings: to be described, never to be started."""
        blank: Any = self.settings.model_construct
        return self.application(blank(**_BLANK))

    def load(self) -> SettingsT:
        """Read the settings and set up logs: what every subcommand begins with."""
        try:
            settings = self.settings.load()
        except SettingsError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(2) from None
        logs.set_up(self.name)
        return settings

    async def _run(self, settings: SettingsT, *, serving: bool, working: bool) -> None:
        """Run until told to stop: first no new requests, then no more events, then the rest.

        In this order, because a request in hand may still wait for what an event brings (D6).
        """
        told = _told_to_stop()
        async with asyncio.TaskGroup() as group:
            work = group.create_task(self._work(settings)) if working else None
            if serving:
                await self._serve(settings)
            else:
                await told.wait()
            if work is not None:
                work.cancel()

    async def _serve(self, settings: SettingsT) -> None:
        config = uvicorn.Config(
            self.application(settings),
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE,
            timeout_keep_alive=75,
        )
        server = uvicorn.Server(config)
        await server.serve()
        if not server.started:
            raise SystemExit(3)  # as uvicorn itself does; it has said why

    async def _work(self, settings: SettingsT) -> None:
        async with self.work(settings) as jobs, asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(_running(job))


async def declare_topology(broker_url: str) -> None:
    """Declare every queue of every consumer, as the catalogue has them."""
    await topology.declare(broker_url, EXCHANGE, bindings())


def bindings() -> Mapping[str, Sequence[str]]:
    """Return each queue with the patterns it is bound by."""
    return {
        queue_name(consumer, publisher): [event.binding_key() for event in events]
        for consumer, publishers in SUBSCRIBED.items()
        for publisher, events in publishers.items()
    }


def _told_to_stop() -> asyncio.Event:
    """Return the event that is set when the process is told to stop.

    uvicorn, while it serves, hears the signal too, and raises it again when it is done. Without a handler
    of ours that would end the process there and then, with the worker in the middle of something.
    """
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    return told


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end on uvloop, as uvicorn does by itself: the same work on less processor time."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


async def _running(job: Work) -> None:
    await job()
