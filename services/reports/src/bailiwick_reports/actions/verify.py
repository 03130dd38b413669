"""Compare what reports has with those whose words it goes by: orders, identity and customers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from bailiwick_reports.domain.differences import NOTHING, Cell, CellApart, RowApart, Sums

PATIENCE = 10.0
"""Seconds that events get to arrive which were under way when orders added up."""
_PAUSE = 0.5


class Copy(Protocol):
    """The replica of what one authority tells."""

    async def apart(self, org_id: UUID) -> Sequence[RowApart]:
        """Return the rows that are not as the authority's change feed has them."""
        ...


class Cube(Protocol):
    """The sums of what orders count for."""

    def cells(self, org_id: UUID) -> AsyncIterator[tuple[Cell, Sums, Sums]]:
        """Give each cell with what its orders come to, and with what the cube has, of one instant."""
        ...


@dataclass(frozen=True)
class Findings:
    """What differs."""

    cells: Sequence[CellApart]
    rows: Sequence[RowApart]

    def __bool__(self) -> bool:
        """Tell whether anything does."""
        return bool(self.cells or self.rows)

    def in_words(self) -> Iterator[str]:
        """Say each difference in a line."""
        yield from (cell.in_words() for cell in self.cells)
        yield from (row.in_words() for row in self.rows)

    def advice(self, org_id: UUID) -> str:
        """Say what to do."""
        if not self:
            return "No difference: reports agrees with orders, identity and customers."
        steps = []
        if self.rows or any(one.counted != one.kept for one in self.cells):
            steps.append(f"`reports rebuild --org {org_id}` mends replicas and cube.")
        if any(one.told != one.counted for one in self.cells):
            steps.append(
                f"`orders republish --org {org_id} --to reports.orders` has orders send all of them again."
                " If the same differences remain, first forget what was counted, with"
                f" `reports rebuild --org {org_id} --from-nothing`."
            )
        return "\n".join([*steps, "Then run tally and verify again: events may be under way."])


async def verify(
    tally: Mapping[Cell, Sums],
    cube: Cube,
    copies: Sequence[Copy],
    org_id: UUID,
    *,
    patience: float | None = None,
) -> Findings:
    """Compare the cube with what orders adds up itself, and the replicas with the change feeds.

    Raises:
        Unavailable: a change feed does not answer.
    """
    clock = asyncio.get_running_loop()
    deadline = clock.time() + (PATIENCE if patience is None else patience)
    cells = await _cells_apart(tally, cube, org_id)
    while cells and clock.time() < deadline:
        await asyncio.sleep(_PAUSE)
        cells = await _cells_apart(tally, cube, org_id)
    rows = [row for copy in copies for row in await copy.apart(org_id)]
    return Findings(cells, rows)


async def _cells_apart(tally: Mapping[Cell, Sums], cube: Cube, org_id: UUID) -> Sequence[CellApart]:
    left, apart = dict(tally), []
    async for cell, counted, kept in cube.cells(org_id):
        told = left.pop(cell, NOTHING)
        if not told == counted == kept:
            apart.append(CellApart(cell, told, counted, kept))
    missing = (CellApart(cell, told, NOTHING, NOTHING) for cell, told in left.items())
    return sorted([*apart, *missing], key=lambda one: one.cell.in_words())
