"""Draws the sample company's files: eight people, 120 customers and their orders of the last year.

The same day gives the same files, to the byte; another day gives the same company with other dates.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import yaml

from bailiwick_csv_import.fields import plain

NAME, DOMAIN, TIME_ZONE = "Alameda", "alameda.example", "Europe/Madrid"
_HERE = Path(__file__).parent
MAPPING = _HERE.parents[1] / "mapping.yaml"
"""How `./bailiwick import` reads the files."""
_SEED = 20
_HANDED_OVER = 130
"""Days ago at which some customers changed hands."""
_PORTFOLIOS: Mapping[str, Mapping[str, int]] = {
    "ES": {"ana": 46, "marta": 4, "": 4},
    "FR": {"bruno": 33, "ana": 2, "marta": 2, "": 3},
    "UK": {"grace": 21, "owen": 3, "": 2},
}
"""By country: how many customers each is the main representative of; nobody has the last ones."""
_BESIDES = (("ana", "bruno", 5), ("bruno", "ana", 6), ("bruno", "grace", 3))
"""So many customers of the first have the second as an additional representative."""
_BEFORE = (("ana", "grace", 6), ("bruno", "ana", 4))
"""So many customers of the first were the second's until they were handed over."""
_STATUSES = {17: "suspended", 58: "suspended", 101: "suspended", 9: "pending", 66: "pending"}

Row = dict[str, str]


@dataclass(frozen=True)
class _Customer:
    """A customer while its orders are drawn."""

    row: Row
    main: str
    before: str

    def representative(self, on: date, handed_over: date) -> str:
        """Give who had the customer on a day, "" if nobody."""
        return self.before if self.before and on < handed_over else self.main


def files(today: date, password: Callable[[str], str]) -> dict[str, str]:
    """Give the files by name; `password` gives the one for an e-mail address."""
    random = Random(_SEED)  # noqa: S311 - a sample, not a secret
    customers = _customers(random, today)
    orders, lines = _orders(random, today, customers)
    tables = {
        "members": _members(password),
        "customers": [customer.row for customer in customers],
        "assignments": list(_assignments(customers, today)),
        "products": _read("products"),
        "orders": orders,
        "order-lines": lines,
    }
    return {f"{name}.csv": _csv(rows) for name, rows in tables.items()}


def people() -> list[Row]:
    """Give the members, the brand manager first, with their names and addresses."""
    return [
        row
        | {
            "name": f"{row['first_name']} {row['last_name']}",
            "email": f"{plain(row['first_name'])}@{DOMAIN}",
        }
        for row in _read("members")
    ]


def shop(random: Random, country: str) -> Row:
    """Draw a shop that is not among the sample's customers: name, contact, address."""
    words = _words()[country]
    name = random.choice(words["new"]).format(random.choice(words["words"]))
    return _shop(random, country, name)


def _shop(random: Random, country: str, name: str) -> Row:
    words = _words()[country]
    town = random.choice([town for town in _read("towns") if town["country"] == country])
    contact = f"{random.choice(words['first'])} {random.choice(words['last'])}"
    return {
        "name": name,
        "contact": contact,
        "email": f"{plain(contact.split(maxsplit=1)[0])}@{plain(name)}.example",
        "phone": words["phone"].format(random.randint(100, 999)),
        **town,
        "street": f"{town['street']} {random.randint(1, 80)}",
    }


def _members(password: Callable[[str], str]) -> list[Row]:
    by_member = {one["member"]: one["email"] for one in people()}
    return [row | {"password": password(by_member[row["member"]])} for row in _read("members")]


def _customers(random: Random, today: date) -> list[_Customer]:
    drawn: list[_Customer] = []
    for country, portfolios in _PORTFOLIOS.items():
        words = _words()[country]
        names = [shop.format(word) for shop in words["shops"] for word in words["words"]]
        mains = [main for main, count in portfolios.items() for _ in range(count)]
        for main, name in zip(mains, random.sample(names, len(mains)), strict=True):
            status = _STATUSES.get(len(drawn), "approved")
            age = random.randint(200, 900) if status != "pending" else random.randint(3, 12)
            row = {
                "customer": f"A{len(drawn) + 1:03}",
                **_shop(random, country, name),
                "since": (today - timedelta(days=age)).isoformat(),
                "status": status,
                "price_list": "export" if country == "UK" else "retail",
                "discount": random.choice(["", "", "0.03", "0.05"]),
                "payment": random.choice(["transfer", "direct-debit", "card"]),
            }
            drawn.append(_Customer(row, main, ""))
    for main, before, count in _BEFORE:
        for customer in _some(drawn, main, count, last=True):
            drawn[drawn.index(customer)] = _Customer(customer.row, main, before)
    return drawn


def _assignments(customers: list[_Customer], today: date) -> Iterable[Row]:
    handed_over = (today - timedelta(days=_HANDED_OVER)).isoformat()

    def row(customer: _Customer, member: str, relation: str, begin: str, end: str = "") -> Row:
        known = {"customer": customer.row["customer"], "member": member, "relation": relation}
        return known | {"from": begin, "to": end}

    for customer in customers:
        begin = customer.row["since"]
        if customer.before:
            yield row(customer, customer.before, "main", begin, handed_over)
            begin = handed_over
        if customer.main:
            yield row(customer, customer.main, "main", begin)
    for main, besides, count in _BESIDES:
        for customer in _some(customers, main, count):
            yield row(customer, besides, "additional", customer.row["since"])


def _some(
    customers: list[_Customer], main: str, count: int, *, last: bool = False
) -> list[_Customer]:
    theirs = [customer for customer in customers if customer.main == main]
    return theirs[-count:] if last else theirs[:count]


def _orders(random: Random, today: date, customers: list[_Customer]) -> tuple[list[Row], list[Row]]:
    orders: list[Row] = []
    for customer in customers:
        count = random.randint(2, 14) if customer.row["status"] != "pending" else 1
        orders += [_order(random, today, customer) for _ in range(count)]
    orders.sort(key=lambda order: order["written"])
    lines: list[Row] = []
    for number, order in enumerate(orders, start=1):
        order["order"] = f"{number:04}"
        lines += [{"order": order["order"], **line} for line in _lines(random)]
    return orders, lines


def _order(random: Random, today: date, customer: _Customer) -> Row:
    earliest = min(365, (today - date.fromisoformat(customer.row["since"])).days)
    day = today - timedelta(days=random.randint(1, earliest))
    state = _state(random, (today - day).days, customer.row["status"])
    had = customer.representative(day, today - timedelta(days=_HANDED_OVER))
    author = random.choice([had, had, had, "", "", random.choice(["claire", "owen", "tomas"])])
    pounds = customer.row["country"] == "UK" and int(customer.row["customer"][1:]) % 3 == 0
    return {
        "order": "",
        "customer": customer.row["customer"],
        "member": author or ("claire" if state == "draft" else ""),
        "written": day.isoformat(),
        "placed": "" if state == "draft" else day.isoformat(),
        "state": state,
        "currency": "GBP" if pounds else "EUR",
    }


def _state(random: Random, age: int, status: str) -> str:
    if status == "pending":
        return "draft"
    chance = random.random()
    if chance < 0.04:  # noqa: PLR2004 - one in twenty-five
        return "cancelled"
    for days, state in ((4, "placed"), (14, "confirmed")):
        if age <= days:
            return state
    return "draft" if age < 30 and chance > 0.8 else "fulfilled"  # noqa: PLR2004 - a few


def _lines(random: Random) -> list[Row]:
    chosen = random.sample(_read("products"), random.randint(1, 6))
    return [
        {
            "sku": product["sku"],
            "quantity": str(random.choice([1, 2, 3, 5, 6, 10, 12, 24])),
            "unit_price": product["price"],
            "discount": random.choice(["", "", "", "0.05", "0.1"]),
        }
        for product in chosen
    ]


@cache
def _words() -> dict[str, dict[str, Any]]:
    words: dict[str, dict[str, Any]] = yaml.safe_load((_HERE / "words.yaml").read_text("utf-8"))
    return words


@cache
def _read(name: str) -> list[Row]:
    with (_HERE / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _csv(rows: list[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
