"""Asks the policy engine beside the service: may this be done, and to which rows.

Used by every service, for every scoped read and write. It guarantees that nothing but exactly the right
answer, in time, is taken for one: whatever else happens is `PolicyUnavailable` (T9, F11 to F13), never a
denial and never a permission. It keeps no answer: what is cached would outlive an engine that is down.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any as Json
from typing import Final, Self
from urllib.parse import urlsplit

import aiohttp
import structlog
from opa_client.opa_async import AsyncOpaClient
from opentelemetry.trace import SpanKind
from typing_extensions import override

from bailiwick_kit.errors import PolicyUnavailable
from bailiwick_kit.policy.answers import (
    Decision,
    Filter,
    Masks,
    WrongAnswer,
    read_decision,
    read_filter,
    read_json,
    read_revision,
)
from bailiwick_kit.policy.scope import Nobody
from bailiwick_kit.settings import ServiceSettings
from bailiwick_kit.telemetry import metrics, trace
from bailiwick_kit.timeouts import answered_within

__all__ = ["Decision", "Filter", "Masks", "Policy", "Question", "policy_of"]

SENTINEL: Final = "bailiwick/sentinel/revision"
DEADLINE: Final = 2.0
"""Seconds for everything: waiting for a connection, connecting, asking, reading (ADR 30)."""
DEADLINE_WHILE_FROZEN: Final = 0.25
"""The same, after a question that got no answer at all, until one does: an outage is not waited for anew."""
LONGEST_ANSWER: Final = 256 * 1024

_PACKAGE: Final = re.compile(r"[a-z_]+(/[a-z_]+)*", re.ASCII)
_UNKNOWN: Final = re.compile(r"input\.([a-z_]+)", re.ASCII)
_TIMEOUT: Final = "timeout"
_JSON: Final = "application/json"
_UCAST: Final = "application/vnd.opa.ucast.all+json"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Question:
    """What a package may be asked: its filter over rows called `row`, and its decision on one, by `facts`."""

    package: str
    row: str
    document: Mapping[str, object]
    facts: Mapping[str, object]


class Policy:
    """The policy engine at an address: `unix:///path/to/socket`, `http://host:port` or `https://…`.

    With `expected_revision`, an answer by any other bundle is none. Open it once per process; any
    number of requests may ask at the same time, over at most `connections` connections.
    """

    def __init__(
        self,
        url: str,
        *,
        expected_revision: str | None = None,
        deadline: float = DEADLINE,
        connections: int = 100,
    ) -> None:
        self._client = _Client(url, connections, deadline)
        self._expected = expected_revision
        self._deadline = deadline
        self._failing: set[str] = set()

    async def open(self) -> None:
        """Make ready to ask. Does not connect: the engine may start later than the service."""
        await self._client._init_session()  # noqa: SLF001 - the library's own name for opening

    async def close(self) -> None:
        """Give the connections back; from here on nothing is answered."""
        await self._client.close_connection()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def decide(self, package: str, document: Mapping[str, object]) -> Decision:
        """Return what `package` (`bailiwick/orders`) says about the question in `document`.

        Raises:
            PolicyUnavailable: there was no answer, or not exactly an answer.
        """
        body = _encode({"input": document})
        path = f"data/{_checked(package)}/decision"
        async with self._answering("decision", package):
            return _noted(read_decision(await self._client.ask(path, body, _JSON), self._expected))

    async def filter(self, package: str, unknown: str, document: Mapping[str, object]) -> Filter:
        """Return the rows for which `package` would allow the action in `document`.

        `unknown` is the row, `input.order`; the document must not hold it. An empty answer means
        nobody's rows, but an engine without a policy gives the same; so the decision of the same
        package is asked as well before it is believed.

        Raises:
            PolicyUnavailable: there was no answer, or not exactly an answer.
        """
        named = _UNKNOWN.fullmatch(unknown)
        if named is None or named[1] in document:
            msg = f"the unknown is named input.<row>, and the row is not known: {unknown}"
            raise ValueError(msg)
        package = _checked(package)
        # Without both, OPA compiles every module anew for each request.
        options = {"maskRule": f"data.{package.replace('/', '.')}.masks"}
        body = _encode({"input": document, "unknowns": [unknown], "options": options})
        doubt = _encode({"input": document})
        async with self._answering("filter", package):
            answer = await self._client.ask(f"compile/{package}/include", body, _UCAST)
            found = read_filter(answer, named[1], self._expected)
            if isinstance(found.scope, Nobody):
                answer = await self._client.ask(f"data/{package}/decision", doubt, _JSON)
                found = Filter(Nobody(), _noted(read_decision(answer, self._expected)).masks)
            trace.note("policy.rows", type(found.scope).__name__.lower())
            return found

    async def answer(self, question: Question) -> None:
        """Ask it as requests do, and pass if the engine answers: from then on its rules are compiled.

        Raises:
            PolicyUnavailable: there was no answer, or not exactly an answer.
        """
        await self.filter(question.package, f"input.{question.row}", question.document)
        await self.decide(question.package, {**question.document, question.row: question.facts})

    async def revision(self) -> str:
        """Return the revision of the bundle that answers; ready means that there is one.

        Raises:
            PolicyUnavailable: no engine, no policy in it, or not the expected one.
        """
        try:
            async with self._answering("revision"):
                answer = await self._client.ask(f"data/{SENTINEL}", _encode({"input": {}}), _JSON)
                revision = read_revision(answer, self._expected)
        except (PolicyUnavailable, asyncio.CancelledError):  # whoever asked has waited long enough
            metrics.POLICY_REVISION.clear()
            raise
        metrics.POLICY_REVISION.only(1, revision)
        return revision

    def _patience(self) -> float:
        is_frozen = _TIMEOUT in self._failing
        return min(self._deadline, DEADLINE_WHILE_FROZEN) if is_frozen else self._deadline

    @asynccontextmanager
    async def _answering(self, kind: str, package: str | None = None) -> AsyncIterator[None]:
        """Turn every failure inside into PolicyUnavailable; each kind is logged once an outage."""
        began = time.perf_counter()
        of = {"bailiwick.policy.package": package or SENTINEL}
        try:
            with trace.span(f"policy {kind}", SpanKind.CLIENT, of):
                async with answered_within(self._patience()):
                    yield
        except WrongAnswer as wrong:
            failure = wrong.kind
        except TimeoutError:  # the builtin one: a frozen engine raises no error of aiohttp's
            failure = _TIMEOUT
        except (aiohttp.ClientError, OSError):
            failure = "unreachable"
        except Exception as error:  # noqa: BLE001 - T9: whatever it is, it is no answer
            failure = type(error).__name__
        else:
            if self._failing:
                _log.info("policy.answers-again", failures=sorted(self._failing))
                self._failing.clear()
            return
        finally:
            metrics.POLICY.labels(kind).observe(time.perf_counter() - began)
        if package is not None:
            metrics.DECISIONS.labels(package, "unavailable").inc()
        if failure not in self._failing:
            self._failing.add(failure)
            _log.error("policy.unavailable", failure=failure)
        raise PolicyUnavailable("Nothing was done. Try again in a moment.", retry_after=1)


def policy_of(settings: ServiceSettings) -> Policy:
    """Return the policy engine beside a service, not opened yet."""
    return Policy(
        settings.policy_url,
        expected_revision=settings.policy_revision,
        deadline=settings.policy_deadline,
    )


class _Client(AsyncOpaClient):  # type: ignore[misc] # the library ships no types
    """The library's client, without its retries, over a socket where one is given, reading strictly."""

    def __init__(self, url: str, connections: int, deadline: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"unix", "http", "https"} or not (parts.path or parts.hostname):
            msg = f"a policy engine's address is unix:///path or http://host:port, not {url!r}"
            raise ValueError(msg)
        self._socket = parts.path if parts.scheme == "unix" else None
        self._connections = connections
        super().__init__(
            host=parts.hostname or "localhost",
            port=parts.port or 8181,
            ssl=parts.scheme == "https",
            retries=0,
            timeout=deadline,
        )

    @override
    async def _init_session(self) -> None:
        connector = (
            aiohttp.UnixConnector(self._socket, limit=self._connections)
            if self._socket
            else aiohttp.TCPConnector(limit=self._connections)
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None),  # `Policy` has one deadline for everything
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept-Encoding": "identity", "Content-Type": _JSON},
            auto_decompress=False,
        )

    async def ask(self, path: str, body: bytes, accept: str) -> Json:
        """Return the JSON that the engine answers with, or raise."""
        if self._session is None:
            raise WrongAnswer("closed")
        async with self._request(
            "POST",
            f"{self.root_url}/{path}",
            data=body,
            headers=_headers(accept),
            allow_redirects=False,
        ) as response:
            if response.status != 200:  # noqa: PLR2004 - OK
                raise WrongAnswer(f"status-{response.status}")
            if response.content_type != accept:
                raise WrongAnswer("content-type")
            return read_json(await _read(response))


def _headers(accept: str) -> dict[str, str]:
    """Name the request in hand, for a decision log: of a filter OPA tells no id."""
    parent = trace.trace_parent()
    return {"Accept": accept, "traceparent": parent} if parent else {"Accept": accept}


def _noted(decision: Decision) -> Decision:
    trace.note_decision(decision.id)
    trace.note("policy.outcome", "allowed" if decision.allow else "denied")
    return decision


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Read the whole body, up to the longest that an answer can be."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > LONGEST_ANSWER:
            raise WrongAnswer("too-long")
    return bytes(body)


def _checked(package: str) -> str:
    if not _PACKAGE.fullmatch(package):
        msg = f"not the path of a policy package: {package!r}"
        raise ValueError(msg)
    return package


def _encode(question: Mapping[str, object]) -> bytes:
    return json.dumps(question, separators=(",", ":"), allow_nan=False).encode()
