"""Real servers for tests: one set for all workers of a run, or a private one to do harm to."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import json
import os
import shutil
import subprocess
import sys
import urllib.request
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from bailiwick_kit.database import migrations
from bailiwick_launcher.data_folder import DataFolder, locked, of_the_checkout
from bailiwick_launcher.databases import (
    DatabaseUrls,
    copy_database,
    create_database,
    drop_database,
)
from bailiwick_launcher.processes import Process, Runner, StackError, pid_files, stop_by
from bailiwick_launcher.servers import Server, opa, providers
from bailiwick_launcher.servers.docker_runner import Container
from bailiwick_launcher.servers.docker_runner import stop_all as stop_containers
from bailiwick_policy import bundle


def report(line: str) -> None:
    """Say what takes long, past pytest's capturing."""
    print(f"servers: {line}", file=sys.__stderr__, flush=True)


@dataclass(frozen=True)
class Handle:
    """What every server of a test can be asked and told; kill and pause only private ones."""

    server: Server

    @property
    def url(self) -> str:
        """Its address; it stays the same over a restart."""
        return self.server.url

    @property
    def runner(self) -> Runner:
        """The process or container itself."""
        return self.server.runner

    def start(self) -> None:
        """Start it and wait until it is ready; harmless where it runs."""
        self.server.start()

    def stop(self) -> None:
        """End it in good order (SIGTERM; PostgreSQL's fast shutdown)."""
        self.server.stop()

    def kill(self) -> None:
        """End it with `kill -9`."""
        self.server.kill()

    def pause(self) -> None:
        """Freeze it with SIGSTOP."""
        self.server.pause()

    def resume(self) -> None:
        """Let it go on with SIGCONT."""
        self.server.resume()


@dataclass(frozen=True)
class Postgres(Handle):
    """A PostgreSQL whose superuser's DSN is `url`."""

    places: DataFolder
    run: str

    async def fresh_database(self, service: str, *, migrated: bool = True) -> DatabaseUrls:
        """Make a database for a service as the stack would, with its migrations already run.

        They run once a session, into a template; each database is a copy of it (about 30 ms).
        """
        secret = self.places.kept.secret("roles")
        name = f"test_{self.run}_{service}_{uuid.uuid4().hex[:8]}"
        if not migrated:
            return await create_database(self.url, service, name, secret)
        template = await asyncio.to_thread(self._template, service, secret)
        return await copy_database(self.url, service, name, secret, template)

    async def drop(self, database: DatabaseUrls) -> None:
        """Drop a database; needed only where a test makes a great many. It waits for a checkpoint of all."""
        await drop_database(self.url, database.name)

    def _template(self, service: str, secret: str) -> str:
        name = f"template_{self.run}_{service}"
        done = self.places.folder("run") / f"{name}.done"
        with locked(done.with_suffix(".lock")):
            if not done.exists():
                asyncio.run(drop_database(self.url, name))
                urls = asyncio.run(create_database(self.url, service, name, secret))
                _migrate(service, urls)
                done.touch()
        return name


def _migrate(service: str, urls: DatabaseUrls) -> None:
    package = importlib.util.find_spec(f"bailiwick_{service}")
    if package is None or package.origin is None:
        raise StackError(f"there is no service {service}")
    directory = Path(package.origin).parent / "store" / "migrations"
    roles = {"api_role": f"{service}_api", "worker_role": f"{service}_worker"}
    migrations.upgrade(directory, urls.owner, **roles)


@dataclass(frozen=True)
class Rabbitmq(Handle):
    """A RabbitMQ with its management API open, for virtual hosts and a look into queues."""

    run: str

    def vhost(self) -> str:
        """Make a virtual host and give its AMQP address."""
        name = f"test-{self.run}-{uuid.uuid4().hex[:8]}"
        user = urlsplit(self.url).username or "guest"
        self.ask("PUT", f"/vhosts/{quote(name, safe='')}")
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        self.ask("PUT", f"/permissions/{quote(name, safe='')}/{quote(user, safe='')}", everything)
        return urlsplit(self.url)._replace(path=f"/{quote(name, safe='')}").geturl()

    def drop_vhost(self, url: str) -> None:
        """Delete a virtual host with all that is in it."""
        self.ask("DELETE", f"/vhosts/{urlsplit(url).path.removeprefix('/')}")

    def queues(self, url: str) -> list[dict[str, Any]]:
        """Give the queues of a virtual host as management tells them; counts lag by a second."""
        listed = self.ask("GET", f"/queues/{urlsplit(url).path.removeprefix('/')}")
        return [dict(queue) for queue in listed]

    def control(self, *arguments: str) -> None:
        """Run `rabbitmqctl`, beside a native broker or in its container."""
        match self.runner:
            case Process() as process:
                command = [str(Path(process.arguments[0]).with_name("rabbitmqctl")), *arguments]
                environment = {"PATH": os.environ["PATH"], **process.environment}
                # What tells the node where to listen would keep the tool from starting its own.
                environment.pop("RABBITMQ_DIST_PORT", None)
                switch = process.places.account.switch()
                folder = process.places.folder(".")
                subprocess.run(  # noqa: S603 - our own program
                    command, env=environment, cwd=folder, check=True, capture_output=True, **switch
                )
            case Container() as container:
                container.execute("rabbitmqctl", *arguments)
            case _:
                raise StackError("a broker that is somebody else's cannot be controlled")

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Send a request to the management API's `/api` and give the JSON that it answers."""
        if not self.server.management:
            raise StackError("set BAILIWICK_RABBITMQ_MANAGEMENT_URL beside BAILIWICK_RABBITMQ_URL")
        parts = urlsplit(self.server.management)
        request = urllib.request.Request(
            f"http://{parts.hostname}:{parts.port}/api{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
        )
        request.add_header("Content-Type", "application/json")
        credentials = b64encode(f"{parts.username}:{parts.password}".encode()).decode()
        request.add_header("Authorization", f"Basic {credentials}")
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - likewise
            content = answer.read()
        return json.loads(content) if content else None


@dataclass(frozen=True)
class Opa(Handle):
    """An OPA with the project's bundle at `url` (`unix://…` or `http://…`)."""

    places: DataFolder
    revision: str
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def extra(self, *, with_policy: bool = True) -> Opa:
        """Start one more of one's own, to do harm to; `with_policy=False` knows no rule."""
        name = f"opa-{os.getpid()}-{next(self._numbers)}"
        rules = opa.policy_bundle(self.places) if with_policy else None
        server = providers.provide_opa(self.places, report, name, rules, own=True)
        server.start()
        return Opa(server, self.places, self.revision if with_policy else "")


class Servers:
    """The servers of a test run; each starts when it is first asked for.

    All workers of the run share a folder, and through its locks one server of each kind.
    """

    def __init__(self, folder: Path, *, durable: bool = False, own: bool = False) -> None:
        self.places = DataFolder(folder)
        self._durable, self._own = durable, own
        self._run = folder.name.replace("-", "")[-8:]

    def postgres(self) -> Postgres:
        """Give PostgreSQL."""
        return Postgres(
            self._started(
                "postgres",
                lambda: providers.provide_postgres(
                    self.places, report, durable=self._durable, own=self._own
                ),
            ),
            self.places,
            self._run,
        )

    def rabbitmq(self) -> Rabbitmq:
        """Give RabbitMQ."""
        return Rabbitmq(
            self._started(
                "rabbitmq",
                lambda: providers.provide_rabbitmq(self.places, report, own=self._own),
            ),
            self._run,
        )

    def opa(self) -> Opa:
        """Give OPA with the bundle built from `policy/`."""
        return Opa(
            self._started(
                "opa",
                lambda: providers.provide_opa(
                    self.places, report, bundle_file=opa.policy_bundle(self.places), own=self._own
                ),
            ),
            self.places,
            bundle.revision(),
        )

    def _started(self, name: str, provide: Callable[[], Server]) -> Server:
        with locked(self.places.folder("run") / f"{name}.lock"):
            server = provide()
            server.start()
        return server

    @contextmanager
    def private(self) -> Iterator[Servers]:
        """Give a set of one's own, durable as in production, for tests that kill and freeze."""
        folder = self.places.data / f"private-{uuid.uuid4().hex[:8]}"
        servers = Servers(folder, durable=True, own=True)
        try:
            yield servers
        finally:
            servers.end()

    def end(self) -> None:
        """End everything that was started below the folder, by force, and remove the folder."""
        mine = self.places.data
        below = {path.parent for sign in ("run", "kept.json") for path in mine.glob(f"*/{sign}")}
        for folder in [mine, *below]:
            places = DataFolder(folder)
            for file in pid_files(places):
                stop_by(file, force=True)
            stop_containers(places, with_data=True)
        shutil.rmtree(mine, ignore_errors=True)


def folder_of_runs() -> Path:
    """Give the folder below which every test run has one of its own."""
    return of_the_checkout().folder("tests")
