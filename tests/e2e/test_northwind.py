"""Northwind, imported by its mapping: who sees which customers, orders and figures, by the files alone."""

from __future__ import annotations

import csv
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from bailiwick_csv_import import importing
from bailiwick_csv_import.target import ImportStoppedError
from bailiwick_testkit.checks.northwind import MAPPING, Northwind, Row, northwind
from bailiwick_testkit.servers.stack import Client, Running

NET = {
    "Davolio": "192107.60",
    "Fuller": "166537.76",
    "Leverling": "202812.84",
    "Peacock": "232890.85",
    "Buchanan": "68792.28",
    "Suyama": "73913.13",
    "King": "124568.24",
    "Callahan": "126862.28",
    "Dodsworth": "77308.07",
}
"""What each employee sold, by the data's own README."""
ALL_NET = Decimal("1265793.04")
CENT, FOUR_PLACES = Decimal("0.01"), Decimal("0.0001")

Seen = tuple[str, str, Decimal, str]
"""An order as both the files and the API tell it: customer's name, date, net, state."""


def orders_net(files: Northwind) -> dict[str, Decimal]:
    nets: dict[str, Decimal] = {}
    for line in files.rows("order_lines"):
        gross = Decimal(line["quantity"]) * Decimal(line["unit_price"])
        net = (gross * (1 - Decimal(line["discount"]))).quantize(FOUR_PLACES, ROUND_HALF_UP)
        nets[line["order_id"]] = nets.get(line["order_id"], Decimal(0)) + net
    return nets


def told_by_files(files: Northwind, orders: list[dict[str, str]]) -> Counter[Seen]:
    nets, names = orders_net(files), files.names()
    return Counter(
        (
            names[one["customer_id"]],
            one["order_date"],
            nets[one["order_id"]],
            "fulfilled" if one["shipped_date"] else "placed",
        )
        for one in orders
    )


@dataclass(frozen=True)
class Company:
    """Northwind in the running stack: a client for each employee, by last name."""

    files: Northwind
    people: dict[str, Client]
    told: list[str]


def seen(orders: list[dict[str, Any]]) -> Counter[Seen]:
    return Counter(
        (
            one["customer"]["name"],
            one["order_date"],
            Decimal(one["net"]["amount"]),
            one["state"],
        )
        for one in orders
    )


@pytest.fixture(scope="module")
def files() -> Northwind:
    return northwind()


@pytest.fixture(scope="module")
def company(stack: Running, files: Northwind) -> Iterator[Company]:
    """Import the company once, and sign everybody in with the passwords that the import made up."""
    told: list[str] = []
    code = importing.run(stack.told(told), files.folder, MAPPING)
    assert code == 0, "\n".join(told)
    (made_up,) = stack.stack.places.folder("imports").glob("northwind-*-passwords.tsv")
    assert made_up.stat().st_mode & 0o777 == 0o600
    assert str(made_up) in told[-1]
    passwords = dict(line.split("\t") for line in made_up.read_text().splitlines())
    with ExitStack() as sessions:
        people = {
            one["last_name"]: sessions.enter_context(stack.signed_in(email, passwords[email]))
            for one in files.employees()
            if (email := f"{one['first_name']}.{one['last_name']}@northwind.example".lower())
        }
        yield Company(files, people, told)


def test_everything_is_there_and_sums_up(company: Company) -> None:
    fuller = company.people["Fuller"]
    orders = fuller.list("/v1/orders")
    assert fuller.count("/v1/customers") == len(fuller.list("/v1/customers")) == 91
    assert fuller.count("/v1/orders") == len(orders) == 830
    assert seen(orders) == told_by_files(company.files, company.files.rows("orders"))
    total = sum((Decimal(one["net"]["amount"]) for one in orders), Decimal(0))
    assert total.quantize(CENT, ROUND_HALF_UP) == ALL_NET
    assert {one["currency"] for one in orders} == {"USD"}


@pytest.mark.parametrize("name", sorted(NET))
def test_net_by_author_is_what_the_data_says(company: Company, name: str) -> None:
    names = {one["member_id"]: one["name"] for one in company.people["Fuller"].list("/v1/members")}
    assert len(names) == 9
    orders = [
        one
        for one in company.people["Fuller"].list("/v1/orders")
        if names[one["author_id"]].endswith(name)
    ]
    total = sum((Decimal(one["net"]["amount"]) for one in orders), Decimal(0))
    assert total.quantize(CENT, ROUND_HALF_UP) == Decimal(NET[name])
    assert all(one["placed_by"] == one["author_id"] for one in orders)


@pytest.mark.parametrize("name", ["Fuller", "Buchanan", "Callahan"])
def test_organization_wide_roles_see_all(company: Company, name: str) -> None:
    assert company.people[name].count("/v1/customers") == 91
    assert company.people[name].count("/v1/orders") == 830


def test_each_representative_sees_the_portfolio_and_nothing_else(company: Company) -> None:
    files, names = company.files, company.files.names()
    assert len(files.representatives()) == 6
    everything = {
        one["name"]: one["customer_id"] for one in company.people["Fuller"].list("/v1/customers")
    }
    for one in files.representatives():
        client, portfolio = company.people[one["last_name"]], files.portfolio(one["employee_id"])
        listed = client.list("/v1/customers")
        assert Counter(c["name"] for c in listed) == Counter(names[key] for key in portfolio)
        assert client.count("/v1/customers") == len(portfolio)
        mine = {names[key] for key in portfolio}
        for name, customer_id in everything.items():
            status = client.get(f"/v1/customers/{customer_id}").status_code
            assert status == (200 if name in mine else 404), (one["last_name"], name)


def test_each_representative_sees_orders_of_the_portfolio_and_what_they_wrote(
    company: Company,
) -> None:
    files, orders = company.files, company.files.rows("orders")
    elsewhere = 0
    for one in files.representatives():
        client, portfolio = company.people[one["last_name"]], files.portfolio(one["employee_id"])
        own = [o for o in orders if o["employee_id"] == one["employee_id"]]
        lost = [o for o in own if o["customer_id"] not in portfolio]
        expected = [o for o in orders if o["customer_id"] in portfolio] + lost
        listed = client.list("/v1/orders")
        assert seen(listed) == told_by_files(files, expected)
        assert client.count("/v1/orders") == len(expected)
        # Of a customer that they do not have they know the name that the order keeps, and no more.
        named = [o for o in listed if o["customer"].keys() == {"name"}]
        assert seen(named) == told_by_files(files, lost)
        elsewhere += len(lost)
    assert elsewhere == 146


def test_an_order_is_by_id_what_it_is_in_the_list(company: Company) -> None:
    everything = {one["order_id"] for one in company.people["Fuller"].list("/v1/orders")}
    client = company.people["Dodsworth"]
    mine = {one["order_id"] for one in client.list("/v1/orders")}
    assert 0 < len(mine) < len(everything)
    for order_id in sorted(everything)[::7]:
        status = client.get(f"/v1/orders/{order_id}").status_code
        assert status == (200 if order_id in mine else 404)


def test_customers_without_orders_are_nobodys(company: Company) -> None:
    unassigned = company.people["Fuller"].list("/v1/customers", unassigned=True)
    names = company.files.names()
    assert {one["name"] for one in unassigned} == {names["FISSA"], names["PARIS"]}
    assert company.people["Fuller"].count("/v1/customers", unassigned=True) == 2


@pytest.fixture(scope="module")
def figures(company: Company) -> Company:
    """Wait until reports has heard of all that was imported: it is built from events alone."""
    deadline = time.monotonic() + 90
    while (heard := total(company, "Fuller")) != company.files.sales()[()]:
        assert time.monotonic() < deadline, f"reports has heard of {heard}"
        time.sleep(0.25)
    return company


def report(company: Company, name: str, what: str, **query: Any) -> dict[str, Any]:
    answer = company.people[name].get(f"/v1/reports/{what}", **query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def figure(row: dict[str, Any]) -> Row:
    assert row["net"]["currency"] == row["currency"] == "USD"
    return row["orders"], int(Decimal(row["pieces"])), Decimal(row["net"]["amount"])


def total(company: Company, name: str) -> Row | None:
    totals = report(company, name, "sales")["totals"]
    return figure(totals[0]) if totals else None


def grouped(company: Company, name: str, *dimensions: str) -> dict[tuple[str, ...], Row]:
    """Give a sales report as the files tell it: by names, where something has a name."""
    rows = report(company, name, "sales", by=dimensions)["rows"]
    assert all([part["dimension"] for part in row["by"]] == list(dimensions) for row in rows)
    found = {tuple(part["label"] or part["value"] for part in row["by"]): row for row in rows}
    assert len(found) == len(rows)
    return {group: figure(row) for group, row in found.items()}


DIMENSIONS = [
    ("credited_to",),
    ("author",),
    ("customer",),
    ("country",),
    ("month",),
    ("day",),
    ("source",),
    ("month", "credited_to"),
    ("country", "customer"),
]


def test_sales_are_what_the_data_says_to_the_cent(figures: Company) -> None:
    by_employee = grouped(figures, "Fuller", "credited_to")
    assert {
        name.rpartition(" ")[2]: str(net.quantize(CENT, ROUND_HALF_UP))
        for (name,), (_, _, net) in by_employee.items()
    } == NET
    orders, _, net = total(figures, "Fuller") or (0, 0, Decimal(0))
    assert (orders, net.quantize(CENT, ROUND_HALF_UP)) == (830, ALL_NET)


@pytest.mark.parametrize("dimensions", DIMENSIONS, ids="-".join)
def test_sales_are_what_plain_sql_says(figures: Company, dimensions: tuple[str, ...]) -> None:
    expected = figures.files.sales(*dimensions)
    for name in ("Fuller", "Buchanan", "Callahan"):
        assert grouped(figures, name, *dimensions) == expected, name


@pytest.mark.parametrize("dimensions", DIMENSIONS, ids="-".join)
def test_each_representative_reads_figures_of_what_they_see_and_nothing_else(
    figures: Company, dimensions: tuple[str, ...]
) -> None:
    for one in figures.files.representatives():
        name = one["last_name"]
        assert total(figures, name) == figures.files.sales(of=one)[()]
        assert grouped(figures, name, *dimensions) == figures.files.sales(*dimensions, of=one), name


@pytest.mark.parametrize("name", ["Fuller", "Peacock", "Dodsworth"])
def test_every_figure_leads_to_the_orders_behind_it(figures: Company, name: str) -> None:
    client = figures.people[name]
    for dimension in ("credited_to", "country", "source"):
        for row in report(figures, name, "sales", by=dimension)["rows"]:
            linked = client.get(row["orders_link"].replace("/v1/orders?", "/v1/orders/count?"))
            assert linked.json() == {"count": row["orders"]}, row["by"]


def test_credit_is_what_one_wrote_whoever_has_the_customer_now(figures: Company) -> None:
    written = figures.files.sales("credited_to")
    for one in figures.files.representatives():
        (own,) = report(figures, one["last_name"], "credit")["totals"]
        assert figure(own) == written[(f"{one['first_name']} {one['last_name']}",)]


def test_the_team_adds_up_to_everything(figures: Company) -> None:
    team = report(figures, "Fuller", "team")
    credited = {
        one["member"]["name"].rpartition(" ")[2]: figure(one["credited"][0])
        for one in team["members"]
    }
    assert {
        name: str(net.quantize(CENT, ROUND_HALF_UP)) for name, (_, _, net) in credited.items()
    } == NET
    assert team["house"] == []
    assert team["coverage"] == {"approved": 91, "without_representative": 2}
    held = {one["member"]["name"]: one["customers_main"] for one in team["members"]}
    for one in figures.files.representatives():
        rows = figures.files.rows("assignments")
        mains = [
            r for r in rows if (r["employee_id"], r["relation"]) == (one["employee_id"], "main")
        ]
        assert held[f"{one['first_name']} {one['last_name']}"] == len(mains)


def test_a_second_import_changes_nothing(company: Company, stack: Running) -> None:
    fuller = company.people["Fuller"]
    before = [fuller.list(f"/v1/{what}") for what in ("members", "customers", "orders")]
    told: list[str] = []

    assert importing.run(stack.told(told), company.files.folder, MAPPING) == 0

    after = [fuller.list(f"/v1/{what}") for what in ("members", "customers", "orders")]
    assert after == before
    counts = {line.split()[0]: line.split()[1:] for line in told[-4:]}
    assert counts == {
        kind: ["0", "created", str(count), "unchanged"]
        for kind, count in (
            ("members", 9),
            ("customers", 91),
            ("assignments", 174),
            ("orders", 830),
        )
    }
    assert counted(company.told) == {
        "members": 9,
        "customers": 91,
        "assignments": 174,
        "orders": 830,
    }


def test_a_corrected_copy_is_told_of_by_line_and_taken_over_where_that_is_asked_for(
    company: Company, stack: Running, tmp_path: Path
) -> None:
    copy = tmp_path / "northwind"
    shutil.copytree(company.files.folder, copy)
    customers = (copy / "customers.csv").read_text("utf-8")
    (copy / "customers.csv").write_text(
        customers.replace("Ana Trujillo Emparedados", "Ana Trujillo Panes"), "utf-8"
    )
    fuller = company.people["Fuller"]

    def imported(folder: Path, *, update: bool) -> list[str]:
        told: list[str] = []
        assert importing.run(stack.told(told), folder, MAPPING, update=update) == 0
        return told

    def names() -> set[str]:
        found = fuller.list("/v1/customers", text="trujillo")
        return {one["name"] for one in found}

    before = names()
    told = imported(copy, update=False)
    assert "customers.csv:3: This row has changed since it was imported" in told
    assert "1 different" in next(line for line in told if line.startswith("customers "))
    assert names() == before == {"Ana Trujillo Emparedados y helados"}
    told = imported(copy, update=True)
    assert "1 updated" in next(line for line in told if line.startswith("customers "))
    assert names() == {"Ana Trujillo Panes y helados"}
    imported(company.files.folder, update=True)
    assert names() == before


def counted(told: list[str]) -> dict[str, int]:
    """Return how many of each kind an import says it has made."""
    words = [line.split() for line in told]
    return {one[0]: int(one[1]) for one in words if one[2:3] == ["created"]}


def test_a_broken_copy_loads_nothing_and_is_told_by_file_line_and_column(
    company: Company, stack: Running, tmp_path: Path
) -> None:
    copy = tmp_path / "northwind"
    shutil.copytree(company.files.folder, copy)
    added = "NEWCO,New Company,Somebody,Owner,1 Street,Town,,12345,Spain,1,\n"
    with (copy / "customers.csv").open("a", encoding="utf-8") as file:
        file.write(added)
    lines = (copy / "order_lines.csv").read_text("utf-8").splitlines(keepends=True)
    order_id, product, price, _, discount = lines[99].split(",")
    lines[99] = f"{order_id},{product},{price},-3,{discount}"
    (copy / "order_lines.csv").write_text("".join(lines), "utf-8")
    with (copy / "assignments.csv").open("a", encoding="utf-8") as file:
        file.write("NEWCO,5,main\nNEWCO,1,main\nNOBODY,1,main\n")
    told: list[str] = []

    assert importing.run(stack.told(told), copy, MAPPING) == 1

    faults = [line for line in told if line.partition(":")[0].endswith(".csv")]
    assert [fault.split(": ")[0] for fault in faults] == [
        "assignments.csv:178:customer_id",
        "assignments.csv:177:relation",
        "order_lines.csv:100:quantity",
    ]
    assert told[-1] == "3 things are wrong; nothing was loaded"
    assert company.people["Fuller"].count("/v1/customers") == 91


def test_what_a_service_refuses_after_all_is_told_by_file_and_line(
    company: Company, stack: Running, tmp_path: Path
) -> None:
    fuller, dodsworth = (company.files.employees()[place] for place in (1, 8))
    with (tmp_path / "employees.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fuller.keys())
        writer.writeheader()
        # The same person by another key: only identity can know.
        writer.writerows([fuller, {**dodsworth, "employee_id": "19"}])
    plan = {
        name: section
        for name, section in yaml.safe_load(MAPPING.read_text("utf-8")).items()
        if name in {"source", "organization", "members"}
    }
    (tmp_path / "mapping.yaml").write_text(yaml.safe_dump(plan), "utf-8")
    told: list[str] = []

    with pytest.raises(
        ImportStoppedError, match=r"employees\.csv:3: .*\n.*run the same import again"
    ):
        importing.run(stack.told(told), tmp_path, tmp_path / "mapping.yaml")

    assert len(company.people["Fuller"].list("/v1/members")) == 9
