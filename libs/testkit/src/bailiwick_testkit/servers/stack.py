"""The whole stack for end-to-end tests: one a run, in a folder of its own, as `./bailiwick up` makes it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2

from bailiwick_launcher.data_folder import DataFolder, locked
from bailiwick_launcher.servers import probes
from bailiwick_launcher.stacks.native import NativeStack
from bailiwick_mailbox import Kept, Mailbox
from bailiwick_testkit.servers.real import report
from bailiwick_testkit.waiting import wait_until

MOST = 200
"""Items of a page, at most."""
_OK = 200
_QUICK = {
    "BAILIWICK_PASSWORD_TIME_COST": "2",
    "BAILIWICK_PASSWORD_MEMORY_KIB": "19456",
    "BAILIWICK_PASSWORD_PARALLELISM": "1",
}
"""Passwords are hashed no harder than they must be."""


@dataclass(frozen=True)
class Client:
    """Somebody signed in at the gateway, as a web client would be."""

    http: httpx2.Client

    def get(self, path: str, **query: Any) -> httpx2.Response:
        """Send a GET."""
        return self.http.get(path, params=query or None)  # {} would take a query off the path

    def list(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """Return all items of a list, page by page."""
        items: list[dict[str, Any]] = []
        page: Mapping[str, Any] = {"limit": MOST, **query}
        while True:
            answer = self.get(path, **page)
            assert answer.status_code == _OK, answer.text  # noqa: S101
            items += answer.json()["items"]
            cursor = answer.json().get("next_cursor")
            if cursor is None:
                return items
            page = {**page, "cursor": cursor}

    def count(self, path: str, **query: Any) -> int:
        """Return how many there are."""
        answer = self.get(f"{path}/count", **query)
        assert answer.status_code == _OK, answer.text  # noqa: S101
        return int(answer.json()["count"])


class ReadMailbox(Mailbox):
    """The mail that a stack has sent, for a test that waits for some."""

    def await_to(self, address: str, count: int = 1, *, within: float = 30) -> list[Kept]:
        """Return the messages to an address, as soon as there are so many.

        Raises:
            AssertionError: there were not, in all that time.
        """
        deadline = time.monotonic() + within
        while len(found := self.to(address)) < count:
            here = [f"{kept.recipients}: {kept.subject}" for kept in self.messages()[-10:]]
            told = f"{len(found)} of {count} to {address} in {within} s; the last: {here}"
            assert time.monotonic() < deadline, told  # noqa: S101
            time.sleep(0.05)
        return found


@dataclass(frozen=True)
class Running:
    """The running stack. `stack` is what the launcher calls by that name."""

    stack: NativeStack

    @property
    def gateway(self) -> str:
        """The one origin for web clients."""
        return self.stack.gateway.url

    @property
    def mailbox(self) -> ReadMailbox:
        """The mail that it has sent."""
        return ReadMailbox(self.stack.places.folder("mailbox"))

    def health(self, service: str, path: str = "/ready") -> int:
        """Return the status that a service's probe answers; 0 if none."""
        return probes.http_status(self.stack.operations(service), path)

    def start(self, service: str) -> None:
        """Start a service again, and return when it is ready."""
        self.stack.service(service).start()
        wait_until(lambda: self.health(service) == _OK, f"{service} is ready")

    def told(self, lines: list[str]) -> NativeStack:
        """Return the stack for a command whose lines the test wants to read."""
        return replace(self.stack, report=lines.append)

    @contextmanager
    def signed_in(self, email: str, password: str) -> Iterator[Client]:
        """Sign in with a password, through the gateway."""
        form = {"grant_type": "password", "username": email, "password": password}
        with httpx2.Client(base_url=self.gateway, timeout=30) as http:
            answer = http.post("/v1/auth/token", data=form)
            assert answer.status_code == _OK, answer.text  # noqa: S101
            http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
            yield Client(http)


def running(
    folder: Path, *, own: bool = False, settings: Mapping[str, str] | None = None
) -> Running:
    """Start the stack in the folder, or find it running: all workers of a test run share it.

    Whoever ends the run's servers ends it too (`Servers.end`), because its pid files lie below them.
    `own`: for who does harm to its servers. `settings`: what its
    services are told besides, or otherwise.
    """
    places = DataFolder(folder)
    settings = _QUICK | dict(settings or {})
    stack = NativeStack(places, report, settings=settings, own=own, keeps_mail=True)
    with locked(places.folder(".") / "tests.lock"):
        if stack.absent():
            stack.up()
    return Running(stack)
