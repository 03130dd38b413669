"""What an order counts for, and how far it moves the cube."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import UUID, uuid4

from bailiwick_reports.store.cube import contribution, moves
from bailiwick_reports.store.tables import HOUSE
from bailiwick_testkit.fakes.orders import A_DAY, MadeUpOrders, a_line

CUSTOMER, ANA, ORG = uuid4(), uuid4(), uuid4()


def test_it_is_the_whole_key_with_the_pieces_of_all_lines_and_the_event_s_net() -> None:
    orders = MadeUpOrders(ORG)
    lines = [a_line("1.5", "3.00"), a_line("2.25", "0.0001")]
    order_id = orders.placed(CUSTOMER, ANA, ANA, currency="GBP", source="visit", lines=lines)
    assert contribution(orders.told[-1]) == {
        "org_id": ORG,
        "order_id": order_id,
        "customer_id": CUSTOMER,
        "author_id": ANA,
        "author_keeps_view": True,
        "credited_to": ANA,
        "source": "visit",
        "order_date": A_DAY,
        "currency": "GBP",
        "state": "placed",
        "pieces": Decimal("3.75"),
        "net": Decimal("3.0001"),
        "version": 1,
    }


def test_what_nobody_is_credited_for_is_the_house_s() -> None:
    orders = MadeUpOrders(ORG)
    orders.placed(CUSTOMER, ANA, None)
    assert contribution(orders.told[-1])["credited_to"] == HOUSE == UUID(int=0)


def test_a_first_event_puts_in_a_repeated_one_changes_nothing() -> None:
    orders = MadeUpOrders(ORG)
    orders.placed(CUSTOMER, ANA, None)
    row = contribution(orders.told[-1])
    assert list(moves({}, row).values()) == [(1, Decimal(2), Decimal("20.00"))]
    assert moves(row, row) == {}


def test_an_edit_moves_within_a_cell_by_what_is_new() -> None:
    orders = MadeUpOrders(ORG)
    order_id = orders.placed(CUSTOMER, ANA, ANA)
    orders.edit(order_id, a_line("5", "12.50"))
    before, after = map(contribution, orders.told)
    assert list(moves(before, after).values()) == [(0, Decimal(3), Decimal("-7.50"))]


def test_a_new_state_moves_all_of_it_from_one_cell_to_another() -> None:
    orders = MadeUpOrders(ORG)
    order_id = orders.placed(CUSTOMER, ANA, ANA)
    orders.edit(order_id, a_line("5", "12.50"))
    orders.cancel(order_id)
    before, _, after = map(contribution, orders.told)
    moved = {cell[-1]: figures for cell, figures in moves(before, after).items()}
    assert moved == {
        "placed": (-1, Decimal(-2), Decimal("-20.00")),
        "cancelled": (1, Decimal(5), Decimal("12.50")),
    }


def test_what_has_no_date_moves_nothing_until_it_is_placed() -> None:
    orders = MadeUpOrders(ORG)
    order_id = orders.draft(CUSTOMER, ANA)
    orders.edit(order_id, a_line("5", "12.50"))
    orders.place(order_id, ANA, date(2026, 2, 28))
    first, second, placed = map(contribution, orders.told)
    assert moves({}, first) == moves(first, second) == {}
    assert list(moves(second, placed).values()) == [(1, Decimal(5), Decimal("12.50"))]


def test_an_order_without_pieces_or_net_still_counts_as_one() -> None:
    orders = MadeUpOrders(ORG)
    orders.placed(CUSTOMER, ANA, ANA, lines=[])
    row = contribution(orders.told[-1])
    assert list(moves({}, row).values()) == [(1, Decimal(0), Decimal(0))]
