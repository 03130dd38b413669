"""A service as a program: api, worker, or both in one process; migrate, health, openapi, what went wrong.

What a service is made of is in its `main.py`; how it is run is the same for all.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import structlog
import typer
import uvicorn
import uvloop
from fastapi import FastAPI
from pydantic import SecretStr
from typing_extensions import override

from bailiwick_contracts.catalogue import PUBLISHED, SUBSCRIBED, queue_name
from bailiwick_contracts.envelope import EXCHANGE
from bailiwick_kit.bus import topology
from bailiwick_kit.policy.client import Question
from bailiwick_kit.probe import probe
from bailiwick_kit.process.dead_letter_commands import dead_letter_commands
from bailiwick_kit.process.health import Health, NotYetError, health_of
from bailiwick_kit.process.migrating import CannotMigrateError, migrate
from bailiwick_kit.process.operations import operations
from bailiwick_kit.process.outbox_commands import outbox_commands
from bailiwick_kit.process.sampling import QueueSampling
from bailiwick_kit.settings import Process, ServiceSettings, SettingsError
from bailiwick_kit.telemetry import logs, metrics
from bailiwick_kit.telemetry.export import exported

log = structlog.get_logger(__name__)

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

GRACE = 12
"""Seconds that requests in hand are given when the service is told to stop."""
AT_MOST = 24.0
"""Seconds from being told to stop to the end of the process, in whatever state it is then (F26: 25).

In order, an API takes five of drain delay, `GRACE`, and a second for each pool of connections to a
database that does not answer, some six with the spans' two. A worker takes five for the event or mail in
hand, two for a broker that does not answer, and the same six. One process that does both takes the sum
only where everything is at its worst at once: a client that does not read, an event that does not end,
database, broker and collector frozen. Then it is cut off; what it loses, it would lose to `kill -9`.
"""


@dataclass(frozen=True)
class Service(Generic[SettingsT]):
    """What a service is made of.

    `work` opens what its worker needs and yields what is to run side by side until the end. `questions` are
    those that policy has to have answered before it is ready.
    """

    name: str
    settings: type[SettingsT]
    migrations: Path
    application: Callable[[SettingsT], FastAPI]
    work: Callable[[SettingsT], AbstractAsyncContextManager[Sequence[Work]]]
    questions: Sequence[Question] = ()

    @property
    def queues(self) -> list[str]:
        """The queues in which it finds what others tell."""
        return [queue_name(self.name, publisher) for publisher in SUBSCRIBED.get(self.name, {})]

    def command_line(self) -> typer.Typer:
        """Return the program."""
        program = typer.Typer(
            no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
        )

        @program.command()
        def api() -> None:
            """Serve HTTP."""
            _run(self.name, self._run(self.load("api"), serving=True, working=False))

        @program.command()
        def worker() -> None:
            """Relay and consume events."""
            _run(self.name, self._run(self.load("worker"), serving=False, working=True))

        @program.command()
        def serve() -> None:
            """Do both in one process: for one machine."""
            _run(self.name, self._run(self.load("api", "worker"), serving=True, working=True))

        @program.command("migrate")
        def migrate_() -> None:
            """Bring database and broker to what this version needs; repeating it changes nothing."""
            self.migrate(self.load("migrate"))

        @program.command()
        def health(
            *,
            live: Annotated[bool, typer.Option("--live", help="Only whether it answers.")] = False,
        ) -> None:
            """Ask the process on this machine whether it is ready; exit code 0 if so, else 1."""
            raise typer.Exit(probe("live" if live else "ready"))

        @program.command()
        def openapi() -> None:
            """Print the OpenAPI document."""
            document = self.described().openapi()
            typer.echo(json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False))

        def broker_url() -> str:
            return self.load("worker").broker_url.get_secret_value()

        def database_url() -> str:
            return self.load("worker").database_worker_url.get_secret_value()

        program.add_typer(dead_letter_commands(self.queues, broker_url), name="dead-letters")
        if PUBLISHED.get(self.name):
            program.add_typer(outbox_commands(database_url), name="outbox")
        return program

    def migrate(self, settings: SettingsT) -> None:
        """Migrate the database, and declare the whole topology before anybody needs it (D16)."""
        try:
            migrate(self.migrations, settings, declare_topology)
        except CannotMigrateError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from None

    def described(self) -> FastAPI:
        """Build the application without settings: to be described, never to be started."""
        blank: Any = self.settings.model_construct
        return self.application(blank(**_BLANK))

    def load(self, *processes: Process) -> SettingsT:
        """Read the settings of these processes and set up logs: what every subcommand begins with."""
        try:
            settings = self.settings.load(*processes)
        except SettingsError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(2) from None
        logs.set_up(self.name)
        return settings

    async def _run(self, settings: SettingsT, *, serving: bool, working: bool) -> None:
        """Run until told to stop: then first not ready, then no new requests, no more events, and the rest.

        In this order, because a request in hand may still wait for what an event brings (D6).
        """
        told = _told_to_stop()
        process = ("serve" if working else "api") if serving else "worker"
        metrics.BUILD_INFO.only(1, self.name, process, settings.version)
        database_url = settings.database_api_url if serving else settings.database_worker_url
        async with (
            health_of(settings, database_url.get_secret_value(), self.questions) as health,
            operations(*settings.operations_address, health),
            asyncio.TaskGroup() as group,
        ):
            work = group.create_task(self._work(settings, health)) if working else None
            if serving:
                await self._serve(settings, health, told)
            else:
                await told.wait()
                health.stop()
            if work is not None:
                work.cancel()

    async def _serve(self, settings: SettingsT, health: Health, told: asyncio.Event) -> None:
        """Serve until told to stop; what waits before the end is time for routers to forget us."""
        host, port = settings.address
        server = _Server(
            uvicorn.Config(
                self.application(settings),
                host=host,
                port=port,
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=True,
                proxy_headers=False,
                timeout_graceful_shutdown=GRACE,
                timeout_keep_alive=75,
            )
        )
        health.also("http", server.has_begun)

        async def end() -> None:
            await told.wait()
            health.stop()
            await asyncio.sleep(settings.drain_delay)
            server.should_exit = True

        ending = asyncio.create_task(end())
        try:
            await server.serve()
        finally:
            ending.cancel()
        if not server.started:
            raise SystemExit(3)  # as uvicorn itself does; it has said why

    async def _work(self, settings: SettingsT, health: Health) -> None:
        begun = asyncio.Event()

        async def has_begun() -> None:
            if not begun.is_set():
                raise NotYetError

        health.also("worker", has_begun)
        sampled = QueueSampling(settings.broker_url.get_secret_value(), self.queues)
        async with self.work(settings) as jobs, asyncio.TaskGroup() as group:
            for job in [*jobs, sampled.run] if self.queues else jobs:
                group.create_task(_running(job))
            begun.set()


class _Server(uvicorn.Server):
    """uvicorn without signal handlers: the process has its own, one for HTTP and worker."""

    @override
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def has_begun(self) -> None:
        """Pass if requests are taken."""
        if not self.started:
            raise NotYetError


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
    """Return the event that is set when the process is told to stop; told again, it ends there and then."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)

    def hear() -> None:
        told.set()
        for number in numbers:
            loop.remove_signal_handler(number)
        # Of a thread, which no closing can hold up, and no other thread that does not end.
        last = threading.Timer(AT_MOST, _cut_off)
        last.daemon = True
        last.start()

    for number in numbers:
        loop.add_signal_handler(number, hear)
    return told


def _cut_off() -> None:
    def say() -> None:
        log.error("service.cut_off", after=AT_MOST)

    try:
        # Whoever is in the middle of a line that nobody reads holds up all who log.
        saying = threading.Thread(target=say, daemon=True)
        saying.start()
        saying.join(1)
    finally:
        os._exit(1)


def _run(service: str, work: Coroutine[Any, Any, None]) -> None:
    """Run to the end on uvloop, as uvicorn does by itself: the same work on less processor time."""
    with (
        exported(service),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(work)


async def _running(job: Work) -> None:
    """Run a job until it is cancelled; that it ends in any other way ends the process.

    A task group minds exceptions alone: a job that returns, or is cancelled by something inside it (a
    driver whose connection went), would be missing from then on, in a process that is ready.

    Raises:
        RuntimeError: the job has ended by itself.
    """
    task, msg = asyncio.current_task(), "a job of the worker has ended by itself"
    try:
        await job()
    except asyncio.CancelledError as error:
        if task is None or task.cancelling():
            raise
        raise RuntimeError(msg) from error
    if task is None or not task.cancelling():
        raise RuntimeError(msg)
