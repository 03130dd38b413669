"""A mail says what is so when it is sent: the order's amount and state, and what its customer is called."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from bailiwick_contracts.orders import (
    OrderCancelled,
    OrderConfirmed,
    OrderEdited,
    OrderFulfilled,
    OrderPlaced,
)
from bailiwick_kit.bus.handling import Received
from bailiwick_notifier import mail_templates
from bailiwick_notifier.mail.sending import PutOff
from bailiwick_notifier.store.retention import KEPT, Retention
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.services.notifier import NotifierService


@pytest.fixture
async def ana(room: NotifierService) -> Person:
    room.letters = mail_templates
    return await room.person("Ana", permissions=["seller"])


@pytest.fixture
async def mia(room: NotifierService) -> Person:
    return await room.person("Mia", "brand_manager")


@pytest.fixture
async def customer(room: NotifierService, ana: Person) -> UUID:
    return await room.customer(ana)


async def daily(room: NotifierService, who: Person) -> None:
    path, wanted = "/v1/notification-preferences", {"new_orders": "daily"}
    await room.shop.api.send(who, "PUT", path, json=wanted, headers={"If-Match": "*"})


async def kept(room: NotifierService) -> list[int]:
    """Return the versions of all changed orders that are kept."""
    table = room.shop.tables.changed_orders
    async with room.shop.database.reading(room.shop.org_id) as connection:
        return list((await connection.execute(sa.select(table.c.version))).scalars())


def of_seven(order: OrderPlaced) -> dict[str, Any]:
    """Return what an edit to seven euros changes."""
    seven = Decimal(7)
    line = order.lines[0].model_copy(
        update={"unit_price": seven, "quantity": Decimal(1), "net": seven}
    )
    return {"lines": (line.model_dump(),), "net": seven}


async def test_a_digest_sums_what_orders_are_now_and_says_which_were_cancelled(
    room: NotifierService, ana: Person, mia: Person, customer: UUID
) -> None:
    await daily(room, ana)
    cancelled, edited, _ = [await room.come_in(customer, mia) for _ in range(3)]
    await room.change(cancelled, OrderCancelled)
    await room.change(edited, OrderEdited, **of_seven(edited))
    await room.change(edited, OrderConfirmed, 3, **of_seven(edited), state="confirmed")
    await room.later(days=1)
    [mail] = room.server.sent
    assert mail.subject == "3 new orders: €27.00 and 1 cancelled"
    assert mail.text.count("cancelled") == 2  # in the total, and at the order
    assert "€20.00" in mail.text
    assert "€7.00" in mail.text
    assert [row["state"] for row in await room.deliveries()] == ["sent"] * 3


@pytest.mark.parametrize("before", [True, False], ids=["told before it came in", "told after"])
async def test_a_mail_that_was_delayed_tells_the_latest_whatever_came_when(
    room: NotifierService, ana: Person, mia: Person, customer: UUID, *, before: bool
) -> None:
    room.server.answers = [PutOff("451", may_have_arrived=False)]
    order = room.order(customer, mia)
    if not before:
        await room.take(order)
        await room.work()
    await room.change(order, OrderEdited, 3, **of_seven(order))
    await room.change(order, OrderEdited, 2, net=Decimal(99))  # older, and told twice
    await room.change(order, OrderEdited, 2, net=Decimal(99))
    if before:
        await room.take(order)
        await room.work()
    await room.later(minutes=1)
    [mail] = room.server.sent
    assert mail.subject.endswith("Librería Sol: €7.00")


async def test_a_mail_about_an_order_cancelled_meanwhile_says_so(
    room: NotifierService, ana: Person, mia: Person, customer: UUID
) -> None:
    room.server.answers = [PutOff("451", may_have_arrived=False)]
    order = await room.come_in(customer, mia)
    await room.change(order, OrderCancelled)
    await room.later(minutes=1)
    [mail] = room.server.sent
    assert mail.subject == f"New order {order.number} from Librería Sol: cancelled"
    assert "a new order has come in, and has since been cancelled." in mail.text
    assert "has since been cancelled." in mail.html


async def test_of_several_changes_taken_at_once_the_latest_is_kept(
    room: NotifierService, ana: Person, mia: Person, customer: UUID
) -> None:
    order = room.order(customer, mia)
    described = {**order.model_dump(), "edited_by": mia.member_id}
    several = [
        Received(OrderEdited.model_validate({**described, "version": version}), uuid4())
        for version in (3, 5, 4)
    ]
    await room.hear(*several)
    assert await kept(room) == [5]


@pytest.mark.parametrize(
    "changes", [{"imported": True}, {"placed_at": None}], ids=["imported", "never placed"]
)
async def test_what_never_comes_in_is_not_kept(
    room: NotifierService, ana: Person, mia: Person, customer: UUID, changes: dict[str, Any]
) -> None:
    order = room.order(customer, mia)
    for kind in (OrderEdited, OrderConfirmed, OrderFulfilled, OrderCancelled):
        await room.change(order, kind, **changes)
    assert await kept(room) == []


async def test_a_mail_calls_the_customer_what_it_is_called_now(
    room: NotifierService, ana: Person, mia: Person, customer: UUID
) -> None:
    await daily(room, ana)
    await room.come_in(customer, mia)
    await room.come_in(await room.customer(ana, name="Papelería Luna"), mia, customer_name="Luna")
    for name in ("Librería Mar", "Librería Río"):
        room.customers.customer(name, customer_id=customer)
    told = room.customers.told[room.told :]
    await room.tell()
    async with room.shop.database.writing(room.shop.org_id) as connection:
        again = [Received(one, uuid4()) for one in told[:1]]  # told again, late
        await room.customers_replica.receive(connection, again)
    await room.later(days=1)
    [mail] = room.server.sent
    assert "Librería Río" in mail.text
    assert "Luna" in mail.text
    assert "Mar" not in mail.text
    assert "Sol" not in mail.text


async def test_a_rename_heard_before_its_order_counts(
    room: NotifierService, ana: Person, mia: Person, customer: UUID
) -> None:
    order = room.order(customer, mia)
    room.customers.customer("Librería Río", customer_id=customer)
    await room.tell()
    await room.take(order)
    await room.work()
    [mail] = room.server.sent
    assert "Librería Río" in mail.subject


@pytest.mark.parametrize("when", ["at_once", "daily"])
@pytest.mark.parametrize(("stays", "name"), [(False, "Sol"), (True, "Bruno")])
async def test_who_lost_the_customer_reads_the_name_that_the_order_keeps(
    room: NotifierService,
    ana: Person,
    mia: Person,
    customer: UUID,
    when: str,
    *,
    stays: bool,
    name: str,
) -> None:
    if when == "daily":
        await daily(room, ana)
    bruno = await room.person("Bruno", permissions=["seller"])
    room.server.answers = [PutOff("451", may_have_arrived=False)] if when == "at_once" else []
    await room.come_in(customer, mia, author_id=ana.member_id)
    [held] = room.customers.assignments.values()
    room.customers.hand_over(held, bruno.member_id, room.clock.now())
    if stays:
        room.customers.assign(customer, ana.member_id, "additional", valid_from=room.clock.now())
    room.customers.customer("Librería Bruno", customer_id=customer)
    await room.tell()
    await room.later(days=1)
    [mail] = room.server.sent
    assert f"Librería {name}" in mail.text


async def test_a_manager_reads_what_the_customer_is_called_now(
    room: NotifierService, mia: Person
) -> None:
    customer = await room.customer()
    order = room.order(customer, await room.person("Tom", "sales_manager"))
    room.customers.customer("Librería Río", customer_id=customer)
    await room.tell()
    await room.take(order)
    await room.work()
    [mail] = room.server.sent
    assert "Librería Río" in mail.subject


async def test_a_name_goes_a_month_after_it_was_heard_and_not_before_the_orders(
    room: NotifierService, ana: Person, mia: Person, customer: UUID
) -> None:
    await room.customer(name="Papelería Luna")
    room.server.answers = [PutOff("451", may_have_arrived=False) for _ in range(2)]
    await room.come_in(customer, mia)
    table, found = room.shop.tables.customer_names, []
    for _ in range(2):
        room.clock.instant += KEPT + timedelta(hours=1)
        await Retention(room.shop.database, room.clock).tidy()
        async with room.shop.database.reading(room.shop.org_id) as connection:
            found.append(list((await connection.execute(sa.select(table.c.name))).scalars()))
        await room.work()
        await room.later(days=1)
    assert found == [["Librería Sol"], []]


async def test_what_an_order_became_goes_with_it_and_without_it_after_a_month(
    room: NotifierService, ana: Person, mia: Person, customer: UUID
) -> None:
    tidying = Retention(room.shop.database, room.clock)
    room.server.answers = [PutOff("451", may_have_arrived=False) for _ in range(2)]
    delayed, strange = await room.come_in(customer, mia), room.order(customer, mia)
    await room.change(delayed, OrderEdited, 2)
    await room.change(strange, OrderEdited, 3)
    room.clock.instant += KEPT + timedelta(hours=1)
    await tidying.tidy()
    assert await kept(room) == [2]
    await room.work()
    await room.later(days=1)
    room.clock.instant += KEPT + timedelta(hours=1)
    await tidying.tidy()
    assert await kept(room) == []
