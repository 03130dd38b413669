"""What may differ between reports and those whose words it goes by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from uuid import UUID


@dataclass(frozen=True)
class Cell:
    """What orders are added up by (D11); credited to nobody is the house."""

    customer_id: UUID
    author_id: UUID
    credited_to: UUID | None
    source: str
    order_date: date
    currency: str
    state: str

    def in_words(self) -> str:
        """Say which one it is, as field=value."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["credited_to"] = self.credited_to or "house"
        return " ".join(f"{name}={value}" for name, value in values.items())


@dataclass(frozen=True)
class Sums:
    """What a cell holds."""

    orders: int
    pieces: Decimal
    net: Decimal

    def __add__(self, other: Sums) -> Sums:
        """Add them up; of one currency, because a cell has one."""
        return Sums(self.orders + other.orders, self.pieces + other.pieces, self.net + other.net)

    def in_words(self) -> str:
        """Say how much."""
        return f"orders={self.orders} pieces={self.pieces:f} net={self.net:f}"


NOTHING = Sums(0, Decimal(0), Decimal(0))
"""What a cell holds that is not there."""


@dataclass(frozen=True)
class CellApart:
    """A cell that is not the same everywhere.

    `told` is what orders adds up itself, `counted` what its events come to here, `kept` the cube.
    """

    cell: Cell
    told: Sums
    counted: Sums
    kept: Sums

    def in_words(self) -> str:
        """Say it in one line."""
        figures = (
            f"orders has {self.told.in_words()}",
            f"its events here come to {self.counted.in_words()}",
            f"the cube has {self.kept.in_words()}",
        )
        return f"sales {self.cell.in_words()}: {'; '.join(figures)}"


@dataclass(frozen=True)
class RowApart:
    """A row of a replica that is not as its owner has it. Of values nothing is said: they may be personal.

    `key` is what it is called, by column; `columns` are those that differ, none where there is no such
    row either here (`is_here`) or there.
    """

    source: str
    table: str
    key: Mapping[str, object]
    is_here: bool
    columns: tuple[str, ...] = ()

    def in_words(self) -> str:
        """Say it in one line."""
        own = {name: value for name, value in self.key.items() if name != "org_id"} or self.key
        named = " ".join(f"{name}={value}" for name, value in own.items())
        if self.columns:
            found = f"{', '.join(self.columns)} differ from what {self.source} has"
        elif self.is_here:
            found = f"{self.source} has no such row"
        else:
            found = f"{self.source} has it, and it is missing here"
        return f"{self.table} {named}: {found}"
