"""Who is told anew of an order, where everybody who was told of it was told in vain (domain §3)."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_notifier.mail.sending import Undeliverable
from bailiwick_notifier.store.notices import open_anew
from bailiwick_testkit.checks.metric_values import rise_of
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.services.notifier import NotifierService

PREFERENCES = "/v1/notification-preferences"


def refused(times: int = 1) -> list[BaseException]:
    return [Undeliverable("the server answered 550 (SMTPRecipientRefused)") for _ in range(times)]


async def wants(room: NotifierService, who: Person, new_orders: str) -> None:
    wanted = {"new_orders": new_orders}
    await room.shop.api.send(who, "PUT", PREFERENCES, json=wanted, headers={"If-Match": "*"})


async def hand_over(room: NotifierService, customer: UUID, to: Person) -> None:
    """Make somebody else the customer's main, an hour from now, and let that hour pass."""
    held = next(one for one in room.customers.assignments.values() if one.customer_id == customer)
    room.customers.hand_over(held, to.member_id, room.clock.now() + timedelta(hours=1))
    await room.tell()
    room.clock.instant += timedelta(hours=1)


@pytest.fixture
async def ana(room: NotifierService) -> Person:
    return await room.person("Ana", permissions=["seller"])


@pytest.fixture
async def bruno(room: NotifierService) -> Person:
    return await room.person("Bruno", "sales_representative")


@pytest.fixture
async def buyer(room: NotifierService) -> Person:
    """A storefront, so that nobody here has placed the order."""
    return await room.shop.member(kind="service")


@pytest.mark.parametrize("others", [0, 1], ids=["whole digest", "one of a digest"])
async def test_an_order_in_a_daily_mail_follows_its_customer_to_another_main(
    room: NotifierService, ana: Person, bruno: Person, buyer: Person, others: int
) -> None:
    await wants(room, ana, "daily")
    customer, stays = await room.customer(ana), await room.customer(ana)
    moved = await room.come_in(customer, buyer)
    for _ in range(others):
        await room.come_in(stays, buyer)
    await hand_over(room, customer, bruno)
    await room.later(days=1)
    await room.work()
    assert room.mailed() == ["Ana", "Bruno"][1 - others :]
    rows = {row["member_id"]: row["state"] for row in await room.deliveries(moved)}
    assert rows == {ana.member_id: "suppressed", bruno.member_id: "sent"}


@pytest.mark.parametrize("why", ["refused", "no-address", "inactive", "expired", "holds nothing"])
async def test_the_managers_are_told_where_the_main_could_not_be(
    room: NotifierService, ana: Person, buyer: Person, why: str
) -> None:
    await room.person("Mia", "brand_manager")
    await room.take(room.order(await room.customer(ana), buyer))
    await room.fixing().round()
    if why == "refused":
        room.server.answers = refused()
    else:
        ways: dict[str, dict[str, Any]] = {
            "no-address": {"permissions": ["seller"], "email": None},
            "inactive": {"permissions": ["seller"], "status": "inactive"},
            "expired": {
                "permissions": ["seller"],
                "valid_until": room.clock.now() - timedelta(days=1),
            },
            "holds nothing": {"permissions": ["products"]},
        }
        await room.person("Ana", member_id=ana.member_id, **ways[why])
    await room.send()
    assert room.mailed() == []
    await room.work()
    assert room.mailed() == ["Mia"]


async def test_the_present_additionals_are_told_where_the_organization_wants_it(
    room: NotifierService, ana: Person, bruno: Person, buyer: Person
) -> None:
    await room.shop.settings(notify_additional=True)
    await room.person("Mia", "brand_manager")
    customer = await room.customer(ana)
    await room.take(room.order(customer, buyer))
    await room.fixing().round()
    room.customers.assign(customer, bruno.member_id, "additional")
    await room.tell()
    room.server.answers = refused()
    await room.send()
    await room.work()
    assert room.mailed() == ["Bruno", "Mia"]


async def test_it_ends_when_nobody_is_left_and_nobody_is_told_twice(
    room: NotifierService, ana: Person, buyer: Person
) -> None:
    for name in ("Mia", "Omar", "Ida"):
        await room.person(name, "sales_manager")
    room.server.answers = refused(4)
    in_vain = rise_of("bailiwick_notices_in_vain_total")
    order = await room.come_in(await room.customer(ana), buyer)
    for _ in range(5):
        await room.later(hours=1)
    assert [row["state"] for row in await room.deliveries(order)] == ["failed"] * 4
    assert len({mail.recipient for mail in room.server.tried}) == len(room.server.tried) == 4
    assert in_vain() == 1


@pytest.mark.parametrize("told", ["sent", "declined"])
async def test_an_order_is_not_told_anew_where_one_was_told_or_did_not_want_to_be(
    room: NotifierService, ana: Person, bruno: Person, buyer: Person, told: str
) -> None:
    await room.shop.settings(notify_additional=True)
    await room.person("Mia", "brand_manager")
    if told == "declined":
        await wants(room, bruno, "off")
    room.server.answers = refused()
    await room.take(room.order(await room.customer(ana, bruno), buyer))
    await room.fixing().round()
    await room.send()
    await room.later(hours=1)
    states = sorted(row["state"] for row in await room.deliveries())
    assert states == sorted(["failed", told])


async def test_two_workers_that_settle_the_last_two_at_once_have_it_told_anew(
    room: NotifierService, ana: Person, bruno: Person, buyer: Person
) -> None:
    await room.shop.settings(notify_additional=True)
    await room.person("Mia", "brand_manager")
    await room.take(room.order(await room.customer(ana, bruno), buyer))
    await room.fixing().round()
    now, org_id, database = room.clock.now(), room.shop.org_id, room.shop.database
    table = room.shop.tables.deliveries
    one, other = [row["delivery_id"] for row in await room.deliveries()]
    async with database.writing(org_id) as first:
        second_ended = asyncio.Event()

        async def settle(connection: AsyncConnection, delivery_id: UUID) -> None:
            settled = {"state": "failed", "next_attempt_at": None, "settled_at": now}
            await connection.execute(
                table.update().where(table.c.delivery_id == delivery_id).values(settled)
            )

        async def second() -> None:
            async with database.writing(org_id) as connection:
                await settle(connection, other)
                await open_anew(connection, org_id, [other], now)
            second_ended.set()

        await settle(first, one)
        await open_anew(first, org_id, [one], now)
        at_once = asyncio.ensure_future(second())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(second_ended.wait(), 1)  # it waits for the first to commit
    await at_once
    await room.work()
    assert room.mailed() == ["Mia"]


async def test_two_workers_that_fix_it_anew_at_once_tell_each_once(
    room: NotifierService, ana: Person, buyer: Person
) -> None:
    await room.person("Mia", "brand_manager")
    room.server.answers = refused()
    await room.come_in(await room.customer(ana), buyer)
    await asyncio.gather(*(room.fixing().round() for _ in range(3)))
    await asyncio.gather(*(room.send() for _ in range(3)))
    assert room.mailed() == ["Mia"]


async def test_who_was_slow_to_fix_it_first_does_not_fix_it_anew(
    room: NotifierService, ana: Person, buyer: Person
) -> None:
    await room.person("Mia", "brand_manager")
    await room.take(room.order(await room.customer(ana), buyer))
    desk = room.fixing().desk
    [slow] = await desk.notices.due(room.clock.now(), 9)
    room.server.answers = refused()
    await room.work()
    assert await desk.notices.fix(slow, [], room.clock.now()) is False
    await room.work()
    assert room.mailed() == ["Mia"]


async def test_a_main_who_may_hold_no_portfolio_counts_as_none(
    room: NotifierService, ana: Person, buyer: Person
) -> None:
    await room.person("Mia", "brand_manager")
    customer = await room.customer(ana)
    await room.person("Ana", "custom_member", member_id=ana.member_id)
    await room.come_in(customer, buyer)
    assert room.mailed() == ["Mia"]
