"""A year of a real wholesaler is imported at the first try, and is there."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bailiwick_csv_import import importing
from bailiwick_testkit.checks.real_year import Year
from bailiwick_testkit.servers.stack import Running


@pytest.mark.slow
def test_a_real_year_is_imported_at_the_first_try(stack: Running, tmp_path: Path) -> None:
    year = Year()
    mapping = year.write(tmp_path, "year")
    told: list[str] = []
    began = time.monotonic()

    assert importing.run(stack.told(told), tmp_path, mapping) == 0

    took = time.monotonic() - began
    print(f"\n{year.lines:,} lines in {took:.0f} s", *told, sep="\n")  # noqa: T201 - what it took is a figure
    counts = dict(line.split()[:2] for line in told if line.split()[2:3] == ["created"])
    expected = {"customers": year.customers, "assignments": year.assignments, "orders": year.orders}
    assert {kind: int(counts[kind].replace(",", "")) for kind in expected} == expected
    (made_up,) = stack.stack.places.folder("imports").glob("year-*-passwords.tsv")
    passwords = dict(line.split("\t") for line in made_up.read_text().splitlines())
    email = "owner@year.example"
    with stack.signed_in(email, passwords[email]) as owner:
        assert owner.count("/v1/orders") == year.orders
        assert owner.count("/v1/customers") == year.customers
