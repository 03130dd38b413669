"""Northwind's files, and what follows from them by SQL alone: no code of ours takes part in the figures."""

from __future__ import annotations

import csv
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from bailiwick_launcher.data_folder import CHECKOUT

MAPPING = CHECKOUT / "tests" / "northwind" / "mapping.yaml"
_FOUR_PLACES = 10_000

Row = tuple[int, int, Decimal]
"""Orders, pieces, net."""

_TABLES = """
CREATE TABLE sold (customer TEXT, name TEXT, country TEXT, employee TEXT, person TEXT, day TEXT,
                   pieces INTEGER, net INTEGER);
CREATE TABLE held (customer TEXT, employee TEXT);
CREATE TABLE lines (order_id TEXT, quantity INTEGER, price INTEGER, discount INTEGER);
CREATE TABLE orders (order_id TEXT, customer TEXT, employee TEXT, day TEXT);
CREATE TABLE customers (customer TEXT, name TEXT, country TEXT);
CREATE TABLE employees (employee TEXT, person TEXT);
"""
# Whole numbers throughout: a price and a discount have four places, so a product of them has eight.
_SOLD = """
INSERT INTO sold
SELECT customer, name, country, employee, person, day, sum(quantity),
       sum((quantity * price * (10000 - discount) + 5000) / 10000)
FROM lines JOIN orders USING (order_id) JOIN customers USING (customer)
     JOIN employees USING (employee)
GROUP BY order_id
"""
_DIMENSIONS = {
    "day": "day",
    "month": "substr(day, 1, 7)",
    "source": "'import'",
    "customer": "CASE WHEN {knows} THEN name ELSE 'former' END",
    "country": "CASE WHEN {knows} THEN country ELSE 'former' END",
    "author": "CASE WHEN {tells} THEN person ELSE 'others' END",
    "credited_to": "CASE WHEN {tells} THEN person ELSE 'others' END",
}
_HELD = "customer IN (SELECT customer FROM held WHERE employee = :who)"


@dataclass(frozen=True)
class Northwind:
    """The folder of CSV files."""

    folder: Path

    def rows(self, name: str) -> list[dict[str, str]]:
        """Return the rows of a file."""
        with (self.folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def names(self) -> dict[str, str]:
        """Return customers' names as we keep them: what a name begins and ends with is not kept."""
        return {one["customer_id"]: one["company_name"].strip() for one in self.rows("customers")}

    def employees(self) -> list[dict[str, str]]:
        """Return all employees."""
        return self.rows("employees")

    def representatives(self) -> list[dict[str, str]]:
        """Return those who have a portfolio."""
        return [one for one in self.employees() if one["title"] == "Sales Representative"]

    def portfolio(self, employee_id: str) -> set[str]:
        """Return the customers that an employee is main or additional for."""
        rows = self.rows("assignments")
        return {one["customer_id"] for one in rows if one["employee_id"] == employee_id}

    def sales(
        self, *dimensions: str, of: dict[str, str] | None = None
    ) -> dict[tuple[str, ...], Row]:
        """Return the figures by these dimensions: all, or those that one representative may view.

        A representative views the orders of their portfolio and those that they wrote (V5); of another
        one's customer they know no more than that there was one, and colleagues are `others`.
        """
        what = ", ".join(_DIMENSIONS[dimension] for dimension in dimensions)
        sees = f"{_HELD} OR employee = :who" if of else "1"
        groups = f"GROUP BY {what}" if dimensions else ""
        statement = f"SELECT count(*), sum(pieces), sum(net){', ' * bool(what)}{what} FROM sold WHERE {sees} {groups}"  # noqa: E501, S608 - all of it is above
        filled = statement.format(
            knows=_HELD if of else "1", tells="employee = :who" if of else "1"
        )
        found: Sequence[tuple[int, int, int, *tuple[str, ...]]] = self._database.execute(
            filled, {"who": (of or {}).get("employee_id")}
        ).fetchall()
        return {
            tuple(group): (orders, pieces, Decimal(net) / _FOUR_PLACES)
            for orders, pieces, net, *group in found
        }

    @cached_property
    def _database(self) -> sqlite3.Connection:
        database = sqlite3.connect(":memory:")
        database.executescript(_TABLES)
        codes = yaml.safe_load(MAPPING.read_text("utf-8"))["customers"]["fields"]["addresses"][0]
        countries = codes["country"]["values"]
        tables: dict[str, list[tuple[Any, ...]]] = {
            "lines": [
                (
                    one["order_id"],
                    int(one["quantity"]),
                    _whole(one["unit_price"]),
                    _whole(one["discount"]),
                )
                for one in self.rows("order_lines")
            ],
            "orders": [
                (one["order_id"], one["customer_id"], one["employee_id"], one["order_date"])
                for one in self.rows("orders")
            ],
            "customers": [
                (one["customer_id"], one["company_name"].strip(), countries[one["country"]])
                for one in self.rows("customers")
            ],
            "employees": [
                (one["employee_id"], f"{one['first_name']} {one['last_name']}")
                for one in self.employees()
            ],
            "held": [(one["customer_id"], one["employee_id"]) for one in self.rows("assignments")],
        }
        for name, rows in tables.items():
            marks = ", ".join("?" * len(rows[0]))
            database.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)  # noqa: S608
        database.execute(_SOLD)
        return database


def northwind() -> Northwind:
    """Return Northwind's files, from the folder that BAILIWICK_NORTHWIND names or beside the checkout.

    Raises:
        FileNotFoundError: they are not there; with what to do.
    """
    given = os.environ.get("BAILIWICK_NORTHWIND")
    folder = Path(given) if given else CHECKOUT.parent / "shared" / "data" / "northwind"
    if not (folder / "orders.csv").is_file():
        raise FileNotFoundError(
            f"Northwind's CSV files are not in {folder}. Put them there, or name their folder in"
            " BAILIWICK_NORTHWIND."
        )
    return Northwind(folder)


def _whole(amount: str) -> int:
    return int(Decimal(amount) * _FOUR_PLACES)
