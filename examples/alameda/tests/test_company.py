"""The sample company: the same for the same day, whole in itself, and readable by its own mapping."""

from __future__ import annotations

import csv
import io
from collections import Counter
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random

import pycountry
import pytest

from bailiwick_alameda import company
from bailiwick_csv_import import mapping
from bailiwick_csv_import.faults import Faults
from bailiwick_csv_import.fields import Build

TODAY = date(2026, 3, 2)
Rows = list[dict[str, str]]


def drawn(today: date = TODAY) -> dict[str, Rows]:
    files = company.files(today, lambda email: f"a password for {email}")
    return {
        name.removesuffix(".csv"): list(csv.DictReader(io.StringIO(text)))
        for name, text in files.items()
    }


def test_the_same_day_gives_the_same_files() -> None:
    assert company.files(TODAY, str.upper) == company.files(TODAY, str.upper)


def test_another_day_gives_the_same_company_at_other_dates() -> None:
    one, other = drawn(), drawn(TODAY + timedelta(days=100))
    assert [row["name"] for row in one["customers"]] == [row["name"] for row in other["customers"]]
    assert len(one["orders"]) == len(other["orders"])
    assert one["orders"] != other["orders"]


def test_it_is_of_the_size_that_is_told() -> None:
    rows = drawn()
    assert len(rows["members"]) == len({row["email"] for row in company.people()}) == 8
    assert len(rows["customers"]) == len({row["customer"] for row in rows["customers"]}) == 120
    assert len({row["name"] for row in rows["customers"]}) == 120
    assert 800 < len(rows["orders"]) < 1200


def test_names_are_spanish_french_and_english() -> None:
    names = [row["name"] for row in drawn()["customers"]]
    for words in ("Papelería ", "Papeterie ", " Stationers"):
        assert sum(words in name for name in names) > 3
    assert Counter(row["country"] for row in drawn()["customers"]) == {"ES": 54, "FR": 40, "UK": 26}
    assert sum(not name.isascii() for name in names) > 30


def test_portfolios_differ_and_some_customers_have_nobody() -> None:
    rows = drawn()
    now = [row for row in rows["assignments"] if not row["to"]]
    mains = Counter(row["member"] for row in now if row["relation"] == "main")
    assert mains == {"ana": 48, "bruno": 33, "grace": 21, "marta": 6, "owen": 3}
    assert Counter(row["member"] for row in now if row["relation"] == "additional") == {
        "bruno": 5,
        "ana": 6,
        "grace": 3,
    }
    assert 120 - mains.total() == 9
    assert sum(bool(row["to"]) for row in rows["assignments"]) == 10


def test_nobody_is_twice_main_and_nobody_main_and_additional() -> None:
    by_customer: dict[str, Rows] = {}
    for row in drawn()["assignments"]:
        by_customer.setdefault(row["customer"], []).append(row)
    for rows in by_customer.values():
        mains = sorted(
            (row["from"], row["to"] or "9999") for row in rows if row["relation"] == "main"
        )
        assert all(one[1] <= other[0] for one, other in pairwise(mains))
        besides = {row["member"] for row in rows if row["relation"] == "additional"}
        assert not besides & {row["member"] for row in rows if row["relation"] == "main"}


def test_what_is_named_is_there() -> None:
    rows = drawn()
    keys = {
        "member": {row["member"] for row in rows["members"]},
        "customer": {row["customer"] for row in rows["customers"]},
        "order": {row["order"] for row in rows["orders"]},
        "sku": {row["sku"] for row in rows["products"]},
    }
    for name in ("assignments", "orders", "order-lines"):
        for row in rows[name]:
            for key in keys.keys() & row.keys():
                # An order without a member came by the shop's own web page.
                assert row[key] in keys[key] or (name == "orders" and not row[key])
    assert {row["order"] for row in rows["order-lines"]} == keys["order"]


@pytest.mark.parametrize("today", [TODAY, date(2028, 2, 29), date(2027, 1, 1)])
def test_orders_are_of_the_year_up_to_yesterday(today: date) -> None:
    rows = drawn(today)
    since = {row["customer"]: row["since"] for row in rows["customers"]}
    days = [row["written"] for row in rows["orders"]]
    assert min(days) >= (today - timedelta(days=365)).isoformat()
    assert max(days) == (today - timedelta(days=1)).isoformat()
    assert all(row["written"] >= since[row["customer"]] for row in rows["orders"])


def test_states_and_currencies_are_mixed() -> None:
    rows = drawn()
    states = Counter(row["state"] for row in rows["orders"])
    assert states.keys() == {"draft", "placed", "confirmed", "fulfilled", "cancelled"}
    currencies = Counter(row["currency"] for row in rows["orders"])
    assert currencies["EUR"] > 5 * currencies["GBP"] > 0
    pending = {row["customer"] for row in rows["customers"] if row["status"] == "pending"}
    of_pending = {row["state"] for row in rows["orders"] if row["customer"] in pending}
    assert of_pending == {"draft"}
    assert all((row["state"] == "draft") == (not row["placed"]) for row in rows["orders"])


def test_its_mapping_reads_every_row(tmp_path: Path) -> None:
    for name, text in company.files(TODAY, str.upper).items():
        (tmp_path / name).write_text(text)
    faults = Faults()
    plan = mapping.read(company.MAPPING, tmp_path, faults)
    places = set()
    for section in (plan.members, plan.customers, plan.assignments, plan.orders):
        assert section is not None
        for row in section.table.rows(section.columns(), faults):
            build = Build(row.cells, plan.organization.zone)
            record = build.record(section.fields)
            assert not build.errors
            places |= {
                (one["country"], one["subdivision"].partition("-")[0])
                for one in record.get("addresses", ())
            }
    assert not faults.shown
    assert places == {("ES", "ES"), ("FR", "FR"), ("GB", "GB")}


def test_the_mapping_and_the_generator_agree_on_who_is_who(tmp_path: Path) -> None:
    faults = Faults()
    plan = mapping.read(company.MAPPING, tmp_path, faults)
    assert (plan.organization.name, plan.organization.time_zone) == (
        company.NAME,
        company.TIME_ZONE,
    )
    for person in company.people():
        record = Build({**person, "password": "…"}, plan.organization.zone).record(
            plan.members.fields
        )
        assert (record["name"], record["email"]) == (person["name"], person["email"])
        assert ("role" in record) != ("permissions" in record)


def test_towns_are_where_they_are_said_to_be() -> None:
    known = {part.code for part in pycountry.subdivisions}
    for country in ("ES", "FR", "UK"):
        for seed in range(30):
            shop = company.shop(Random(seed), country)  # noqa: S311 - a made-up shop
            assert shop["subdivision"] in known
