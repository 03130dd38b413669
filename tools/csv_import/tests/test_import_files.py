"""Files as people have them: what spreadsheets and other systems write is read, and nothing is guessed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bailiwick_csv_import import records
from bailiwick_kit.web.validation import where
from bailiwick_testkit.services import wrong_records
from bailiwick_testkit.services.import_files import MAPPING, Checker
from bailiwick_testkit.services.orders import a_line

PLAIN = "code,shop,country,since\nA,Sol,España,2020-02-29\nB,Luna,FR,\n"


@pytest.mark.parametrize(
    "content",
    [
        "code,shop,country,since,,\nA,Sol,España,2020-02-29,,\nB,Luna,FR,,,\n",
        "code,shop,country,since\nA,Sol,España,2020-02-29,,,\nB,Luna,FR,\n",
        "code,shop,,country,,since\nA,Sol,,España,,2020-02-29\nB,Luna,,FR,,\n",
        f"{PLAIN},,,\n,,,,,\n",
        f"sep=,\n{PLAIN}",
        "sep=;\n" + PLAIN.replace(",", ";"),
        '\ufeff"SEP=;"\r\n' + PLAIN.replace(",", ";").replace("\n", "\r\n"),
        "sep=\t\n" + PLAIN.replace(",", "\t"),
        PLAIN.replace("\n", "\r"),
        "\ufeff" + PLAIN.replace("\n", "\r"),
        "sep=;\r" + PLAIN.replace(",", ";").replace("\n", "\r"),
    ],
)
def test_what_spreadsheets_write_around_the_rows_changes_nothing(
    checked: Checker, content: str
) -> None:
    result = checked({"customers.csv": content.encode()})

    assert result.faults == []
    names = [customer.body["name"] for customer in result.staging.all("customers")]
    assert names == ["Sol", "Luna"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        # Cells that are missing, or too many, may be in the wrong columns: nothing is guessed.
        ("code,shop,country,since,,\nA,Sol,FR\n", "customers.csv:2: This row has 3 cells"),
        ("code,shop,country,since\nA,Sol,FR,,,x\n", "customers.csv:2: This row has 6 cells"),
        (",,,,\nA,Sol,FR,\n", "customers.csv:1: The first line has to name the columns"),
        ("sep=;\ncode;shop;country\n", "customers.csv:2:since: The mapping needs this column"),
        ("sep=;\ncode;shop;country;since\nA;;FR;\n", "customers.csv:3:shop: This is empty"),
        ("code,shop,country,since\rA,,FR,\r", "customers.csv:2:shop: This is empty"),
        (f'sep=,\n{PLAIN}C,"Mar,FR,\n', "customers.csv:5: This is not CSV from here on"),
    ],
)
def test_a_fault_behind_what_is_left_out_has_its_own_line(
    checked: Checker, content: str, expected: str
) -> None:
    faults = checked({"customers.csv": content.encode()}).faults
    assert any(fault.startswith(expected) for fault in faults), faults


@pytest.mark.parametrize(
    ("text", "mark", "thousands", "kept"),
    [
        ("1,234.56", "", "", "1234.56"),
        ("1,234,567", "", "", "1234567"),
        ("12,34,567.8", "", "", "1234567.8"),
        ("1 234.5", "", "", "1234.5"),
        ("1\u00a0234", "", "", "1234"),
        ("1'234'567.25", "", "", "1234567.25"),
        ("1.234,56", ",", "", "1234.56"),
        ("1.234.567", ",", "", "1234567"),
        ("1\u202f234,5", ",", "", "1234.5"),
        ("1,234", "", ",", "1234"),
        ("1.234", ",", ".", "1234"),
        ("1\u202f234", "", " ", "1234"),
        ("234", ",", ".", "234"),
        ("1.234", "", "", "1.234"),
    ],
)
def test_thousands_are_taken_where_they_are_named_or_beyond_doubt(
    checked: Checker, text: str, mark: str, thousands: str, kept: str
) -> None:
    assert _price(checked, text, mark, thousands) == kept


@pytest.mark.parametrize(
    ("text", "mark", "thousands", "said"),
    [
        ("1,234", "", "", "can be read in two ways; name its decimal_mark"),
        ("1.234", ",", "", "can be read in two ways; name its decimal_mark"),
        ("1.234,56", "", "", "Write a number with a point"),
        ("1,234.56", ",", "", "has a point, and the mapping says ','"),
        ("1,23.5", "", ",", "Write a number with a point"),
        ("1,2345", "", ",", "Write a number with a point"),
        ("1,234 567", "", "", "Write a number with a point"),
        ("1'234", "", ",", "and the mapping says ',' between thousands"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(
    checked: Checker, text: str, mark: str, thousands: str, said: str
) -> None:
    fault = _price(checked, text, mark, thousands)
    assert fault.startswith("lines.csv:2:price: ")
    assert said in fault


def _price(checked: Checker, text: str, mark: str, thousands: str) -> str:
    """Return how a price is staged, or the one fault that there is."""
    named = {"decimal_mark": mark, "thousands_separator": thousands}
    options = "".join(f', {name}: "{value}"' for name, value in named.items() if value)
    result = checked(
        {"lines.csv": f'num,item,qty,price\n10,x,1,"{text}"\n11,x,1,0\n'},
        MAPPING.replace("unit_price: price", f"unit_price: {{column: price{options}}}"),
    )
    if result.faults:
        [fault] = result.faults
        return fault
    return str(result.staging.lines("10")[0].body["unit_price"])


@pytest.mark.parametrize(("mark", "thousands"), [(",", ","), (".", "."), (".", "x"), (".", "  ")])
def test_a_separator_that_separates_no_thousands_is_refused(
    checked: Checker, mark: str, thousands: str
) -> None:
    options = f'decimal_mark: "{mark}", thousands_separator: "{thousands}"'
    text = MAPPING.replace("unit_price: price", f"unit_price: {{column: price, {options}}}")
    [fault] = checked(text=text).faults
    assert fault.startswith("mapping.yaml:orders.lines.fields.unit_price.thousands_separator: ")


@pytest.mark.parametrize("currency", ["HRK", "DEM", "BGN", "EUR", "ITL"])
def test_an_order_is_in_the_currency_of_its_time(checked: Checker, currency: str) -> None:
    orders = f"num,shop,who,day,money\n10,A,2,2001-03-01,{currency}\n11,B,,2025-03-02,\n"
    text = MAPPING.replace("order_date: day}", "order_date: day, currency: money}")
    assert checked({"orders.csv": orders}, text).faults == []


@pytest.mark.parametrize("currency", ["EURO", "eur", "XXY"])
def test_a_currency_that_never_was_is_told_once_and_in_its_own_column(
    checked: Checker, currency: str
) -> None:
    orders = f"num,shop,who,day,money\n10,A,2,2025-03-01,{currency}\n11,B,,2025-03-02,\n"
    text = MAPPING.replace("order_date: day}", "order_date: day, currency: money}")
    [fault] = checked({"orders.csv": orders}, text).faults
    assert fault.startswith("orders.csv:2:money: Send a currency as ISO 4217: EUR")


_LEFT = "id,name,title,since,until\n1,Mia,boss,,\n2,Ana,rep,2019-01-01,2023-01-01\n3,Bo,rep,,2022-01-01\n"
_WITH_DATES = MAPPING.replace(
    "    role: {", "    valid_from: since\n    valid_until: until\n    role: {", 1
)


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("B,2,main,2020-01-01,2022-12-01", None),
        ("B,2,main,2020-01-01,", None),
        ("B,2,main,2010-01-01,2011-01-01", None),
        ("B,3,main,2001-01-01,2002-01-01", None),
        ("B,2,main,2023-01-01,", "assignments.csv:2:from: 2 is no member when this begins"),
        ("B,3,main,,", "assignments.csv:2:from: 3 is no member when this begins"),
    ],
)
def test_members_who_have_left_are_history_with_the_customers_that_they_had(
    checked: Checker, assignment: str, said: str | None
) -> None:
    files = {
        "members.csv": _LEFT,
        "assignments.csv": f"shop,who,how,from,to\n{assignment}\n",
        "orders.csv": "num,shop,who,day\n10,A,2,2025-03-01\n11,B,3,2025-03-02\n",
    }
    result = checked(files, _WITH_DATES)

    assert [fault.startswith(said or "?") for fault in result.faults] == [True] * bool(said)
    assert result.founder == (None if said else "1")


@pytest.mark.parametrize(
    ("members", "said"),
    [
        (_LEFT.replace("2019-01-01", "2024-01-01"), "members.csv:3:until: Choose an instant after"),
        (
            _LEFT.replace("1,Mia,boss,,", "1,Mia,boss,,2023-01-01"),
            "mapping.yaml:members: One of them",
        ),
    ],
)
def test_a_membership_that_cannot_have_been_is_refused(
    checked: Checker, members: str, said: str
) -> None:
    faults = checked(
        {"members.csv": members, "assignments.csv": "shop,who,how,from,to\n"}, _WITH_DATES
    )
    assert faults.faults[0].startswith(said), faults.faults


@pytest.mark.parametrize(("changes", "said"), wrong_records.ORDERS)
def test_the_check_of_files_refuses_the_orders_that_the_service_refuses(
    changes: dict[str, Any], said: str
) -> None:
    line = {
        "external_ref": "1",
        "customer_id": records.NO_ID,
        "order_date": "2024-03-31",
        "lines": [a_line()],
    }
    assert _wrongs("orders", line) == []
    [first, *_] = _wrongs("orders", {**line, **changes})
    assert first.startswith(said)


def _wrongs(kind: str, line: dict[str, Any]) -> list[str]:
    models = records.Models("Alameda", "Europe/Madrid", "EUR", datetime.now(UTC))
    return [f"{where(one.location)}: {one.message}" for one in models.wrongs(kind, line)]
