"""Customers: their states, their one primary address, and codes that tell nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from bailiwick_customers.domain import errors
from bailiwick_customers.domain.customer import (
    CODE_ALPHABET,
    Address,
    Customer,
    Status,
    random_code,
    with_one_primary,
)


def a_customer(status: Status = Status.APPROVED, addresses: tuple[Address, ...] = ()) -> Customer:
    return Customer(
        org_id=uuid4(),
        customer_id=uuid4(),
        code="BCDFGHJK",
        name="La Vinoteca",
        status=status,
        created_by=uuid4(),
        created_at=datetime(2026, 5, 4, tzinfo=UTC),
        addresses=addresses,
    )


def test_a_pending_customer_is_approved() -> None:
    approved = a_customer(Status.PENDING).approve()
    assert (approved.status, approved.version) == (Status.APPROVED, 2)


@pytest.mark.parametrize("status", [Status.APPROVED, Status.SUSPENDED])
def test_only_a_pending_customer_is_approved(status: Status) -> None:
    with pytest.raises(errors.CustomerStateForbids):
        a_customer(status).approve()


def test_a_suspended_customer_is_reinstated() -> None:
    reinstated = a_customer(Status.SUSPENDED).reinstate()
    assert (reinstated.status, reinstated.version) == (Status.APPROVED, 2)


@pytest.mark.parametrize("status", [Status.APPROVED, Status.PENDING])
def test_only_a_suspended_customer_is_reinstated(status: Status) -> None:
    with pytest.raises(errors.CustomerStateForbids):
        a_customer(status).reinstate()


def test_approved_customer_is_suspended() -> None:
    suspended = a_customer().suspend()
    assert (suspended.status, suspended.version) == (Status.SUSPENDED, 2)


@pytest.mark.parametrize("status", [Status.PENDING, Status.SUSPENDED])
def test_only_approved_customers_are_suspended(status: Status) -> None:
    with pytest.raises(errors.CustomerStateForbids):
        a_customer(status).suspend()


def test_first_address_is_primary_where_none_is_marked() -> None:
    first, second = with_one_primary((Address("ES"), Address("FR")))
    assert (first.primary, second.primary) == (True, False)


def test_marked_address_stays_primary() -> None:
    addresses = (Address("ES"), Address("FR", primary=True))
    assert with_one_primary(addresses) == addresses


def test_two_primary_addresses_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="one address"):
        with_one_primary((Address("ES", primary=True), Address("FR", primary=True)))


def test_geography_looks_at_the_primary_address_and_at_no_other() -> None:
    madrid = Address("ES", city="Madrid", primary=True)
    assert a_customer(addresses=(Address("FR"), madrid)).primary_address == madrid
    assert a_customer().primary_address is None


def test_codes_are_random_and_spell_nothing() -> None:
    codes = {random_code() for _ in range(1_000)}
    assert len(codes) == 1_000
    assert all(len(code) == 8 and set(code) <= set(CODE_ALPHABET) for code in codes)
    assert not set("AEIOU01") & set(CODE_ALPHABET)
