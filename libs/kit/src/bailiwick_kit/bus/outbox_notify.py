"""Wake the relay soon after a commit, wherever it runs, without taxing those who write.

A NOTIFY inside the placing transaction would cut concurrent placement to a third; this one goes out
after the commit, on a connection of its own, many commits at a time. When it is
lost, the relay's slow poll finds the rows: so no time is spent on finding out whether either end of it is
cut off without a word, beyond the five seconds within which PostgreSQL answers a NOTIFY.
"""

from __future__ import annotations

import asyncio
import contextlib

import asyncpg
import structlog

log = structlog.get_logger(__name__)

CHANNEL = "bailiwick_outbox"
_REST = 1.0
"""Seconds of rest before another connection is tried."""


def plain_dsn(url: str) -> str:
    """Return an SQLAlchemy URL as the driver alone reads it."""
    return url.replace("postgresql+asyncpg://", "postgresql://", 1)


class Wake:
    """Coalesces calls of `call` into NOTIFYs. Start with `run` as a task."""

    def __init__(self, url: str) -> None:
        self._dsn = plain_dsn(url)
        self._due = asyncio.Event()

    def call(self) -> None:
        """Ask for a wake-up; returns at once."""
        self._due.set()

    async def run(self) -> None:
        """Send wake-ups until cancelled; a lost connection only makes the relay slower."""
        while True:
            try:
                await self._session()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                pass
            except Exception:
                # Nobody would miss it, and all events would be slower: report and go on.
                log.exception("wake.failed")
            await asyncio.sleep(_REST)

    async def _session(self) -> None:
        await self._due.wait()
        connection = await asyncpg.connect(
            self._dsn, timeout=5, server_settings={"application_name": "bailiwick-wake"}
        )
        try:
            while True:
                await self._due.wait()
                self._due.clear()
                await connection.execute(f"NOTIFY {CHANNEL}", timeout=5)
        finally:
            with contextlib.suppress(Exception):
                await connection.close(timeout=1)
