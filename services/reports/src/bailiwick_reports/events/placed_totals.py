"""What orders adds up itself, a JSON object a line: `python -m bailiwick_orders tally --org ORG`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from uuid import UUID

from bailiwick_contracts.envelope import Payload
from bailiwick_kit.imports import jsonl
from bailiwick_reports.domain.differences import NOTHING, Cell, Sums


class TallyLine(Payload):
    """What the placed orders of one cell come to."""

    customer_id: UUID
    author_id: UUID
    credited_to: UUID | None
    source: str
    order_date: date
    currency: str
    state: str
    orders: int
    pieces: Decimal
    net: Decimal

    @property
    def cell(self) -> Cell:
        """What the line is about."""
        return Cell(
            self.customer_id,
            self.author_id,
            self.credited_to,
            self.source,
            self.order_date,
            self.currency,
            self.state,
        )


def read_tally(sent: Iterable[bytes]) -> dict[Cell, Sums]:
    """Return what orders adds up, by cell.

    Raises:
        LineError: a line is not one of a tally.
    """
    tally: dict[Cell, Sums] = {}
    for line in jsonl.read(sent, TallyLine.model_validate_json):
        told = Sums(line.orders, line.pieces, line.net)
        tally[line.cell] = tally.get(line.cell, NOTHING) + told
    return tally
