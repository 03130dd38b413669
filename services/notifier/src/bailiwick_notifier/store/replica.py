"""Keeps the replica of assignments. Of customers only new names are kept, with the orders that came in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_access.assignments import write_assignments
from bailiwick_contracts.customers import AssignmentChanged, CustomerChanged
from bailiwick_contracts.envelope import Event
from bailiwick_kit.replica import Applier
from bailiwick_notifier.store.tables import assignments, notices

_CONCERNED = (
    sa.select(notices.c.customer_id)
    .where(
        notices.c.org_id == sa.bindparam("org_id", type_=sa.Uuid),
        notices.c.customer_id == sa.any_(sa.bindparam("customer_ids", type_=sa.ARRAY(sa.Uuid))),
    )
    .order_by(notices.c.event_id)  # as everybody locks them: nobody waits for each other
    .with_for_update()
)
_RENAME = (
    notices.update()
    .where(
        notices.c.org_id == sa.bindparam("of_org", type_=sa.Uuid),
        notices.c.customer_id == sa.bindparam("of_customer", type_=sa.Uuid),
        sa.func.coalesce(notices.c.renamed_seq, 0) < sa.bindparam("told", type_=sa.BigInteger),
    )
    .values(
        renamed=sa.bindparam("name", type_=sa.Text),
        renamed_seq=sa.bindparam("told", type_=sa.BigInteger),
    )
)


class CustomersReplica:
    """What notifier remembers of customers."""

    def appliers(self) -> Mapping[type[Event], Applier]:
        """Return what writes each of customers' events."""
        return {CustomerChanged: self._customer, AssignmentChanged: self._assignments}

    async def _customer(
        self, connection: AsyncConnection, events: Sequence[CustomerChanged]
    ) -> None:
        """Write their names to the orders that came in; of others nothing but their place in the sequence."""
        named = {one.customer_id: one for one in sorted(events, key=lambda one: one.seq)}
        if not named:
            return
        bound = {"org_id": events[0].org_id, "customer_ids": list(named)}
        concerned = set((await connection.execute(_CONCERNED, bound)).scalars())
        rows = [
            {"of_org": one.org_id, "of_customer": id_, "name": one.name, "told": one.seq}
            for id_, one in named.items()
            if id_ in concerned
        ]
        if rows:
            await connection.execute(_RENAME, rows)

    async def _assignments(
        self, connection: AsyncConnection, events: Sequence[AssignmentChanged]
    ) -> None:
        await write_assignments(connection, assignments, events)
