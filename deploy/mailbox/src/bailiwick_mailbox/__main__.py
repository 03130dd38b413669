"""A mail server that keeps what it is given: `python -m bailiwick_mailbox`."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from collections import deque
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope

from bailiwick_mailbox import file_name

LARGEST = 5_000_000
"""Bytes of a message."""


class Keeper:
    """Keeps each message as a file; the oldest make room for new ones."""

    def __init__(self, folder: Path, most_messages: int, most_bytes: int) -> None:
        self._folder = folder
        self._most_messages, self._most_bytes = most_messages, most_bytes
        kept = sorted(folder.glob("[0-9]*.eml"))
        self._kept = deque((path, path.stat().st_size) for path in kept)
        self._bytes = sum(size for _, size in self._kept)
        self._last = int(kept[-1].stem) if kept else 0

    async def handle_DATA(self, _server: SMTP, _session: object, envelope: Envelope) -> str:  # noqa: N802
        """Keep a message; aiosmtpd calls this."""
        try:
            number = self._keep(envelope)
        except OSError as error:
            print(f"cannot be kept: {error.strerror}", flush=True)
            return "452 4.3.1 there is no room"
        return f"250 2.0.0 kept as {number}"

    def _keep(self, envelope: Envelope) -> int:
        content = _with_addresses(envelope)
        self._make_room(len(content))
        self._last += 1
        path = self._folder / file_name(self._last)
        unfinished = path.with_suffix(".part")
        descriptor = os.open(
            unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600
        )
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        unfinished.rename(path)
        self._kept.append((path, len(content)))
        self._bytes += len(content)
        return self._last

    def _make_room(self, size: int) -> None:
        while self._kept and (
            len(self._kept) >= self._most_messages or self._bytes + size > self._most_bytes
        ):
            path, freed = self._kept.popleft()
            path.unlink(missing_ok=True)
            self._bytes -= freed


def _with_addresses(envelope: Envelope) -> bytes:
    """Return the message below whom it came from and for whom, which no header of it need say."""
    lines = [f"Return-Path: <{envelope.mail_from or ''}>"]
    lines += [f"Delivered-To: {recipient}" for recipient in envelope.rcpt_tos]
    head = "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape")
    return head + bytes(envelope.original_content or b"")


async def serve(host: str, port: int, keeper: Keeper) -> None:
    """Take messages until told to stop."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for told in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(told, stopped.set)

    def connection() -> SMTP:
        return SMTP(
            keeper,
            loop=loop,
            hostname="localhost",
            ident="Bailiwick's mailbox",
            data_size_limit=LARGEST,
            enable_SMTPUTF8=True,
        )

    async with await loop.create_server(connection, host, port):
        print(f"listens on port {port}", flush=True)
        await stopped.wait()


def main() -> None:
    """Read the arguments, and serve."""
    parser = argparse.ArgumentParser(prog="mailbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--most-messages", type=int, default=5_000)
    parser.add_argument("--most-bytes", type=int, default=200_000_000)
    given = parser.parse_args()
    keeper = Keeper(given.folder, given.most_messages, given.most_bytes)
    asyncio.run(serve(given.host, given.port, keeper))


if __name__ == "__main__":
    main()
