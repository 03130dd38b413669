"""The stack as processes: servers at once, databases and migrations, services, and the gateway last."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import IO, Any

from bailiwick_kit.bus.broker_accounts import MIGRATIONS
from bailiwick_kit.bus.broker_management import ManagementError
from bailiwick_launcher import broker
from bailiwick_launcher.data_folder import DataFolder, locked
from bailiwick_launcher.databases import DatabaseUrls, create_database, urls
from bailiwick_launcher.processes import (
    Process,
    StackError,
    pid_files,
    stop_by,
    wait_until,
)
from bailiwick_launcher.servers import (
    Server,
    docker_runner,
    gateway,
    mailbox,
    opa,
    probes,
    providers,
)
from bailiwick_launcher.services import (
    SERVICES,
    Interpreter,
    ServiceEnv,
    code_print,
    interpreter,
    signing_keys,
)
from bailiwick_launcher.stacks import Report, sign_ins
from bailiwick_mailbox import Mailbox
from bailiwick_policy import bundle

_MANAGING = "subscribers"
"""The command of notifier that makes queues and users, by the broker's management API."""


@dataclass(frozen=True)
class NativeStack:
    """The whole of it in one data folder; every method may be repeated."""

    places: DataFolder
    report: Report
    services: tuple[str, ...] = SERVICES
    settings: Mapping[str, str] = field(default_factory=dict)
    """What every service is told besides: `BAILIWICK_…` → value."""
    own: bool = False
    """Servers whose addresses are in the environment will not do: for who does harm to them."""
    keeps_mail: bool = False
    """Mail stays here whatever the environment says: for tests."""

    def up(self) -> None:
        """Bring everything up; what runs as it should is left alone.

        Raises:
            StackError: something did not come up; with what to do or the end of its log.
        """
        with locked(self.places.folder(".") / "stack.lock"):
            providers.prepare(self.places, self.report)
            with ThreadPoolExecutor() as pool:
                _all(
                    [
                        pool.submit(self._start_postgres),
                        pool.submit(self._start_rabbitmq),
                        pool.submit(self._start_policies),
                        pool.submit(self._start_mailbox),
                    ]
                )
                if not all(self.service(service).is_current() for service in self.services):
                    # What runs as it would be started now was migrated by this very code.
                    _all([pool.submit(self._migrate, service) for service in self.services])
                _all([pool.submit(self._start_service, service) for service in self.services])
            self._start(self.gateway)

    def down(self) -> list[str]:
        """End everything that was started here, and give the names of what was running.

        What has the higher rank goes first: gateway, services, servers, epmd. Data stay.
        """
        ended: list[str] = []
        with locked(self.places.folder(".") / "stack.lock"), ThreadPoolExecutor() as pool:
            files = pid_files(self.places)
            for rank in sorted(set(files.values()), reverse=True):
                of_rank = [file for file, its_rank in files.items() if its_rank == rank]
                for file, had_run in zip(of_rank, pool.map(stop_by, of_rank), strict=True):
                    ended += [file.stem] * had_run
            ended += docker_runner.stop_all(self.places)
            for folder in {self.places.socket("any").parent, self.places.folder("sockets")}:
                shutil.rmtree(folder, ignore_errors=True)
        return ended

    @cached_property
    def postgres(self) -> Server:
        """The server of all the databases."""
        return providers.provide_postgres(self.places, self.report, own=self.own)

    @cached_property
    def rabbitmq(self) -> Server:
        """The broker."""
        return providers.provide_rabbitmq(self.places, self.report, own=self.own)

    @cached_property
    def policies(self) -> dict[str, Server]:
        """The OPA beside each service."""
        rules = opa.policy_bundle(self.places)
        return {
            service: providers.provide_opa(
                self.places, self.report, f"opa-{service}", rules, own=self.own
            )
            for service in self.services
        }

    @cached_property
    def mailbox(self) -> Server:
        """Where mail goes."""
        return mailbox.provide(self.places, self.python, own=self.own or self.keeps_mail)

    @property
    def mail(self) -> Mailbox:
        """The mail that was sent and kept here."""
        return Mailbox(self.places.folder("mailbox"))

    @property
    def mail_goes_out(self) -> bool:
        """Whether mail goes to a server that is not ours, and none is kept."""
        return self.mailbox.folder is None

    @cached_property
    def gateway(self) -> Server:
        """The one origin for web clients."""
        return gateway.native(self.places, {service: self.port(service) for service in SERVICES})

    @property
    def origin(self) -> str:
        """The gateway's address."""
        return self.gateway.url

    @cached_property
    def python(self) -> Interpreter:
        """What runs the services."""
        return interpreter(self.places)

    @cached_property
    def service_env(self) -> ServiceEnv:
        """What every service is told of the others."""
        kept = self.places.kept
        return ServiceEnv(
            policy={service: server.url for service, server in self.policies.items()},
            revision=bundle.revision(),
            ports={service: self.port(service) for service in SERVICES},
            operations={service: self.operations_port(service) for service in SERVICES},
            issuer=self.gateway.url,
            smtp=self.mailbox.url,
            mail_from=mailbox.sender(),
            door_secret=kept.secret("door"),
            cursor_secret=kept.secret("cursor"),
            signing_keys=signing_keys(self.places),
        )

    def port(self, service: str) -> int:
        """Give a service's own port, which the gateway knows and nobody outside."""
        in_use = Process(service, self.places, ()).is_running()
        return self.places.kept.port(service, in_use=in_use)

    def operations_port(self, service: str) -> int:
        """Give the port of a service's probes, which no gateway leads to."""
        in_use = Process(service, self.places, ()).is_running()
        return self.places.kept.port(f"{service}-operations", in_use=in_use)

    def address(self, service: str) -> str:
        """Give a service's own address."""
        return f"http://127.0.0.1:{self.port(service)}"

    def operations(self, service: str) -> str:
        """Give the address of a service's probes."""
        return f"http://127.0.0.1:{self.operations_port(service)}"

    def database(self, service: str) -> DatabaseUrls:
        """Give the addresses of a service's database."""
        secret = self.places.kept.secret("roles")
        return urls(self.postgres.url, service, f"bailiwick_{service}", secret)

    def broker(self, account: str) -> str:
        """Give the broker's address as one of its accounts: a service's name, or `migrations`.

        Accounts are made by the management API: a broker that was given without it has one for all.
        """
        return broker.urls(self.rabbitmq.url)[account] if self._has_accounts else self.rabbitmq.url

    @property
    def _has_accounts(self) -> bool:
        return bool(self.rabbitmq.management)

    def environment(self, service: str, command: str = "serve") -> dict[str, str]:
        """Give the settings that one of a service's commands runs with.

        `migrate` declares the topology, and `subscribers` is the one that is given the broker's management.
        """
        account = MIGRATIONS if command == "migrate" else service
        environment = self.service_env.environment(
            service, self.database(service), self.broker(account)
        )
        if command == _MANAGING:
            environment["BAILIWICK_BROKER_MANAGEMENT_URL"] = self.rabbitmq.management
        return environment | dict(self.settings)

    def run_service(
        self, service: str, *arguments: str, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a service's subcommand (`migrate`, `dead-letters list` …) and collect what it says.

        It runs as the stack's account, which may not read the caller's files: `text` is its input.
        """
        environment = self.environment(service, *arguments[:1])
        return self.python.run(self.places, service, arguments, environment, text)

    def feed_service(
        self, service: str, arguments: list[str], sent: IO[bytes], said: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        """Run a service's subcommand that is given a lot and answers as it goes."""
        return subprocess.Popen(
            [self.python.program, "-m", f"bailiwick_{service}", *arguments],
            cwd=self.places.folder("."),
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
            | self.environment(service)
            | self.python.environment(),
            stdin=sent,
            stdout=subprocess.PIPE,
            stderr=said,
            **self.places.account.switch(),
        )

    @contextmanager
    def policy(self) -> Iterator[str]:
        """Give the address of identity's OPA."""
        yield self.policies["identity"].url

    def log_command(self, name: str, lines: int, *, follow: bool) -> list[str]:
        """Give the command that shows the end of a log: everything writes to a file in `logs`."""
        folder = self.places.folder("logs")
        path = folder / f"{name}.log"
        if not path.exists():
            known = ", ".join(sorted(file.stem for file in folder.glob("*.log"))) or "none yet"
            raise StackError(f"There is no log of {name}. Logs: {known}.")
        return ["tail", "-n", str(lines), *(["-F"] if follow else []), str(path)]

    def service(self, service: str) -> Process:
        """Give a service's process."""
        environment = self.environment(service) | {"BAILIWICK_CODE": code_print()}
        return self.python.process(self.places, service, environment)

    def absent(self) -> list[str]:
        """Give those of the services and the gateway that do not run."""
        names = ("gateway", *self.services)
        return [name for name in names if not Process(name, self.places, ()).is_running()]

    def status(self) -> dict[str, Any]:
        """Tell what runs where, for people and programs."""
        is_up = not self.absent()
        services = []
        for name in self.services:
            process = Process(name, self.places, ())
            ready = process.is_running() and probes.http_status(self.operations(name), "/ready")
            services.append(
                {
                    "name": name,
                    "pid": process.pid(),
                    "address": self.address(name),
                    "health": "ready" if ready == 200 else "not ready" if ready else "not running",  # noqa: PLR2004
                }
            )
        return {
            "up": is_up,
            "gateway": self.gateway.url if is_up else None,
            "services": services,
            "servers": self._servers() if is_up else [],
            "sign_ins": sign_ins(self.places),
        }

    def _servers(self) -> list[dict[str, Any]]:
        seen = mailbox.provide(self.places, None, own=self.own or self.keeps_mail)
        servers = [self.postgres, self.rabbitmq, *self.policies.values(), seen, self.gateway]
        return [
            {
                "name": server.name,
                "version": server.version,
                "running": server.is_running() and server.is_ready(),
            }
            for server in servers
        ]

    def _start_postgres(self) -> None:
        self._start(self.postgres)
        with self._step("databases"):
            asyncio.run(self._create_databases())

    async def _create_databases(self) -> None:
        secret = self.places.kept.secret("roles")
        for service in self.services:
            await create_database(self.postgres.url, service, f"bailiwick_{service}", secret)

    def _start_rabbitmq(self) -> None:
        self._start(self.rabbitmq)
        if self._has_accounts:
            with self._step("broker accounts"):
                self._create_accounts()

    def _create_accounts(self) -> None:
        try:
            asyncio.run(broker.create_accounts(self.rabbitmq.url, self.rabbitmq.management))
        except ManagementError as error:
            raise StackError(f"The broker's accounts could not be made: {error}") from None

    def _start_mailbox(self) -> None:
        self.report(f"{'python':<20} {self.python.program}, as {self.places.account.name}")
        self._start(self.mailbox)

    def _start_policies(self) -> None:
        with self._step("policy", f"bundle {bundle.revision()}, an OPA beside each service"):
            for server in self.policies.values():
                server.start()

    def _start(self, server: Server) -> None:
        with self._step(server.name, f"{server.version} on {_public(server.url)}"):
            server.start()

    def _migrate(self, service: str) -> None:
        with self._step(f"{service} migrated"):
            done = self.run_service(service, "migrate")
            if done.returncode:
                end = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
                raise StackError(f"{service} did not migrate:\n{end}")

    def _start_service(self, service: str) -> None:
        with self._step(service, f"on {self.address(service)}"):
            process = self.service(service)
            process.start()
            is_ready = partial(_is_ready, self.operations(service))
            wait_until(is_ready, process, service, 30)

    @contextmanager
    def _step(self, name: str, what: str = "") -> Iterator[None]:
        began = time.monotonic()
        yield
        self.report(f"{name:<20} {what:<50} {time.monotonic() - began:5.1f} s".rstrip())


def _is_ready(address: str) -> bool:
    return probes.http_status(address, "/ready") == 200  # noqa: PLR2004 - OK


def _public(url: str) -> str:
    return url.rpartition("@")[2].partition("/")[0] or url if "@" in url else url


def _all(futures: list[Future[Any]]) -> None:
    """Wait for all of them; the first failure is told once none is still at work."""
    failures = [failure for future in futures if (failure := future.exception())]
    if failures:
        raise failures[0]
