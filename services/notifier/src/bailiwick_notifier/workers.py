"""The two jobs of the worker: fixing who is told, and sending, some mails at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

import structlog

from bailiwick_kit.errors import Unavailable
from bailiwick_kit.telemetry import metrics
from bailiwick_kit.transient_errors import is_outage
from bailiwick_notifier.actions.fix_recipients import LATER, Authority, Desk, fix_recipients
from bailiwick_notifier.actions.send_dispatch import OUTCOMES, Office, send_dispatch
from bailiwick_notifier.domain.delivery import Dispatch
from bailiwick_notifier.domain.notice import Notice

log = structlog.get_logger(__name__)

ResultT = TypeVar("ResultT")

PAUSE = 0.5
"""Seconds between looks at what is due, when there was nothing."""
NOTICES_A_ROUND = 100
MAILS_AT_ONCE = 5
DRAIN = 5.0
"""Seconds that mails under way are given when the worker is told to stop."""


@dataclass
class Patient:
    """An authority whose feed, found shut, is let be for a while: one that is away holds up nobody else."""

    authority: Authority
    pause: float = LATER.total_seconds()
    _shut_until: float = field(default=0.0, init=False)

    async def position(self, org_id: UUID) -> int:
        """Return up to which change everything has been applied."""
        return await self.authority.position(org_id)

    async def catch_up(self, org_id: UUID) -> bool:
        """Ask the authority itself for the rest, as much as comes at once; say whether that was all.

        Raises:
            Unavailable: it does not answer, or did not a moment ago.
        """
        clock = asyncio.get_running_loop()
        if clock.time() < self._shut_until:
            raise Unavailable
        try:
            return await self.authority.catch_up(org_id)
        except Unavailable:
            self._shut_until = clock.time() + self.pause
            raise


@dataclass(frozen=True)
class Fixing:
    """Fixes who is told of each order that came in."""

    desk: Desk

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            try:
                found = await self.round()
            except Exception as error:  # noqa: BLE001 - a job that stops is an outage: report and go on
                _report("fixing", error)
                found = 0
            if found < NOTICES_A_ROUND:
                await asyncio.sleep(PAUSE)

    async def round(self) -> int:
        """Look at each order whose turn it is; the trouble of one is not the others'. Return how many."""
        due = await self.desk.notices.due(self.desk.clock.now(), NOTICES_A_ROUND)
        for notice in due:
            try:
                await fix_recipients(self.desk, notice)
            except Exception as error:
                if is_outage(error):
                    raise
                await self._postpone(notice, error)
        return len(due)

    async def _postpone(self, notice: Notice, error: Exception) -> None:
        log.error("notice.failed", event_id=str(notice.event_id), exc_info=error)
        await self.desk.notices.postpone(notice, self.desk.clock.now() + LATER)


@dataclass
class Sending:
    """Sends what is due, a bounded number of mails at once; told to stop, it ends what is under way."""

    office: Office
    at_once: int = MAILS_AT_ONCE
    _busy: set[asyncio.Task[Any]] = field(default_factory=set, init=False)

    async def run(self) -> None:
        """Go on until cancelled."""
        for outcome in OUTCOMES:
            metrics.MAIL.labels(outcome)  # from 0 on, so that the first one is a rise
        try:
            while True:
                try:
                    found = await self.round()
                except Exception as error:  # noqa: BLE001 - likewise
                    _report("sending", error)
                    found = 0
                if not found:
                    await asyncio.sleep(PAUSE)
        finally:
            await self._drain()

    async def round(self) -> int:
        """Begin as many mails as there is room for, and return how many; without room, wait for some."""
        if len(self._busy) >= self.at_once:
            await asyncio.wait(self._busy, return_when=asyncio.FIRST_COMPLETED)
        # Told to stop meanwhile, it ends this too: who is cut off between the claim and the mail holds that
        # mail up until the claim runs out.
        return await asyncio.shield(self._under_way(self._begin(self.at_once - len(self._busy))))

    async def _begin(self, most: int) -> int:
        now = self.office.clock.now()
        claimed = await self.office.dispatches.claim(now, now + self.office.held, most)
        for dispatch in claimed:
            _ = self._under_way(self._send(dispatch))
        return len(claimed)

    def _under_way(self, work: Coroutine[Any, Any, ResultT]) -> asyncio.Task[ResultT]:
        task = asyncio.create_task(work)
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)
        return task

    async def finished(self) -> None:
        """Return when nothing is under way any more."""
        while self._busy:
            await asyncio.wait(self._busy)

    async def _send(self, dispatch: Dispatch) -> None:
        try:
            await send_dispatch(self.office, dispatch)
        except Exception as error:  # noqa: BLE001 - the claim runs out, and it is tried again
            _report("sending", error)

    async def _drain(self) -> None:
        """Let mails under way end: one that is cut off may have gone out, and goes out again."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN):
                await self.finished()
        for task in self._busy:
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)


def _report(job: str, error: Exception) -> None:
    if is_outage(error):
        log.warning("job.interrupted", job=job, error=type(error).__name__)
    else:
        log.error("job.failed", job=job, exc_info=error)
