"""Reads all that a mail needs: its orders, who it is to, what they want, and how they stand to each order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_access.relation import relation_facts
from bailiwick_notifier.domain.delivery import Dispatch, State
from bailiwick_notifier.domain.order import NewOrder
from bailiwick_notifier.domain.preferences import Preferences
from bailiwick_notifier.domain.relation import Stretch
from bailiwick_notifier.store.members import NAMED, Person
from bailiwick_notifier.store.rows import to_new_order, to_person, to_preferences
from bailiwick_notifier.store.tables import (
    assignments,
    changed_orders,
    customer_names,
    deliveries,
    members,
    notices,
    preferences,
)


@dataclass(frozen=True)
class Item:
    """One delivery in a mail: the order it tells of, and how its recipient stands to it now."""

    delivery_id: UUID
    order: NewOrder
    facts: Mapping[str, object]
    called_now: str | None = None
    """What its customer is called now; absent where that was not heard: as the order keeps it."""
    trace_parent: str | None = None
    """Of what made it come in."""


@dataclass(frozen=True)
class Opened:
    """All that is needed to decide on a mail and to write it, as of one instant."""

    recipient: Person
    preferences: Preferences
    items: tuple[Item, ...]


_org_id = sa.bindparam("org_id", type_=sa.Uuid)
_member_id = sa.bindparam("member_id", type_=sa.Uuid)

_IN_IT = (
    sa.select(
        notices,
        deliveries.c.delivery_id,
        members.c.name.label("placed_by_name"),
        changed_orders.c.state.label("changed_state"),
        changed_orders.c.content.label("changed_content"),
        customer_names.c.name.label("called_now"),
    )
    .join_from(
        deliveries,
        notices,
        sa.and_(
            notices.c.org_id == deliveries.c.org_id, notices.c.event_id == deliveries.c.event_id
        ),
    )
    .outerjoin(
        members,  # who placed it, unless that was a storefront: the buyer has no name here
        sa.and_(
            members.c.org_id == notices.c.org_id,
            members.c.member_id == notices.c.placed_by,
            members.c.kind == "member",
        ),
    )
    .outerjoin(
        changed_orders,
        sa.and_(
            changed_orders.c.org_id == notices.c.org_id,
            changed_orders.c.order_id == notices.c.order_id,
        ),
    )
    .outerjoin(
        customer_names,
        sa.and_(
            customer_names.c.org_id == notices.c.org_id,
            customer_names.c.customer_id == notices.c.customer_id,
        ),
    )
    .where(deliveries.c.org_id == _org_id, deliveries.c.state == State.PENDING.value)
    .order_by(notices.c.taken_at, notices.c.order_number)
)
_DISPATCH_ID = sa.bindparam("dispatch_id", type_=sa.Uuid)
_OF_DELIVERY = _IN_IT.where(deliveries.c.delivery_id == _DISPATCH_ID)
_OF_DIGEST = _IN_IT.where(deliveries.c.digest_id == _DISPATCH_ID)

PREFERENCES = sa.select(preferences).where(
    preferences.c.org_id == _org_id, preferences.c.member_id == _member_id
)
"""A member's preferences. Binds `org_id` and `member_id`."""

_STRETCHES = sa.select(
    assignments.c.customer_id, *assignments.c["relation", "valid_from", "valid_to"]
).where(
    assignments.c.org_id == _org_id,
    assignments.c.member_id == _member_id,
    assignments.c.customer_id == sa.any_(sa.bindparam("customer_ids", type_=sa.ARRAY(sa.Uuid))),
)


async def opened(connection: AsyncConnection, dispatch: Dispatch, now: datetime) -> Opened | None:
    """Return what is in the dispatch as of an instant; None where its recipient is not known here."""
    org_id, member_id = dispatch.org_id, dispatch.member_id
    member = {"org_id": org_id, "member_id": member_id}
    named = {"org_id": org_id, "member_ids": [member_id]}
    person = (await connection.execute(NAMED, named)).mappings().first()
    if person is None:
        return None
    wishes = (await connection.execute(PREFERENCES, member)).mappings().first()
    statement = _OF_DIGEST if dispatch.is_digest else _OF_DELIVERY
    bound = {"org_id": org_id, "dispatch_id": dispatch.dispatch_id}
    rows = (await connection.execute(statement, bound)).mappings().all()
    customer_ids = list({row["customer_id"] for row in rows})
    stretches: defaultdict[UUID, list[Stretch]] = defaultdict(list)
    for customer_id, *stretch in await connection.execute(
        _STRETCHES, {**member, "customer_ids": customer_ids}
    ):
        stretches[customer_id].append(Stretch(*stretch))
    items = (
        Item(
            delivery_id=row["delivery_id"],
            trace_parent=row["trace_parent"],
            order=to_new_order(row),
            called_now=row["called_now"],
            facts={
                **relation_facts(stretches[row["customer_id"]], now),
                "org_id": str(org_id),
                "author": row["author_id"] == member_id,
                "author_keeps_view": row["author_keeps_view"],
                "state": row["changed_state"] or row["state"],
            },
        )
        for row in rows
    )
    return Opened(to_person(person, now), to_preferences(wishes), tuple(items))
