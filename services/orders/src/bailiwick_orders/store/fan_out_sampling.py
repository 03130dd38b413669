"""Counts what is left to write of large acts, in all organizations together: for whoever runs it (ADR 17)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

import sqlalchemy as sa

from bailiwick_kit.database.engine import Database
from bailiwick_kit.process.sampling import DATABASE_EVERY, MOST_COUNTED, sampling
from bailiwick_kit.telemetry import metrics
from bailiwick_orders.store.tables import fan_outs

_some = sa.select(fan_outs.c.org_id).limit(MOST_COUNTED).subquery()
_age = sa.func.extract("epoch", sa.func.now() - sa.func.min(fan_outs.c.recorded_at))
_WAITING = sa.select(
    sa.select(sa.func.count()).select_from(_some).scalar_subquery().label("assignments"),
    sa.select(sa.func.coalesce(_age, 0)).scalar_subquery().label("oldest"),
)


@dataclass(frozen=True)
class FanOutSampling:
    """Counts assignments whose orders' visibility is still being written, as orders' worker."""

    database: Database
    every: float = DATABASE_EVERY

    async def run(self) -> None:
        """Go on until cancelled."""
        readings = (metrics.FAN_OUTS_WAITING, metrics.FAN_OUTS_OLDEST)
        await sampling("fan-outs", self.every, self._rounds, *readings)

    async def _rounds(self) -> AsyncGenerator[None, None]:
        while True:
            async with self.database.reading(None) as connection:
                waiting = (await connection.execute(_WAITING)).one()
            metrics.FAN_OUTS_WAITING.set(waiting.assignments)
            metrics.FAN_OUTS_OLDEST.set(max(float(waiting.oldest), 0.0))
            yield
