"""What surrounds every request, as one pure ASGI middleware.

Trace id, body limit, deadline, security headers, HEAD, one access log line, and the last net under
every exception. Pure ASGI, because Starlette's BaseHTTPMiddleware cancels work and hides context.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bailiwick_kit.errors import Missing
from bailiwick_kit.telemetry import metrics, trace
from bailiwick_kit.timeouts import request_within
from bailiwick_kit.web.problems import answer_to

MIB = 1024 * 1024
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
"""Sent with every answer that does not say otherwise itself (S14); the JWKS may be cached."""
_CONTROLS = frozenset(map(chr, [*range(0x20), 0x7F]))
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Those that are counted by name; anybody may make up others."""

_log = structlog.get_logger(__name__)


class Middleware:
    """Wraps the application; see the module.

    Starlette has a body limit of its own, but that answers in plain text and without these headers.
    """

    def __init__(self, app: ASGIApp, *, deadline: float = 15.0, max_body_size: int = MIB) -> None:
        self._app = app
        self._deadline = deadline
        self._max_body_size = max_body_size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; other scopes (lifespan) pass through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        if method == "HEAD":  # the server keeps its own scope, and with it the method
            scope = {**scope, "method": "GET"}
        with (
            trace.of_request(scope, Headers(scope=scope).get("traceparent")) as trace_id,
            trace.collecting_decisions() as decisions,
        ):
            exchange = _Exchange(scope, method, receive, send, trace_id, self._max_body_size)
            metrics.REQUESTS_IN_FLIGHT.inc()
            try:
                await self._answer(exchange)
            finally:
                metrics.REQUESTS_IN_FLIGHT.dec()
                exchange.log(decisions)

    async def _answer(self, exchange: _Exchange) -> None:
        try:
            exchange.refuse_by_path()
            exchange.refuse_by_length()
            async with request_within(self._deadline) as deadline:
                exchange.deadline = deadline
                await self._app(exchange.scope, exchange.receive, exchange.send)
        except Exception as error:
            if exchange.status:  # half an answer is out: only cutting the connection is honest
                raise
            exchange.deadline = None
            response = answer_to(error, exchange.trace_id)
            await response(exchange.scope, exchange.receive, exchange.send)


class _Exchange:
    """One request and its answer."""

    def __init__(
        self,
        scope: Scope,
        method: str,
        receive: Receive,
        send: Send,
        trace_id: str,
        max_body_size: int,
    ) -> None:
        self.scope = scope
        self._method = method
        self.trace_id = trace_id
        self.status = 0
        self.deadline: asyncio.Timeout | None = None
        self._receive = receive
        self._send = send
        self._max_body_size = max_body_size
        self._received = 0
        self._started = time.perf_counter()

    def refuse_by_path(self) -> None:
        """Refuse an address with control characters: a route's pattern would let a last line feed pass."""
        if not _CONTROLS.isdisjoint(self.scope["path"]):
            raise Missing

    def refuse_by_length(self) -> None:
        """Refuse a body that is announced to be too large, before reading any of it."""
        announced = Headers(scope=self.scope).get("content-length", "")
        if announced.isdecimal() and announced.isascii():
            # The length first: int() refuses more than 4,300 digits.
            if len(announced) > len(str(self._max_body_size)) + 8:
                raise HTTPException(413)
            if int(announced) > self._max_body_size:
                raise HTTPException(413)

    async def receive(self) -> Message:
        """Hand on what the client sends, up to the limit."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            if self._received > self._max_body_size:
                raise HTTPException(413)
        return message

    async def send(self, message: Message) -> None:
        """Send, with the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["Trace-Id"] = self.trace_id
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            if self.deadline is not None:
                self.deadline.reschedule(None)  # a long answer is the client's pace, not ours
        elif self._method == "HEAD":
            message = {**message, "body": b""}
        await self._send(message)

    def log(self, decisions: Collection[str]) -> None:
        """Write the access line: no address, no query, no id of a record, so no personal data."""
        found: Any = self.scope.get("route")
        route = getattr(found, "path_format", None) or "unmatched"
        method, status = self._method, self.status or 499
        seconds = time.perf_counter() - self._started
        known = method if method in _METHODS else "other"
        metrics.REQUESTS.labels(known, route, str(status)).observe(seconds)
        _log.info(
            "request",
            method=method,
            route=route,
            status=status,
            ms=round(seconds * 1000, 1),
            **({"decision_ids": list(decisions)} if decisions else {}),
        )
