"""Compares the replicas with what their authorities tell, row by row, and mends them.

For both, everything behind the change feed is read first. What is here under a later number is newer than
what was read then, and is left alone. Whoever reads meanwhile sees the rows as they were, until all are
mended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_access.assignments import assignment_rows
from bailiwick_contracts.customers import AssignmentChanged, CustomerChanged
from bailiwick_contracts.envelope import Event
from bailiwick_contracts.identity import MemberChanged, OrganizationChanged
from bailiwick_kit.replication.replica import Replica
from bailiwick_reports.domain.differences import RowApart
from bailiwick_reports.store.replica import customer_row
from bailiwick_reports.store.tables import assignments, customers, members, organizations

_AT_ONCE = 1000
"""Rows written by one statement."""

_Row = Mapping[str, Any]
_Rows = dict[tuple[Any, ...], _Row]
_Written = Callable[[Event], Iterator[tuple[sa.Table, _Row]]]


@dataclass(frozen=True)
class _Told:
    """All that an authority tells: rows by table and key, everything up to a number."""

    head: int
    rows: Mapping[sa.Table, _Rows]


@dataclass(frozen=True)
class Copy:
    """The replica of one authority. `written` gives the rows that an event is kept in."""

    replica: Replica
    tables: Sequence[sa.Table]
    written: _Written

    @property
    def source(self) -> str:
        """Whose words it goes by."""
        return self.replica.source

    async def apart(self, org_id: UUID) -> Sequence[RowApart]:
        """Return the rows that are not as the authority's change feed has them; what is late is pulled first.

        Raises:
            Unavailable: the authority does not answer, or not as it should.
        """
        told = await self._told(org_id)
        await self.replica.pull(org_id)
        async with self.replica.alone(org_id) as connection:
            return [
                one
                for table in self.tables
                for one in await self._compared(connection, table, org_id, told)
            ]

    async def mend(self, org_id: UUID) -> int:
        """Make the rows as the authority's change feed has them now, in one transaction; return how many.

        Raises:
            Unavailable: the authority does not answer, or not as it should; nothing is changed.
        """
        told, mended = await self._told(org_id), 0
        async with self.replica.alone(org_id) as connection:
            for table in self.tables:
                apart = await self._compared(connection, table, org_id, told)
                await _replace(connection, table, apart, told.rows[table])
                mended += len(apart)
            await self.replica.stand_at(connection, org_id, told.head)
        return mended

    async def _told(self, org_id: UUID) -> _Told:
        rows: dict[sa.Table, _Rows] = {table: {} for table in self.tables}

        def take(event: Event) -> None:
            for table, row in self.written(event):
                rows[table][_key(table, row)] = row

        return _Told(await self.replica.read_all(org_id, take), rows)

    async def _compared(
        self, connection: AsyncConnection, table: sa.Table, org_id: UUID, told: _Told
    ) -> Sequence[RowApart]:
        found = await connection.execute(sa.select(table).where(table.c.org_id == org_id))
        rows = [dict(row) for row in found.mappings()]
        here: _Rows = {_key(table, row): row for row in rows}
        apart = []
        for key in sorted(here.keys() | told.rows[table].keys()):
            mine, theirs = here.get(key), told.rows[table].get(key)
            if mine is not None and mine["seq"] > told.head:
                continue
            columns = _differing(mine, theirs) if mine and theirs else ()
            if columns or mine is None or theirs is None:
                named = {one.name: row for one, row in zip(table.primary_key, key, strict=True)}
                apart.append(RowApart(self.source, table.name, named, mine is not None, columns))
        return apart


def of_identity(replica: Replica) -> Copy:
    """Return the replica of organizations and members."""

    def written(event: Event) -> Iterator[tuple[sa.Table, _Row]]:
        match event:
            case OrganizationChanged():
                yield organizations, event.model_dump()
            case MemberChanged():
                yield members, event.model_dump()
            case _:
                pass

    return Copy(replica, (organizations, members), written)


def of_customers(replica: Replica) -> Copy:
    """Return the replica of customers and assignments."""

    def written(event: Event) -> Iterator[tuple[sa.Table, _Row]]:
        match event:
            case CustomerChanged():
                yield customers, customer_row(event)
            case AssignmentChanged():
                for row in assignment_rows(event):
                    yield assignments, row
            case _:
                pass

    return Copy(replica, (customers, assignments), written)


async def _replace(
    connection: AsyncConnection, table: sa.Table, apart: Sequence[RowApart], told: _Rows
) -> None:
    """Take out the rows that differ, and put in what is told instead."""
    is_row = sa.and_(*(one == sa.bindparam(f"the_{one.name}") for one in table.primary_key))
    out = [{f"the_{name}": value for name, value in one.key.items()} for one in apart]
    put_in = [told[key] for one in apart if (key := _key(table, one.key)) in told]
    for some in _batches(out):
        await connection.execute(table.delete().where(is_row), some)
    for some in _batches(put_in):
        await connection.execute(table.insert(), some)


def _batches(rows: Sequence[_Row]) -> Iterator[Sequence[_Row]]:
    return (rows[first : first + _AT_ONCE] for first in range(0, len(rows), _AT_ONCE))


def _key(table: sa.Table, row: _Row) -> tuple[Any, ...]:
    return tuple(row[one.name] for one in table.primary_key)


def _differing(mine: _Row, theirs: _Row) -> tuple[str, ...]:
    return tuple(name for name in theirs if _plain(mine[name]) != _plain(theirs[name]))


def _plain(value: object) -> object:
    """Return a value as both sides have it: what an event has as a tuple is an array in a row."""
    return list(value) if isinstance(value, tuple) else value
