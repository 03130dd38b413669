"""Customers: their states, their one primary address, and codes that tell nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from pydantic import TypeAdapter

from bailiwick_customers.api.schemas import Tags
from bailiwick_customers.domain import errors
from bailiwick_customers.domain.customer import (
    CODE_ALPHABET,
    MOST_BYTES,
    Address,
    Contact,
    Customer,
    Status,
    check_size,
    random_code,
    size,
    with_one_primary,
)
from bailiwick_customers.store.rows import customer_event


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


def sized(most: int, **changes: object) -> Customer:
    """Return a customer of exactly so many bytes, most of them contacts."""
    customer = replace(a_customer(), **changes)  # type: ignore[arg-type]
    filled = replace(customer, contacts=(Contact("", title='Ω"'),))
    return replace(filled, contacts=(Contact("x" * (most - size(filled)), title='Ω"'),))


def test_a_customer_has_the_bytes_that_its_event_has() -> None:
    customer = sized(
        9_000, tax_id="ß-1", tags=("a", "💶"), addresses=(Address("ES", city="A Coruña"),)
    )
    told = customer_event(customer, 1).model_dump_json(
        include={"name", "tax_id", "contacts", "addresses", "tags"}
    )
    assert len(told.encode()) == size(customer) == 9_000


def test_the_largest_customer_is_taken_and_one_byte_more_refused() -> None:
    check_size(sized(MOST_BYTES))
    with pytest.raises(errors.CustomerTooLarge) as caught:
        check_size(sized(MOST_BYTES + 1))
    [fault] = caught.value.faults
    assert fault.where == "contacts"
    assert "has 16385 bytes as JSON, and may have 16384" in fault.message


@pytest.mark.parametrize(
    ("before", "after", "is_taken"),
    [
        (40_000, 39_999, True),
        (40_000, 40_000, True),
        (40_000, 40_001, False),
        (MOST_BYTES, MOST_BYTES + 1, False),
        (100 + MOST_BYTES, MOST_BYTES + 101, False),
        (9_000, MOST_BYTES, True),
    ],
)
def test_a_customer_that_is_stored_larger_may_not_grow(
    before: int, after: int, *, is_taken: bool
) -> None:
    if is_taken:
        check_size(sized(after), sized(before))
    else:
        with pytest.raises(errors.CustomerTooLarge):
            check_size(sized(after), sized(before))


def test_a_tag_that_is_sent_twice_is_kept_once_as_it_was_written_first() -> None:
    sent = ("Vino", "vino", "caf\u00e9", "CAFE\u0301", "VINO ", "straße", "STRASSE", "queso")
    assert TypeAdapter(Tags).validate_python(sent) == ("Vino", "café", "straße", "queso")
