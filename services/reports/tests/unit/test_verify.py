"""What verifying compares, says and advises."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest

from bailiwick_kit.imports.jsonl import LineError
from bailiwick_reports.actions.verify import Findings, verify
from bailiwick_reports.domain.differences import NOTHING, Cell, CellApart, RowApart, Sums
from bailiwick_reports.events.placed_totals import read_tally

ORG, C1, ANA = (UUID(int=number) for number in (1, 2, 3))
CELL = Cell(C1, ANA, None, "phone", date(2026, 1, 15), "EUR", "placed")
OTHER = replace(CELL, state="cancelled")
ONE = Sums(1, Decimal(2), Decimal("20.00"))
TWO = Sums(2, Decimal(3), Decimal("31.5000"))
A_LINE = {
    "customer_id": str(C1),
    "author_id": str(ANA),
    "credited_to": None,
    "source": "phone",
    "order_date": "2026-01-15",
    "currency": "EUR",
    "state": "placed",
    "orders": 1,
    "pieces": "2",
    "net": "20.00",
}


@dataclass
class Kept:
    """A cube: what it holds each time it is asked, the last for ever."""

    answers: list[dict[Cell, tuple[Sums, Sums]]]

    async def cells(self, _: UUID) -> AsyncIterator[tuple[Cell, Sums, Sums]]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        for cell, (counted, kept) in answer.items():
            yield cell, counted, kept


@dataclass
class Copied:
    """A replica with these differences."""

    rows: Sequence[RowApart] = field(default_factory=list)

    async def apart(self, _: UUID) -> Sequence[RowApart]:
        return self.rows


async def found(
    tally: dict[Cell, Sums], *answers: dict[Cell, tuple[Sums, Sums]], patience: float = 0.0
) -> Findings:
    return await verify(tally, Kept(list(answers)), [Copied()], ORG, patience=patience)


async def test_nothing_differs_where_all_three_say_the_same_however_they_write_it() -> None:
    padded = Sums(1, Decimal("2.0000"), Decimal("20.0000"))
    assert not await found({CELL: ONE}, {CELL: (padded, padded)})
    assert not await found({}, {})


@pytest.mark.parametrize(
    ("told", "counted", "kept"),
    [
        (NOTHING, ONE, ONE),
        (ONE, NOTHING, NOTHING),
        (ONE, ONE, TWO),
        (ONE, TWO, ONE),
        (ONE, ONE, NOTHING),
        (TWO, ONE, ONE),
    ],
)
async def test_a_cell_that_is_not_the_same_everywhere_is_found(
    told: Sums, counted: Sums, kept: Sums
) -> None:
    tally = {OTHER: TWO} | ({CELL: told} if told.orders else {})
    cells = {OTHER: (TWO, TWO)} | ({CELL: (counted, kept)} if counted.orders or kept.orders else {})
    assert list((await found(tally, cells)).cells) == [CellApart(CELL, told, counted, kept)]


async def test_what_arrives_in_time_is_no_difference_and_what_does_not_is() -> None:
    late: dict[Cell, tuple[Sums, Sums]] = {}
    arrived = {CELL: (ONE, ONE)}
    assert not await found({CELL: ONE}, late, arrived, patience=5)
    assert await found({CELL: ONE}, late, arrived, patience=0)


def test_each_difference_is_a_line_that_says_who_has_what_and_no_personal_data() -> None:
    cell = CellApart(CELL, ONE, ONE, NOTHING)
    missing = RowApart("customers", "customers", {"org_id": ORG, "customer_id": C1}, is_here=False)
    planted = replace(missing, is_here=True)
    changed = replace(planted, columns=("name", "country"))
    own = RowApart("identity", "organizations", {"org_id": ORG}, is_here=False)
    named = f"customer_id={C1} author_id={ANA} credited_to=house source=phone order_date=2026-01-15"
    one = "orders=1 pieces=2 net=20.00"
    said = f"orders has {one}; its events here come to {one}; the cube has orders=0 pieces=0 net=0"
    assert list(Findings([cell], [missing, planted, changed, own]).in_words()) == [
        f"sales {named} currency=EUR state=placed: {said}",
        f"customers customer_id={C1}: customers has it, and it is missing here",
        f"customers customer_id={C1}: customers has no such row",
        f"customers customer_id={C1}: name, country differ from what customers has",
        f"organizations org_id={ORG}: identity has it, and it is missing here",
    ]


@pytest.mark.parametrize(
    ("told", "counted", "kept", "is_rebuilt", "is_told_again"),
    [
        (ONE, ONE, TWO, True, False),
        (TWO, ONE, ONE, False, True),
        (TWO, ONE, TWO, True, True),
    ],
)
def test_advice_is_to_rebuild_what_is_wrong_here_and_to_hear_again_what_never_came(
    told: Sums, counted: Sums, kept: Sums, is_rebuilt: bool, is_told_again: bool
) -> None:
    advice = Findings([CellApart(CELL, told, counted, kept)], []).advice(ORG)
    assert ("mends replicas and cube" in advice) is is_rebuilt
    assert ("republish" in advice) is is_told_again


def test_a_tally_is_read_by_cell_and_its_house_is_nobody() -> None:
    lines = [A_LINE, {**A_LINE, "credited_to": str(ANA), "a_later_field": 1}]
    assert read_tally(json.dumps(line).encode() for line in lines) == {
        CELL: ONE,
        replace(CELL, credited_to=ANA): ONE,
    }
    assert read_tally([]) == {}


def test_a_line_that_is_no_tally_is_named() -> None:
    wrong = {**A_LINE, "net": "a lot"}
    with pytest.raises(LineError, match=r"^line 2: net: "):
        read_tally(json.dumps(line).encode() for line in (A_LINE, wrong))
