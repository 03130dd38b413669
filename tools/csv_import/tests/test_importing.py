"""Checking an import: every fault is told by file, line and column, before anything is loaded."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from bailiwick_csv_import import records
from bailiwick_csv_import.faults import MOST_SHOWN, Faults
from bailiwick_testkit.services.import_files import (
    ASSIGNMENTS,
    CUSTOMERS,
    LINES,
    MAPPING,
    MEMBERS,
    ORDERS,
    Checker,
)


def test_right_files_become_the_lines_that_services_take(checked: Checker) -> None:
    result = checked()

    assert result.faults == []
    assert result.founder == "1"
    staging = result.staging
    mia, sol = staging.get("members", "1"), staging.get("customers", "A")
    assert mia is not None
    assert sol is not None
    assert mia.body["email"] == "mia-nunez@alameda.example"
    assert records.customer_line("A", sol.body) == {
        "kind": "customer",
        "external_ref": "A",
        "name": "Sol",
        "addresses": [{"country": "ES"}],
        "created_at": "2020-02-28T23:00:00+00:00",
    }
    lines = [line.body for line in staging.lines("11")]
    order = staging.get("orders", "11")
    assert order is not None
    assert records.order_line("11", order.body, lines, lambda _, key: key, "EUR") == {
        "external_ref": "11",
        "customer_id": "B",
        "order_date": "2025-03-02",
        "currency": "EUR",
        "lines": [
            {
                "sku": "x",
                "name": "Wine",
                "quantity": "1.5",
                "unit_price": {"amount": "0.0001", "currency": "EUR"},
            }
        ],
    }


def test_a_customer_larger_than_the_service_takes_is_named(checked: Checker) -> None:
    contacts = "    name: shop\n    contacts:\n" + "      - {name: shop}\n" * 20
    mapping = MAPPING.replace("    name: shop\n", contacts)
    names = [f"C,{'💶' * 180},FR,\n", f"D,{'💶' * 199},FR,\n"]
    [fault] = checked({"customers.csv": CUSTOMERS + "".join(names)}, mapping).faults
    assert fault.startswith("customers.csv:5:shop: Shorten it, or leave out")


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(checked: Checker) -> None:
    windows = b"\xef\xbb\xbf" + CUSTOMERS.replace("\n", "\r\n").encode()
    assert checked({"customers.csv": windows}).faults == []


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("customers.csv", "", ["customers.csv:1: The first line has to name the columns"]),
        (
            "customers.csv",
            "code,shop\nA,Sol\n",
            [
                "customers.csv:1:country: The mapping needs this column; there are: code, shop",
                "customers.csv:1:since: The mapping needs this column; there are: code, shop",
            ],
        ),
        (
            "customers.csv",
            "code,shop,country,since,shop\n",
            ["customers.csv:1:shop: There are two columns of this name"],
        ),
        (
            "customers.csv",
            CUSTOMERS.encode().replace(b"Luna", b"L\xfana"),
            ["customers.csv:3: Byte 0xFA at 4 is not UTF-8; save the file as UTF-8"],
        ),
        (
            "customers.csv",
            CUSTOMERS.encode("utf-16"),
            ["customers.csv:1: This is UTF-16 or UTF-32; save the file as UTF-8"],
        ),
        (
            "customers.csv",
            CUSTOMERS.replace("Luna", "Lu\0na"),
            ["customers.csv:3: There is a NUL byte; save the file as text in UTF-8"],
        ),
        (
            "customers.csv",
            CUSTOMERS + 'C,"Mar,FR,\n',
            ["customers.csv:4: This is not CSV from here on: unexpected end of data"],
        ),
        (
            "customers.csv",
            'code,shop,country,since\nA,"So\nl",España,\nB,Luna,FR\n',
            [
                "customers.csv:2:shop: Remove the character U+000A",
                "customers.csv:4: This row has 3 cells, the header has 4",
            ],
        ),
        (
            "customers.csv",
            CUSTOMERS + "C,,Atlantis,yesterday\n",
            [
                "customers.csv:4:since: 'yesterday' is not a date; write it as 2026-01-31, or",
                "customers.csv:4:shop: This is empty",
                "customers.csv:4:country: Send at most 2 characters (here: 'Atlantis')",
            ],
        ),
        (
            "customers.csv",
            CUSTOMERS + "A,Mar,FR,\n,Mar,FR,\nC,Mar,UK,\nD,Mar,FR,2025-02-29\n",
            [
                "customers.csv:4:code: Line 2 has 'A' already",
                "customers.csv:5:code: This is empty, and it has to say which of customers it is",
                "customers.csv:6:country: Send a country as ISO 3166-1 alpha-2: ES",
                "customers.csv:7:since: '2025-02-29' is not a date; write it as 2026-01-31, or name",
            ],
        ),
        (
            "members.csv",
            MEMBERS + "4,mia nunez,rep\n5,Zoe,queen\n6,,rep\n",
            [
                "members.csv:5:name: Line 2 has this address already",
                "members.csv:6:title: Input should be 'brand_manager', 'sales_manager',",
                "members.csv:7:name: This is empty",
                "members.csv:7:name: This is empty",
            ],
        ),
        (
            "customers.csv",
            CUSTOMERS + "C,Mar,FR,0001-01-01\nD,Mar,FR,1899-12-31\nE,Mar,FR,0001-01-01T00:00:00Z\n",
            [
                "customers.csv:4:since: '0001-01-01' is too early; choose a date from 1900-01-01",
                "customers.csv:5:since: '1899-12-31' is too early; choose a date from 1900-01-01",
                "customers.csv:6:since: Send an instant from 1900-01-01T00:00:00Z to 9999-12-31T",
            ],
        ),
        (
            "members.csv",
            MEMBERS.replace("boss", "rep"),
            ["mapping.yaml:members: One of them has to be in the role that edits the"],
        ),
        (
            "assignments.csv",
            ASSIGNMENTS + "C,2,main,,\nA,9,main,,\nA,3,additional,,\nA,1,owner,,\nA,,main,,\n",
            [
                "assignments.csv:5:shop: There is no 'C' in customers.csv",
                "assignments.csv:6:who: There is no '9' in members.csv",
                "assignments.csv:7:who: 3 may not have customers in that role",
                "assignments.csv:8:how: Input should be 'main' or 'additional'",
                "assignments.csv:9:who: This is empty",
            ],
        ),
        (
            "assignments.csv",
            ASSIGNMENTS
            + "A,1,main,,\nB,2,additional,2025-06-01,\nA,1,additional,2025-01-01,2024-01-01\n",
            [
                "assignments.csv:7:to: This is not after the beginning",
                "assignments.csv:5:how: Line 2 names another main of this customer for the same time",
                "assignments.csv:6:who: Line 4 names the same member of this customer for the same",
            ],
        ),
        (
            "orders.csv",
            ORDERS + "12,Z,7,2025-01-01\n10,A,2,2025-03-01\n",
            [
                "orders.csv:4:shop: There is no 'Z' in customers.csv",
                "orders.csv:4:who: There is no '7' in members.csv",
                "orders.csv:4:num: The order 12 has no lines",
                "orders.csv:5:num: Line 2 has '10' already",
            ],
        ),
        (
            "orders.csv",
            "num,shop,who,day\n10,A,2,\n11,B,,2026-03-02\n",
            [
                "orders.csv:2:day: Say when the order was placed.",
                "orders.csv:3:day: Choose an instant that has passed.",
            ],
        ),
        (
            "lines.csv",
            LINES + '11,x,-1,1\n11,x,1,"1,5"\n99,x,1,1\n11,z,1,1\n11,x,1e3,-0.5\n',
            [
                "lines.csv:8:item: 'z' is not in items.csv",
                "lines.csv:5:qty: Input should be greater than 0",
                "lines.csv:6:price: Write a number with a point, 12.30, or name its decimal_mark",
                "lines.csv:9:qty: Write a number with a point, 12.30, or name its decimal_mark",
                "lines.csv:9:price: ",
                "lines.csv:7:num: There is no order 99",
            ],
        ),
        ("items.csv", "item,called\nx,Wine\nx,Beer\n", ["items.csv:3:item: 'x' is there twice"]),
    ],
)
def test_what_is_wrong_is_told_by_file_line_and_column(
    checked: Checker, file: str, content: str | bytes, expected: list[str]
) -> None:
    found = [fault for fault in checked({file: content}).faults if _is_about(fault, expected)]
    assert len(found) == len(expected), found
    for fault, start in zip(found, expected, strict=True):
        assert fault.startswith(start)


def _is_about(fault: str, expected: list[str]) -> bool:
    """Leave out what other files say because of what this one lacks."""
    return fault.partition(":")[0] in {one.partition(":")[0] for one in expected}


def test_a_file_that_is_missing_is_told_once(checked: Checker, tmp_path: Path) -> None:
    missing = MAPPING.replace("file: customers.csv", "file: clients.csv")
    assert checked(text=missing).faults == [
        "clients.csv: The file cannot be read: No such file or directory"
    ]


def test_the_first_faults_are_shown_and_the_rest_counted(checked: Checker) -> None:
    rows = "".join(f"{number},,ES,\n" for number in range(MOST_SHOWN + 50))
    result = checked({"customers.csv": CUSTOMERS + rows})
    assert (len(result.faults), result.count) == (MOST_SHOWN, MOST_SHOWN + 50)
    told: list[str] = []
    Faults(result.faults, result.count).tell(told.append)
    assert told[-1] == "… and 50 more"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"customer": {}},
            "mapping.yaml:customer: This is not known here; did you mean customers?",
        ),
        ({"source": "Big Source"}, "mapping.yaml:source: Use small letters"),
        ({"source": 7}, "mapping.yaml:source: Write 7 in quotes"),
        ({"members": None}, "mapping.yaml:members: Write pairs"),
        ({"organization": {"name": "A"}}, "mapping.yaml:organization.time_zone: This is missing"),
        (
            {"organization": {"name": "A", "time_zone": "Madrid", "currency": "EUR"}},
            "mapping.yaml:organization.time_zone: Write a zone",
        ),
        (
            {"organization": {"name": "A", "time_zone": "Europe/Madrid", "currency": "€"}},
            "mapping.yaml:organization.currency: Write a currency",
        ),
    ],
)
def test_a_wrong_mapping_is_told_by_the_name_in_it(
    checked: Checker, changes: dict[str, Any], expected: str
) -> None:
    result = checked(text=yaml.safe_dump({**yaml.safe_load(MAPPING), **changes}))
    assert any(fault.startswith(expected) for fault in result.faults), result.faults


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "name: shop",
            "nam: shop",
            "customers.fields.nam: This is not known here; did you mean name?",
        ),
        ("name: shop", "tags: shop", "customers.fields.name: This is missing"),
        ("name: shop", "name: {column: a, constant: b}", "customers.fields.name: Name exactly one"),
        ("name: shop", "name: {colum: a}", "customers.fields.name.colum: This is not known here"),
        ("name: shop", "name: no", "customers.fields.name: Write False in quotes"),
        ("name: shop", "name: [a]", "customers.fields.name: Write a column's name"),
        (
            "name: shop",
            'name: {template: "{shop|upside}"}',
            "customers.fields.name.template: upside",
        ),
        ("name: shop", 'name: {template: "{shop"}', "customers.fields.name.template: "),
        ("España: ES", "España: NO", "country.values.España: Write False in quotes"),
        ("file: customers.csv", "file: ../x.csv", "customers.file: Name a file inside"),
        ("key: code", "", "customers.key: This is missing"),
        ("role: {", "language: {", "members.fields: Add role or permissions"),
    ],
)
def test_a_wrong_field_is_told_by_its_path(
    checked: Checker, old: str, new: str, expected: str
) -> None:
    result = checked(text=MAPPING.replace(old, new, 1))
    assert any(expected in fault for fault in result.faults), result.faults


@pytest.mark.parametrize(
    "text", ["a: [", "", "- a", "!!python/object/apply:os.system [ls]", "\x01"]
)
def test_what_is_no_mapping_is_refused(checked: Checker, text: str) -> None:
    faults = checked(text=text).faults
    assert faults
    assert all(fault.startswith("mapping.yaml") for fault in faults)


def test_formats_of_other_places_are_read(checked: Checker) -> None:
    text = (
        MAPPING.replace("file: lines.csv", 'file: lines.csv\n    delimiter: ";"')
        .replace("unit_price: price", 'unit_price: {column: price, decimal_mark: ","}')
        .replace("order_date: day", "order_date: {column: day, date_format: '%d/%m/%Y'}")
    )
    result = checked(
        {
            "lines.csv": "num;item;qty;price\n10;x;1;2,50\n11;x;1;7\n",
            "orders.csv": "num,shop,who,day\n10,A,2,01/03/2025\n11,A,2,29/02/2024\n",
        },
        text,
    )
    assert result.faults == []
    order = result.staging.get("orders", "11")
    assert order is not None
    assert order.body["order_date"] == "2024-02-29"
    assert result.staging.lines("10")[0].body["unit_price"] == "2.50"


@pytest.mark.parametrize(
    ("zone", "since", "kept"),
    [
        ("Europe/Berlin", "1900-01-01", "1900-01-01T00:00:00+00:00"),
        ("Europe/Amsterdam", "1920-05-01", "1920-04-30T22:40:28+00:00"),
        ("America/Los_Angeles", "9999-12-31", "9999-12-31T00:00:00+00:00"),
        ("Asia/Tokyo", "9999-12-31", "9999-12-31T00:00:00+00:00"),
    ],
)
def test_a_day_at_the_edge_is_an_instant_that_the_services_take(
    checked: Checker, zone: str, since: str, kept: str
) -> None:
    text = MAPPING.replace("Europe/Madrid", zone)
    result = checked(
        {"customers.csv": f"code,shop,country,since\nA,Sol,FR,{since}\nB,Luna,FR,\n"}, text
    )
    assert result.faults == []
    customer = result.staging.get("customers", "A")
    assert customer is not None
    assert customer.body["created_at"] == kept


@pytest.mark.parametrize(
    "count",
    [40_000, pytest.param(200_000, marks=pytest.mark.slow)],
    ids=["40,000", "200,000"],
)
def test_many_rows_are_checked_in_bounded_memory_and_in_time_that_grows_no_faster_than_they_do(
    checked: Checker, tmp_path: Path, count: int
) -> None:
    few = count // 10
    began = time.process_time()
    _check_rows(checked, tmp_path, few, "before")
    for_few = time.process_time() - began
    began, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    _check_rows(checked, tmp_path, count, "")

    # Of this process alone, so that others on the machine make no difference.
    assert time.process_time() - began < 2.5 * count / few * for_few
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    assert grown < count // 4, f"{grown} KiB"


def _check_rows(checked: Checker, folder: Path, count: int, prefix: str) -> None:
    """Check so many lines, a hundred an order."""
    with (folder / "lines.csv").open("w") as file:
        file.write("num,item,qty,price\n")
        file.writelines(f"{prefix}{number // 100},x,1,2.50\n" for number in range(count))
    with (folder / "orders.csv").open("w") as file:
        file.write("num,shop,who,day\n")
        file.writelines(f"{prefix}{number},A,2,2025-03-01\n" for number in range(count // 100))
    result = checked({"lines.csv": None, "orders.csv": None})
    assert result.faults == []
    assert result.staging.count("orders") == count // 100


@pytest.mark.parametrize(("mode", "is_read"), [("permissions", True), ("", False)])
def test_a_member_who_may_do_nothing_yet_is_imported_by_mode(
    checked: Checker, mode: str, is_read: bool
) -> None:
    members = f"id,name,title,kind\n1,Mia,boss,role\n2,Ana,rep,\n3,Tom,,{mode}\n"
    text = MAPPING.replace("    role: {", "    mode: kind\n    role: {", 1)

    assert (checked({"members.csv": members}, text).faults == []) is is_read
