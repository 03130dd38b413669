"""A year of a real wholesaler by its size: as many orders, lines, customers and assignments, made by a seed.

The counts are those of a public set of a year's invoices: 541,909 lines in 24,612 invoices of 4,381
customers, the largest with 1,114 lines.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

ORDERS: Final = 24_612
LINES: Final = 541_909
CUSTOMERS: Final = 4_381
ASSIGNMENTS: Final = 5_899
MOST_LINES: Final = 1_114
REPRESENTATIVES: Final = 11
_FIRST_DAY: Final = date(2024, 12, 1)
_DAYS: Final = 374

MAPPING: Final = """
source: year
organization: {name: %s, time_zone: Europe/London, currency: GBP}
members:
  file: members.csv
  key: id
  fields: {name: name, email: email, role: role}
customers:
  file: customers.csv
  key: id
  fields:
    name: name
    addresses: [{country: country, city: city, postal_code: zip}]
assignments:
  file: assignments.csv
  fields: {customer: customer, member: member, relation: relation, valid_from: since}
orders:
  file: orders.csv
  key: number
  fields: {customer: customer, order_date: day, state: {constant: fulfilled}}
  lines:
    file: lines.csv
    order: number
    fields: {sku: sku, name: name, quantity: pieces, unit_price: price}
"""


@dataclass(frozen=True)
class Year:
    """How much of the year is made: all of it, or a share of its orders, customers and assignments."""

    share: float = 1.0
    seed: int = 541_909

    @property
    def orders(self) -> int:
        """How many orders there are."""
        return round(ORDERS * self.share)

    @property
    def customers(self) -> int:
        """How many customers there are."""
        return round(CUSTOMERS * self.share)

    @property
    def assignments(self) -> int:
        """How many assignments there are: a main for each customer, and further representatives."""
        return round(ASSIGNMENTS * self.share)

    @property
    def lines(self) -> int:
        """How many lines there are."""
        return round(LINES * self.share)

    def write(self, folder: Path, name: str) -> Path:
        """Write the files of an organization of that name; return the mapping's path."""
        chance = random.Random(self.seed)  # noqa: S311 - the same each time
        members = [("1", "Olivia Owner", f"owner@{name}.example", "brand_manager")] + [
            (str(n), f"Rep {n}", f"rep{n}@{name}.example", "sales_representative")
            for n in range(2, REPRESENTATIVES + 2)
        ]
        _write(folder / "members.csv", ("id", "name", "email", "role"), members)
        _write(
            folder / "customers.csv",
            ("id", "name", "country", "city", "zip"),
            (
                (
                    str(12_346 + n),
                    f"Gift shop {n} of {_word(chance)}",
                    "GB",
                    _word(chance),
                    f"N{n % 99}",
                )
                for n in range(self.customers)
            ),
        )
        _write(
            folder / "assignments.csv",
            ("customer", "member", "relation", "since"),
            self._represented(),
        )
        sizes = self._sizes(chance)
        numbers = [str(536_365 + n) for n in range(len(sizes))]
        _write(
            folder / "orders.csv",
            ("number", "customer", "day"),
            (
                (
                    number,
                    str(12_346 + chance.randrange(self.customers)),
                    str(_FIRST_DAY + timedelta(days=n * _DAYS // len(sizes))),
                )
                for n, number in enumerate(numbers)
            ),
        )
        _write(
            folder / "lines.csv",
            ("number", "sku", "name", "pieces", "price"),
            _lines(chance, numbers, sizes),
        )
        mapping = folder / "mapping.yaml"
        mapping.write_text(MAPPING % name, "utf-8")
        return mapping

    def _represented(self) -> Iterator[tuple[str, str, str, str]]:
        for n in range(self.assignments):
            customer, turn = n % self.customers, n // self.customers
            member = 2 + (customer + turn) % REPRESENTATIVES
            yield (
                str(12_346 + customer),
                str(member),
                "additional" if turn else "main",
                "2020-01-01",
            )

    def _sizes(self, chance: random.Random) -> list[int]:
        """Return how many lines each order has: few have many, and one has the most."""
        weights = [chance.lognormvariate(0, 1.1) for _ in range(self.orders - 1)]
        wanted = self.lines - MOST_LINES
        scale = wanted / sum(weights)
        sizes = [max(1, min(MOST_LINES - 1, int(one * scale))) for one in weights]
        while (missing := wanted - sum(sizes)) != 0:
            for place in chance.sample(range(len(sizes)), min(abs(missing), len(sizes))):
                if missing > 0:
                    sizes[place] += 1
                elif sizes[place] > 1:
                    sizes[place] -= 1
        sizes.insert(len(sizes) // 2, MOST_LINES)
        return sizes


def _lines(
    chance: random.Random, numbers: Sequence[str], sizes: Sequence[int]
) -> Iterator[tuple[str, str, str, str, str]]:
    items = [
        (f"{n:05}{'ABC'[n % 3]}", f"{_word(chance)} {_word(chance)} {n}") for n in range(3_900)
    ]
    for number, size in zip(numbers, sizes, strict=True):
        for _ in range(size):
            sku, name = chance.choice(items)
            pieces, price = chance.choice((1, 2, 6, 12, 24, 48)), chance.randrange(20, 2_000)
            yield number, sku, name, str(pieces), f"{price / 100:.2f}"


def _word(chance: random.Random) -> str:
    syllables = ("ba", "do", "ke", "li", "mo", "na", "pe", "ri", "su", "ta")
    return "".join(chance.choice(syllables) for _ in range(chance.randrange(2, 5))).title()


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
