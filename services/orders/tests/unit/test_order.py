"""What an order comes to, and the states that it goes through."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import uuid4

import pytest

from bailiwick_orders.domain.customer import Customer
from bailiwick_orders.domain.errors import (
    AmountTooLarge,
    CustomerStateForbids,
    OrderStateForbids,
    OtherCurrency,
)
from bailiwick_orders.domain.order import (
    NUMBER_ALPHABET,
    Line,
    Order,
    Source,
    State,
    check_amounts,
    check_currency,
    random_number,
)

NOW = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)


def a_line(quantity: str = "1", price: str = "1", discount: str = "0") -> Line:
    return Line("A", "A", Decimal(quantity), Decimal(price), Decimal(discount))


def an_order(state: State = State.DRAFT) -> Order:
    return Order(
        org_id=uuid4(),
        order_id=uuid4(),
        number="BCDFGHJK",
        customer_id=uuid4(),
        customer_name="Sol",
        author_id=uuid4(),
        source=Source.PHONE,
        currency="EUR",
        lines=(a_line(),),
        listed_at=NOW,
        state=state,
    )


def a_customer(status: str = "approved") -> Customer:
    return Customer(uuid4(), uuid4(), "Sol Nueva", status, uuid4())


def placed(order: Order, status: str = "approved") -> Order:
    return order.placed(
        a_customer(status),
        by=uuid4(),
        at=NOW,
        time_zone="Europe/Madrid",
        credited_to=None,
        author_represents=False,
    )


@pytest.mark.parametrize(
    ("quantity", "price", "discount", "net"),
    [
        ("2", "10.00", "0", "20.0000"),
        ("3", "0.3333", "0.05", "0.9499"),
        ("1", "0.0001", "0.5", "0.0001"),
        ("1", "0.0003", "0.5", "0.0002"),
        ("1", "0.0001", "0.5001", "0.0000"),
        ("99999999999999.9999", "99999999999999.9999", "1", "0.0000"),
    ],
)
def test_a_net_has_four_decimals_half_up(
    quantity: str, price: str, discount: str, net: str
) -> None:
    assert str(a_line(quantity, price, discount).net) == net


def test_a_product_of_forty_digits_is_exact() -> None:
    line = a_line("99999999999999.9999", "99999999999999.9999")
    assert line.net == Decimal("9999999999999999980000000000.0000")


def test_amounts_that_cannot_be_kept_are_refused_and_the_line_named() -> None:
    largest = a_line("1", "99999999999999.9999")
    check_amounts([largest])
    with pytest.raises(AmountTooLarge) as refused:
        check_amounts([largest, a_line("1", "0.0001")])
    assert refused.value.faults[0].where == "lines[1]"


def test_an_order_has_one_currency() -> None:
    check_currency("EUR", "EUR")
    with pytest.raises(OtherCurrency):
        check_currency("EUR", "USD")


def test_a_placed_order_is_dated_in_the_organizations_zone_and_keeps_the_name() -> None:
    order = placed(an_order())
    assert order.order_date == date(2026, 2, 1)
    assert (order.state, order.placed_at, order.customer_name) == (State.PLACED, NOW, "Sol Nueva")


@pytest.mark.parametrize("status", ["pending", "suspended"])
def test_placing_needs_an_approved_customer(status: str) -> None:
    with pytest.raises(CustomerStateForbids):
        placed(an_order(), status)


_STEPS: dict[str, Callable[[Order], Order]] = {
    "place": placed,
    "edit": lambda order: order.edited(a_customer(), None, "note"),
    "confirm": lambda order: order.confirmed(a_customer()),
    "fulfil": Order.fulfilled,
    "cancel": Order.cancelled,
}
_ALLOWED = {
    "place": {State.DRAFT},
    "edit": {State.DRAFT, State.PLACED, State.CONFIRMED},
    "confirm": {State.PLACED},
    "fulfil": {State.CONFIRMED},
    "cancel": {State.DRAFT, State.PLACED, State.CONFIRMED},
}


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("step", list(_STEPS))
def test_each_step_is_taken_from_its_states_only(step: str, state: State) -> None:
    if state in _ALLOWED[step]:
        assert _STEPS[step](an_order(state)).state is not None
    else:
        with pytest.raises(OrderStateForbids, match=state):
            _STEPS[step](an_order(state))


@pytest.mark.parametrize("author_places", [True, False])
@pytest.mark.parametrize("author_represents", [True, False])
def test_authors_keep_the_view_of_what_they_placed_or_was_placed_in_their_time(
    author_places: bool, author_represents: bool
) -> None:
    draft = an_order()
    assert not draft.author_keeps_view
    assert not draft.cancelled().author_keeps_view
    order = draft.placed(
        a_customer(),
        by=draft.author_id if author_places else uuid4(),
        at=NOW,
        time_zone="Europe/Madrid",
        credited_to=None,
        author_represents=author_represents,
    )
    assert order.author_keeps_view == (author_places or author_represents)
    assert order.cancelled().author_keeps_view == order.author_keeps_view


@pytest.mark.parametrize("state", [State.PLACED, State.CONFIRMED])
@pytest.mark.parametrize("status", ["suspended", "approved", "pending"])
@pytest.mark.parametrize(
    ("quantity", "raises"), [("0.9999", False), ("1", False), ("1.0001", True)]
)
def test_what_a_suspended_customer_pays_is_lowered_and_not_raised(
    state: State, status: str, quantity: str, raises: bool
) -> None:
    order, lines = an_order(state), (a_line(quantity),)
    if raises and status == "suspended":
        with pytest.raises(CustomerStateForbids):
            order.edited(a_customer(status), lines, None)
    else:
        assert order.edited(a_customer(status), lines, None).lines == lines


def test_a_suspended_customers_orders_are_not_confirmed_but_cancelled_and_drafts_edited() -> None:
    with pytest.raises(CustomerStateForbids):
        an_order(State.PLACED).confirmed(a_customer("suspended"))
    assert an_order(State.PLACED).cancelled().state is State.CANCELLED
    more = (a_line("1000"),)
    assert an_order().edited(a_customer("suspended"), more, None).lines == more


def test_numbers_are_eight_characters_that_spell_nothing() -> None:
    drawn = {random_number() for _ in range(1000)}
    assert len(drawn) == 1000
    assert all(len(number) == 8 and set(number) <= set(NUMBER_ALPHABET) for number in drawn)
