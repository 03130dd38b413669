"""How PostgreSQL answers what a service asks: which statements, planned how, reading how many rows.

Tests judge by it and never by time: a plan that reads a whole table is seen at a small size too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import sqlalchemy as sa


@dataclass(frozen=True)
class Sent:
    """A statement that the service has sent, what it bound, and over which connection."""

    text: str
    values: tuple[Any, ...]
    connection: asyncpg.Connection

    async def plans(self) -> tuple[int, int]:
        """Return how often it ran by one plan for all values, and how often by one of its own."""
        row = await self.connection.fetchrow(
            "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement = $1",
            self.text,
        )
        return (row["generic_plans"], row["custom_plans"]) if row else (0, 0)

    async def rows_read(self, org_id: UUID, *, in_tables: bool = False) -> Mapping[str, int]:
        """Run it again in the organization, and return how many rows of each table it reads.

        `in_tables`: without those of which it reads no more than an index has.
        """
        await self.connection.execute(f"SELECT set_config('app.org', '{org_id}', false)")
        try:
            [row] = await self.connection.fetch(
                f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {self.text}", *self.values
            )
        finally:
            await self.connection.execute("SELECT set_config('app.org', '', false)")
        [explained] = row[0]  # SQLAlchemy has the connection decode JSON
        read: Counter[str] = Counter()
        for node in _nodes(explained["Plan"]):
            if in_tables and node["Node Type"] == "Index Only Scan":
                continue
            if "Relation Name" in node:
                removed = (v for k, v in node.items() if k.startswith("Rows Removed by"))
                rows = node["Actual Rows"] + sum(removed)
                read[node["Relation Name"]] += round(rows * node["Actual Loops"])
        return read


@contextmanager
def listening() -> Iterator[list[Sent]]:
    """Give the statements that services in this process send meanwhile, in order."""
    sent: list[Sent] = []

    def keep(connection: sa.Connection, _: object, text: str, values: Any, *__: object) -> None:
        sent.append(Sent(text, tuple(values), connection.connection.driver_connection))

    sa.event.listen(sa.Engine, "before_cursor_execute", keep)
    try:
        yield sent
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", keep)


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)
