"""What clients were promised while things broke: each 2xx is written down, and counted at the end.

A client sends with an Idempotency-Key and, told 503 or nothing at all, sends the same again until it is
told that it was done. Then every key has one record, and there are no others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx2
from typing_extensions import override

PATIENCE = 60.0
"""Seconds after which something that is down should be back."""
_PAUSE = 0.02
"""Seconds between two acts of a client: it is to be there while things break, not to press."""
_UNDER_WAY = 409
_UNAVAILABLE = 503
_CREATED = 201


@dataclass(frozen=True)
class Refused:
    """An answer that was no promise, with all that it takes to find its lines in a service's log."""

    status: int
    """0 where there was no answer."""
    said: str
    """The body, which names code and trace id; or why there was none."""
    begun: datetime
    seconds: float
    code: str = ""
    """The problem's, if it was one."""

    @override
    def __str__(self) -> str:
        return f"{self.begun:%H:%M:%S.%f} {self.status} after {self.seconds:.3f} s: {self.said}"


@dataclass
class Ledger:
    """What was sent and what came of it. `unexpected` is what no client should ever be told."""

    promised: dict[str, str] = field(default_factory=dict)
    """Idempotency-Key → the record's id."""
    statuses: list[int] = field(default_factory=list)
    """Of every answer; 0 where there was none."""
    refused: list[Refused] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    longest: float = 0.0
    """Seconds that the slowest answer took that said that it was done."""

    def wait_for(self, more: int, status: int | None = None) -> None:
        """Return when so many more answers have come, with that status if one is named."""
        wanted = self._count(status) + more
        deadline = time.monotonic() + PATIENCE
        while self._count(status) < wanted:
            assert time.monotonic() < deadline, f"{self._count(status)} of {wanted}"  # noqa: S101
            time.sleep(0.02)

    def holds_only(self, *statuses: int, besides: str = "") -> None:
        """Hold that nobody was told anything else, but a problem of that code; what was, is told whole.

        Of that code there may be one answer in four: it is to be what happens beside, not what happens.
        """
        refused = [one for one in self.refused if one.status not in statuses]
        excused = [one for one in refused if besides and one.code == besides]
        others = [str(one) for one in refused if one not in excused]
        if 4 * len(excused) > len(self.statuses):
            others += map(str, excused)
        assert not others, "\n".join(others)  # noqa: S101

    def _count(self, status: int | None) -> int:
        return len(self.statuses) if status is None else self.statuses.count(status)


@dataclass(frozen=True)
class Busy:
    """A client at work: it posts the body again and again, each time with a key of its own.

    `id_field` is where the answer has the record's id.
    """

    http: httpx2.Client
    token: str
    path: str
    id_field: str
    body: Mapping[str, Any]

    def work(self, ledger: Ledger, stop: threading.Event) -> None:
        """Post until told to stop; what is under way then is seen through."""
        while not stop.wait(_PAUSE):
            self._post(ledger)

    def _post(self, ledger: Ledger) -> None:
        key, deadline = str(uuid4()), time.monotonic() + PATIENCE
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": key}
        while True:
            begun, started = datetime.now(UTC), time.monotonic()
            try:
                answer = self.http.post(self.path, json=dict(self.body), headers=headers)
            except httpx2.TransportError as error:
                status, said = 0, repr(error)
            else:
                status, said = answer.status_code, answer.text
            seconds = time.monotonic() - started
            if status == _CREATED:
                ledger.longest = max(ledger.longest, seconds)
                ledger.promised[key] = answer.json()[self.id_field]
                ledger.statuses.append(status)
                return
            refused = Refused(status, said, begun, seconds, _code(answer) if status else "")
            ledger.refused.append(refused)
            if status and not _may_be(answer):
                ledger.unexpected.append(str(refused))
            ledger.statuses.append(status)
            if time.monotonic() > deadline:
                ledger.unexpected.append(f"{key} was never done")
                return
            time.sleep(0.1)


def _code(answer: httpx2.Response) -> str:
    return str(answer.json().get("code")) if "json" in answer.headers["content-type"] else ""


def _may_be(answer: httpx2.Response) -> bool:
    """Tell whether a client may be told this while things break: that it is to send it again."""
    code = _code(answer)
    under_way = answer.status_code == _UNDER_WAY and code == "idempotency-key-in-flight"
    away = answer.status_code == _UNAVAILABLE and "retry-after" in answer.headers
    return under_way or away


@contextmanager
def under_load(*clients: Busy) -> Iterator[Ledger]:
    """Let the clients work, each in a thread, until the block ends and the last has been answered."""
    ledger, stop = Ledger(), threading.Event()
    with ThreadPoolExecutor(len(clients)) as pool:
        working = [pool.submit(client.work, ledger, stop) for client in clients]
        try:
            yield ledger
        finally:
            stop.set()
    for one in working:
        one.result()
