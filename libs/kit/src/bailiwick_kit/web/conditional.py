"""Completes the ETag of what an answer shows, and answers 304 where the caller has the same bytes.

Here and nowhere else, because only here the bytes are known (RFC 9110 §8.8, §13.1.2). A route says the
version, `kit.web.etags` what a tag is.
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bailiwick_kit.web.etags import is_held, is_version, shown

_SHOWN = range(200, 300)
_OF_CONTENT = ("content-length", "content-type")


class Conditional:
    """Wraps the application; see the module. Inside of the middleware, where HEAD is GET already."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; other scopes (lifespan) pass through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        held = ""
        if scope["method"] == "GET":
            held = ",".join(Headers(scope=scope).getlist("if-none-match"))
        await self._app(scope, receive, _Answer(send, held).send)


class _Answer:
    """One answer, whose beginning waits for its bytes where it is to have a tag of them."""

    def __init__(self, send: Send, held: str) -> None:
        self._send = send
        self._held = held
        self._start: Message | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_versioned(message):
            self._start = message
            return
        if self._start is not None:
            start, self._start = self._start, None
            message = self._completed(start, message)
            await self._send(start)
        await self._send(message)

    def _completed(self, start: Message, content: Message) -> Message:
        """Complete the beginning of the answer; return the content that goes with it."""
        headers = MutableHeaders(scope=start)
        if content.get("more_body"):  # a tag of a part would be a tag of other answers too
            del headers["etag"]
            return content
        headers["etag"] = tag = shown(headers["etag"], content.get("body", b""))
        if not is_held(self._held, tag):
            return content
        start["status"] = 304
        for name in _OF_CONTENT:
            del headers[name]
        return {**content, "body": b""}


def _is_versioned(start: Message) -> bool:
    return start["status"] in _SHOWN and is_version(Headers(scope=start).get("etag", ""))
