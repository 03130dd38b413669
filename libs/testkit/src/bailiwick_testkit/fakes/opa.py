"""An engine that answers whatever a test wants, down to the bytes: for everything that OPA might do wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any as Json
from typing import Final, TypeAlias

JSON: Final = "application/json"
UCAST: Final = "application/vnd.opa.ucast.all+json"

Answering: TypeAlias = Callable[[asyncio.StreamWriter], Awaitable[None]]


class FakeOpa:
    """Answers each path with the bytes that it was given, or does with the connection as it is told.

    `asked` holds (path, headers, JSON body) of every question.
    """

    def __init__(self) -> None:
        self.answers: dict[str, bytes | Answering] = {}
        self.asked: list[tuple[str, dict[str, str], Json]] = []
        self.was_asked = asyncio.Event()
        self.url = ""
        self._serving: set[asyncio.Task[None]] = set()

    def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection."""
        self._serving.add(asyncio.create_task(self._serve(reader, writer)))

    async def stop(self) -> None:
        """End whatever is still being answered."""
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = {
                name.lower(): value for name, value in (line.split(": ", 1) for line in lines)
            }
            body = await reader.readexactly(int(headers["content-length"]))
            path = first.split()[1]
            self.asked.append((path, headers, json.loads(body)))
            self.was_asked.set()
            answer = self.answers[path]
            if callable(answer):
                await answer(writer)
            else:
                writer.write(answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has had enough
        finally:
            writer.close()


@asynccontextmanager
async def fake_opa() -> AsyncIterator[FakeOpa]:
    """Run one on a socket of its own."""
    with TemporaryDirectory(prefix="opa") as folder:
        opa = FakeOpa()
        path = Path(folder, "s")
        server = await asyncio.start_unix_server(opa.connect, path)
        opa.url = f"unix://{path}"
        try:
            yield opa
        finally:
            await opa.stop()
            server.close()
            await server.wait_closed()


def raw(
    body: bytes,
    *,
    kind: str = JSON,
    status: str = "200 OK",
    length: int | None = None,
    more: str = "",
) -> bytes:
    """Return an HTTP answer with this body, its length told right unless said otherwise."""
    length = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n"
    return f"{head}{more}Connection: close\r\n\r\n".encode() + body


def said(value: Json, kind: str = JSON) -> bytes:
    """Return an HTTP answer that says this, as JSON."""
    return raw(json.dumps(value).encode(), kind=kind)


async def never(_writer: asyncio.StreamWriter) -> None:
    """Answer nothing, and keep the connection: a frozen engine."""
    await asyncio.Event().wait()


async def half_then_never(writer: asyncio.StreamWriter) -> None:
    """Begin to answer, and freeze."""
    writer.write(raw(b'{"result": ', length=1000))
    await asyncio.Event().wait()


async def endlessly(writer: asyncio.StreamWriter) -> None:
    """Answer without an end."""
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {JSON}\r\n\r\n".encode())
    while True:
        writer.write(b" " * 65536)
        await writer.drain()


async def hanging_up(writer: asyncio.StreamWriter) -> None:
    """Close the connection instead."""
    writer.close()
