"""Reading deliveries: always through what the caller may see, never around it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bailiwick_access.caller import Caller
from bailiwick_access.requests import Reading
from bailiwick_kit.database.engine import plan_for_values
from bailiwick_kit.policy.scope import Everybody, Nobody, Scope, Where
from bailiwick_kit.policy.scope_sql import to_sql
from bailiwick_notifier.domain.delivery import Delivery, Filters
from bailiwick_notifier.domain.preferences import Preferences
from bailiwick_notifier.store.mail_content import PREFERENCES
from bailiwick_notifier.store.rows import to_delivery, to_preferences
from bailiwick_notifier.store.tables import deliveries, members

_KEY = (deliveries.c.created_at, deliveries.c.delivery_id)
_ROWS = sa.select(deliveries, members.c.name.label("member_name")).outerjoin_from(
    deliveries,
    members,
    sa.and_(members.c.org_id == deliveries.c.org_id, members.c.member_id == deliveries.c.member_id),
)


class DeliveryQueries:
    """Reads deliveries, and the caller's own preferences."""

    async def page(
        self,
        reading: Reading,
        scope: Scope,
        filters: Filters,
        *,
        limit: int,
        after: tuple[datetime, UUID] | None,
    ) -> list[Delivery]:
        """Return up to `limit` deliveries, newest first."""
        statement = (
            _ROWS.where(*_narrowed(reading.caller, scope, filters))
            .order_by(*(column.desc() for column in _KEY))
            .limit(limit)
        )
        if after is not None:
            before = (
                sa.literal(after[0], sa.DateTime(timezone=True)),
                sa.literal(after[1], sa.Uuid),
            )
            statement = statement.where(sa.tuple_(*_KEY) < sa.tuple_(*before))
        if filters != Filters():
            await plan_for_values(reading.connection)
        found = await reading.connection.execute(statement)
        return [to_delivery(row) for row in found.mappings()]

    async def count(self, reading: Reading, scope: Scope, filters: Filters) -> int:
        """Return exactly how many there are (D13)."""
        statement = (
            sa.select(sa.func.count())
            .select_from(deliveries)
            .where(*_narrowed(reading.caller, scope, filters))
        )
        await plan_for_values(reading.connection)
        return int((await reading.connection.execute(statement)).scalar_one())

    async def one(self, reading: Reading, delivery_id: UUID) -> Delivery | None:
        """Return a delivery, to be decided on."""
        statement = _ROWS.where(
            deliveries.c.org_id == reading.caller.org_id, deliveries.c.delivery_id == delivery_id
        )
        row = (await reading.connection.execute(statement)).mappings().first()
        return None if row is None else to_delivery(row)

    async def preferences(self, reading: Reading) -> Preferences:
        """Return the caller's own."""
        bound = {"org_id": reading.caller.org_id, "member_id": reading.caller.member_id}
        return to_preferences(
            (await reading.connection.execute(PREFERENCES, bound)).mappings().first()
        )


def _narrowed(caller: Caller, scope: Scope, filters: Filters) -> Iterable[sa.ColumnElement[bool]]:
    yield deliveries.c.org_id == caller.org_id
    yield _readable(caller, scope)
    if filters.states:
        yield deliveries.c.state.in_(filters.states)
    if filters.order_id is not None:
        yield deliveries.c.order_id == filters.order_id
    if filters.member_id is not None:
        yield deliveries.c.member_id == filters.member_id


def _readable(caller: Caller, scope: Scope) -> sa.ColumnElement[bool]:
    match scope:
        case Nobody():
            return sa.false()
        case Everybody():
            return sa.true()
        case Where(condition=condition):
            fields: dict[str, sa.ColumnElement[Any]] = {
                "delivery.org_id": deliveries.c.org_id,
                "delivery.recipient": deliveries.c.member_id == caller.member_id,
                "delivery.state": deliveries.c.state,
            }
            return to_sql(condition, fields)
