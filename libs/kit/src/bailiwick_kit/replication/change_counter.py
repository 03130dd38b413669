"""An authority's gap-free number of its changes, per organization (D4).

A row counter in the changing transaction: whoever comes second waits for the first one's commit, so that
a number that can be seen has no unseen one before it. A database sequence would leave gaps.
"""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection


def change_counters_table(metadata: sa.MetaData) -> sa.Table:
    """Declare where each organization's changes stand."""
    return sa.Table(
        "change_counters",
        metadata,
        sa.Column("org_id", sa.Uuid, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
    )


async def next_numbers(
    connection: AsyncConnection, counters: sa.Table, org_id: UUID, count: int = 1
) -> range:
    """Take the next numbers; call it late, because it makes other changes of the organization wait."""
    statement = insert(counters).values(org_id=org_id, seq=count)
    taken = await connection.execute(
        statement.on_conflict_do_update(
            index_elements=[counters.c.org_id], set_={"seq": counters.c.seq + count}
        ).returning(counters.c.seq)
    )
    last = int(taken.scalar_one())
    return range(last - count + 1, last + 1)
