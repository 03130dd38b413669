"""Counts what waits in notifier, in all organizations together: for whoever runs it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

import sqlalchemy as sa

from bailiwick_kit.clock import Clock
from bailiwick_kit.database.engine import Database
from bailiwick_kit.process.sampling import DATABASE_EVERY, sampling
from bailiwick_kit.telemetry import metrics
from bailiwick_notifier.domain.delivery import State
from bailiwick_notifier.store.tables import deliveries, digests, notices


def _due(table: sa.Table, *also: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
    now = sa.bindparam("now", type_=sa.DateTime(timezone=True))
    of = sa.select(sa.func.count()).select_from(table)
    is_due = (table.c.state == State.PENDING.value, table.c.next_attempt_at <= now, *also)
    return of.where(*is_due).scalar_subquery()


_UNFIXED = sa.select(sa.func.count()).select_from(notices).where(notices.c.fixed_at.is_(None))
_WAITING = sa.select(
    _UNFIXED.scalar_subquery().label("notices"),
    (_due(deliveries, deliveries.c.digest_id.is_(None)) + _due(digests)).label("mails"),
)


@dataclass(frozen=True)
class Waiting:
    """Counts orders of which nobody is told yet, and mails whose time has come."""

    database: Database
    clock: Clock
    every: float = DATABASE_EVERY

    async def run(self) -> None:
        """Go on until cancelled."""
        readings = (metrics.NOTICES_WAITING, metrics.MAILS_WAITING)
        await sampling("mails", self.every, self._rounds, *readings)

    async def _rounds(self) -> AsyncGenerator[None, None]:
        while True:
            async with self.database.reading(None) as connection:
                found = await connection.execute(_WAITING, {"now": self.clock.now()})
                waiting = found.one()
            metrics.NOTICES_WAITING.set(waiting.notices)
            metrics.MAILS_WAITING.set(waiting.mails)
            yield
