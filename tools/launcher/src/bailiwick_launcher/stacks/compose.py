"""The stack in containers: deploy/compose.yaml, told where this data folder has its secrets and ports."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import IO, Any

from bailiwick_launcher.data_folder import CHECKOUT, DataFolder, locked
from bailiwick_launcher.processes import StackError
from bailiwick_launcher.servers import Server, docker_runner, mailbox, opa
from bailiwick_launcher.services import SERVICES
from bailiwick_launcher.stacks import Report, images, sign_ins
from bailiwick_launcher.stacks.project import Part, Project, environment
from bailiwick_launcher.stacks.starting import Start
from bailiwick_mailbox import Mailbox
from bailiwick_policy import bundle

_MAKE_SECRETS = CHECKOUT / "deploy" / "make-secrets"
_MAILBOX = "smtp://mailbox:2525"
_MANAGING = "subscribers"
"""The command of notifier that has a container of its own: it alone is given the broker's management."""


@dataclass(frozen=True)
class ComposeStack:
    """The whole of it in one data folder; every method may be repeated."""

    places: DataFolder
    report: Report

    @cached_property
    def project(self) -> Project:
        """The containers, as compose knows them."""
        return Project(self.places)

    @property
    def origin(self) -> str:
        """The gateway's address."""
        return f"http://127.0.0.1:{self._port('gateway')}"

    @property
    def mail(self) -> Mailbox:
        """The mail that was sent and kept here: the mailbox's container writes to this folder."""
        return Mailbox(self.places.folder("mailbox"))

    @property
    def mail_goes_out(self) -> bool:
        """Whether mail goes to a server that is not ours, and none is kept."""
        file = self.places.folder("compose/secrets") / "smtp_url"
        return file.exists() and file.read_text().strip() != _MAILBOX

    def up(self) -> None:
        """Bring everything up; what runs as it should is left alone.

        Raises:
            StackError: something did not come up; with what to do or the end of its log.
        """
        with locked(self.places.folder(".") / "stack.lock"):
            docker_runner.mark(self.places)
            self._make_secrets()
            self._tell(images.tag())
            project = Project(self.places)
            if project.runs_as_planned():
                self.report(f"{project.name:<20} runs as it would be started now")
                return
            images.build(project.plan, self.report)
            Start(project, self.report, anew=project.has_other_secrets()).run()
            project.note_plan()
            images.forget_others(project.plan)

    def down(self) -> list[str]:
        """End every container of the project, and give the names of those that ran; volumes stay."""
        with locked(self.places.folder(".") / "stack.lock"):
            running = [part.name for part in self.project.parts() if part.is_running]
            done = self.project.run("down", "--remove-orphans")
            if done.returncode:
                raise StackError(f"docker compose down: {done.stderr.strip()}")
            docker_runner.stop_all(self.places)  # what was killed beside it
        return running

    def absent(self) -> list[str]:
        """Give those of the services and the gateway that do not run."""
        running = {part.name for part in self.project.parts() if part.is_running}
        return [name for name in ("gateway", *SERVICES) if name not in running]

    def status(self) -> dict[str, Any]:
        """Tell what runs where, for people and programs."""
        parts = {part.name: part for part in self.project.parts()}
        is_up = all(name in parts and parts[name].is_running for name in ("gateway", *SERVICES))
        services = [
            {
                "name": name,
                "pid": None,
                "address": f"{name}:8000",
                "health": _health(parts.get(name)),
            }
            for name in SERVICES
        ]
        servers = [
            {"name": name, "version": part.image, "running": part.is_running and part.is_well}
            for name, part in parts.items()
            if name not in SERVICES and part.is_running
        ]
        return {
            "up": is_up,
            "gateway": self.origin if is_up else None,
            "services": services,
            "servers": servers if is_up else [],
            "sign_ins": sign_ins(self.places),
        }

    def log_command(self, name: str, lines: int, *, follow: bool) -> list[str]:
        """Give the command that shows the end of a container's log."""
        known = [part.name for part in self.project.parts()]
        if name not in known:
            raise StackError(f"There is no log of {name}. Logs: {', '.join(known) or 'none yet'}.")
        options = ["--no-log-prefix", "--tail", str(lines), *(["--follow"] if follow else [])]
        return self.project.command("logs", *options, name)

    def run_service(
        self, service: str, *arguments: str, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a service's subcommand beside it in its container and collect what it says."""
        if arguments[:1] == (_MANAGING,):
            command = ("run", "--rm", "--no-TTY", "--quiet-pull", _MANAGING, *arguments[1:])
            return self.project.run(*command, text=text)
        return self.project.run(*_inside(service, *arguments), text=text)

    def feed_service(
        self, service: str, arguments: list[str], sent: IO[bytes], said: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        """Run a service's subcommand that is given a lot and answers as it goes."""
        return subprocess.Popen(
            self.project.command(*_inside(service, *arguments)),
            env=environment(),
            stdin=sent,
            stdout=subprocess.PIPE,
            stderr=said,
        )

    @contextmanager
    def policy(self) -> Iterator[str]:
        """Run one more OPA from the stack's image: those of the services have no network at all."""
        arguments = ["run", "--server", "--addr=0.0.0.0:8181", "--bundle", "/bundle.tar.gz"]
        port = self._port("opa-import")
        runner = docker_runner.Container(
            "opa-import",
            self.places,
            (*arguments, "--log-level=error", "--skip-version-check"),
            {8181: port},
            environment=opa.TUNED,
            image=self.project.plan["services"]["opa-identity"]["image"],
        )
        url = f"http://127.0.0.1:{port}"
        server = Server("opa-import", url, runner.image, runner, lambda: opa.is_ready(url))
        server.start()
        try:
            yield url
        finally:
            server.stop()

    def _make_secrets(self) -> None:
        """Make what is missing of them; where mail goes may be another place at each start."""
        folder = self.places.folder("compose/secrets")
        smtp = folder / "smtp_url"
        smtp.unlink(missing_ok=True)
        made = subprocess.run(
            [str(_MAKE_SECRETS), str(folder)],
            env={
                "PATH": os.environ.get("PATH", ""),
                "SMTP_URL": os.environ.get(mailbox.VARIABLE) or _MAILBOX,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise StackError(f"The secrets could not be made: {made.stderr.strip()}")
        for file in folder.iterdir():
            self.places.account.owns(file)

    def _tell(self, tag: str) -> None:
        account = self.places.account
        self.project.tell(
            {
                "BAILIWICK_TAG": tag,
                "BAILIWICK_SECRETS": str(self.places.folder("compose/secrets")),
                "BAILIWICK_PORT": str(self._port("gateway")),
                "BAILIWICK_ISSUER": self.origin,
                "BAILIWICK_BROKER_PORT": str(self._port("rabbitmq")),
                "BAILIWICK_POLICY_REVISION": bundle.revision(),
                "BAILIWICK_MAIL_FROM": mailbox.sender(),
                "BAILIWICK_MAILBOX": str(self.places.folder("mailbox")),
                "BAILIWICK_MAILBOX_USER": f"{account.uid}:{account.gid}",
            }
        )

    def _port(self, name: str) -> int:
        """Give a port of loopback, which a container of that name may be holding."""
        in_use = any(part.name == name and part.is_running for part in self.project.parts())
        return self.places.kept.port(name, in_use=in_use)


def _inside(service: str, *arguments: str) -> tuple[str, ...]:
    return ("exec", "--no-TTY", service, "bailiwick", *arguments)


def _health(part: Part | None) -> str:
    if part is None or not part.is_running:
        return "not running"
    return "ready" if part.is_well else "not ready"
