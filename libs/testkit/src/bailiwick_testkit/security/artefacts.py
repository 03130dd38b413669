"""What a running stack has written, said and sent, gathered into files so that it can be searched (S22)."""

from __future__ import annotations

import asyncio
import email
import email.policy
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import httpx2

from bailiwick_contracts.envelope import EXCHANGE, bulk
from bailiwick_kit.bus.broker import open_channel
from bailiwick_testkit.checks.spans import Spans
from bailiwick_testkit.fakes.smtp_server import Accepted

_TABLES = """
    SELECT n.nspname AS schema, c.relname AS name,
           array_agg(a.attname ORDER BY a.attnum) FILTER (WHERE a.atttypid = 'bytea'::regtype) AS bytea
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'm')
    GROUP BY 1, 2 ORDER BY 1, 2
"""


def of_database(dsn: str, folder: Path) -> None:
    """Write every table of a database to a file, the system's own too, and each column of bytes decoded.

    `dsn` is a superuser's: row-level security hides nothing from it.
    """
    folder.mkdir(parents=True)
    asyncio.run(_write_tables(dsn, folder))


async def _write_tables(dsn: str, folder: Path) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for schema, name, columns in await connection.fetch(_TABLES):
            source = f'"{schema}"."{name}"'
            file = folder / f"{schema}.{name}.txt"
            await connection.copy_from_query(f"SELECT * FROM {source}", output=file)  # noqa: S608
            for column in columns or ():
                rows = await connection.fetch(f'SELECT "{column}" FROM {source}')  # noqa: S608
                decoded = b"\n".join(row[0] for row in rows if row[0] is not None)
                (folder / f"{schema}.{name}.{column}.bytes").write_bytes(decoded)
    finally:
        await connection.close()


def of_broker(management: str, folder: Path) -> dict[str, list[dict[str, object]]]:
    """Write the broker's definitions to a file, as an operator exports them, and give them."""
    folder.mkdir(parents=True)
    parts = urlsplit(management)
    signed_in = (str(parts.username), str(parts.password))
    address = f"{parts.scheme}://{parts.hostname}:{parts.port}/api/definitions"
    text = httpx2.get(address, auth=signed_in).raise_for_status().text
    (folder / "definitions.json").write_text(text)
    definitions: dict[str, list[dict[str, object]]] = json.loads(text)
    return definitions


def of_operations(addresses: Sequence[str], folder: Path) -> None:
    """Write what services tell whoever operates them."""
    folder.mkdir(parents=True)
    for number, address in enumerate(addresses):
        for name in ("live", "ready", "started", "metrics"):
            (folder / f"{number}-{name}").write_text(httpx2.get(f"{address}/{name}").text)


def of_mails(mails: Sequence[Accepted], folder: Path) -> None:
    """Write mails to files: as they came, and every part of them decoded."""
    folder.mkdir(parents=True)
    for number, one in enumerate(mails):
        (folder / f"{number}.eml").write_bytes(one.content)
        message = email.message_from_bytes(one.content, policy=email.policy.default)
        parts = [part.get_content() for part in message.walk() if not part.is_multipart()]
        (folder / f"{number}.txt").write_text("\n".join(map(str, [*message.items(), *parts])))


def of_spans(spans: Spans, folder: Path) -> None:
    """Write spans to files: as they were sent, and as text, a line for each."""
    folder.mkdir(parents=True)
    (folder / "sent").write_bytes(b"\n".join(spans.raw))
    (folder / "spans.txt").write_text("\n".join(map(str, spans.all())))


@dataclass
class Tap:
    """A queue that hears everything that goes through the exchange. Its methods block."""

    broker_url: str
    queue: str = field(default_factory=lambda: f"tap-{uuid4().hex}")

    def open(self) -> None:
        """Hear from now on."""
        asyncio.run(self._bind())

    def pour(self, folder: Path) -> int:
        """Write all messages to files, with headers and properties; return how many there were."""
        folder.mkdir(parents=True)
        return asyncio.run(self._pour(folder))

    async def _bind(self) -> None:
        async with open_channel(self.broker_url, self.queue) as channel:
            queue = await channel.declare_queue(
                self.queue, durable=True, arguments={"x-queue-type": "quorum"}
            )
            for exchange in (EXCHANGE, bulk(EXCHANGE)):
                await queue.bind(exchange, routing_key="#")

    async def _pour(self, folder: Path) -> int:
        count = 0
        async with open_channel(self.broker_url, self.queue) as channel:
            queue = await channel.get_queue(self.queue)
            while message := await queue.get(no_ack=False, fail=False):
                told = {**message.info(), "routing_key": message.routing_key}
                (folder / f"{count}.headers").write_text(json.dumps(told, default=str))
                (folder / f"{count}.body").write_bytes(message.body)
                await message.ack()
                count += 1
        return count


@dataclass
class Answers:
    """Writes every answer that clients get to a file, named after request and status."""

    folder: Path
    count: int = 0

    def hear(self, response: httpx2.Response) -> None:
        """Write one answer; httpx calls this for each."""
        response.read()
        self.folder.mkdir(parents=True, exist_ok=True)
        path = response.request.url.path.strip("/").replace("/", "-")[:80]
        name = f"{self.count}-{response.request.method}-{path}-{response.status_code}"
        self.count += 1
        head = "\n".join(f"{name}: {value}" for name, value in response.headers.multi_items())
        (self.folder / name).write_bytes(head.encode() + b"\n\n" + response.content)


@contextmanager
def started_programs() -> Iterator[list[str]]:
    """Collect the arguments of every program that this process starts meanwhile."""
    started: list[str] = []
    is_over = False

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        # An audit hook stays until the process ends.
        if event == "subprocess.Popen" and not is_over:
            started.append(repr(arguments[1]))

    sys.addaudithook(hear)
    try:
        yield started
    finally:
        is_over = True


def running_programs() -> list[str]:
    """Return the arguments of every process of this machine, as any of its accounts can read them."""
    told = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            told.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:  # it has ended
            continue
    return told
