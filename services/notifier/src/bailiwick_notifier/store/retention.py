"""Deletes what is settled and old: with it go customers' names and what they ordered (D20)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
import structlog

from bailiwick_kit.clock import Clock
from bailiwick_kit.database.engine import Database
from bailiwick_kit.process.housekeeping import AT_ONCE, EVERY
from bailiwick_notifier.store.tables import (
    changed_orders,
    customer_names,
    deliveries,
    digests,
    notices,
)

log = structlog.get_logger(__name__)

KEPT = timedelta(days=30)
"""Since it was settled."""

_told_of = sa.and_(
    deliveries.c.org_id == notices.c.org_id, deliveries.c.event_id == notices.c.event_id
)
_of_order = sa.and_(
    notices.c.org_id == changed_orders.c.org_id, notices.c.order_id == changed_orders.c.order_id
)
_of_customer = sa.and_(
    notices.c.org_id == customer_names.c.org_id,
    notices.c.customer_id == customer_names.c.customer_id,
)
_others = deliveries.alias("others")
_is_told = sa.or_(
    sa.exists().where(_told_of, notices.c.fixed_at.is_(None)),
    sa.exists().where(
        _others.c.org_id == deliveries.c.org_id,
        _others.c.event_id == deliveries.c.event_id,
        _others.c.settled_at.is_(None),
    ),
)
"""Somebody may still be told of the order of a delivery: by those that there are, nobody is told twice."""


@dataclass(frozen=True)
class Retention:
    """Tidies what only notifier has, from its worker."""

    database: Database
    clock: Clock

    async def run(self) -> None:
        """Tidy every hour until cancelled."""
        while True:
            try:
                await self.tidy()
            except Exception:  # the next round may do better
                log.exception("retention.failed")
            await asyncio.sleep(EVERY)

    async def tidy(self) -> None:
        """Delete what was settled long ago, once all of an order's deliveries are; then the order."""
        past = self.clock.now() - KEPT
        settled = sa.and_(deliveries.c.settled_at < past, sa.not_(_is_told))
        await self._delete(deliveries, deliveries.c.delivery_id, settled)
        await self._delete(digests, digests.c.digest_id, digests.c.settled_at < past)
        done = sa.and_(notices.c.fixed_at < past, sa.not_(sa.exists().where(_told_of)))
        await self._delete(notices, notices.c.event_id, done)
        of_no_notice = sa.and_(
            changed_orders.c.heard_at < past, sa.not_(sa.exists().where(_of_order))
        )
        await self._delete(changed_orders, changed_orders.c.order_id, of_no_notice)
        of_no_notice = sa.and_(
            customer_names.c.heard_at < past, sa.not_(sa.exists().where(_of_customer))
        )
        await self._delete(customer_names, customer_names.c.customer_id, of_no_notice)

    async def _delete(
        self, table: sa.Table, key: sa.Column[Any], past: sa.ColumnElement[bool]
    ) -> None:
        some = sa.select(table.c.org_id, key).where(past).limit(AT_ONCE)
        deleted = AT_ONCE
        while deleted == AT_ONCE:
            async with self.database.writing(None) as connection:
                statement = table.delete().where(sa.tuple_(table.c.org_id, key).in_(some))
                deleted = (await connection.execute(statement)).rowcount
