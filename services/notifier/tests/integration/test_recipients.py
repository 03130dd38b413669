"""Who is told, beyond the fixture: settings, who is not active, managers, repeats, and a replica behind."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from bailiwick_kit.policy.client import Policy
from bailiwick_kit.replication import replica
from bailiwick_kit.replication.change_feed_client import ChangeFeedClient
from bailiwick_testkit.fakes.people import DOOR_SECRET
from bailiwick_testkit.services.notifier import NotifierService


async def notices_open(room: NotifierService) -> int:
    table = room.shop.tables.notices
    async with room.shop.database.reading(room.shop.org_id) as connection:
        statement = sa.select(sa.func.count()).where(table.c.fixed_at.is_(None))
        return int((await connection.execute(statement)).scalar_one())


async def test_additionals_are_told_where_the_organization_wants_it_unless_they_placed_it(
    room: NotifierService,
) -> None:
    ana = await room.person("Ana", permissions=["seller"])
    bruno = await room.person("Bruno", "sales_representative")
    mia = await room.person("Mia", "brand_manager")
    customer = await room.customer(bruno, ana)
    await room.come_in(customer, mia)
    assert room.mailed() == ["Bruno"]

    await room.shop.settings(notify_additional=True)
    await room.come_in(customer, mia)
    assert room.mailed() == ["Ana", "Bruno"]
    await room.come_in(customer, ana)
    assert room.mailed() == ["Bruno"]
    await room.come_in(customer, bruno)
    assert room.mailed() == ["Ana"]


@pytest.mark.parametrize("gone", ["inactive", "expired"])
async def test_with_no_main_who_counts_the_managers_are_told(
    room: NotifierService, gone: str
) -> None:
    ana = await room.person("Ana", permissions=["seller"])
    mia = await room.person("Mia", "brand_manager")
    await room.person("Omar", "sales_manager")
    await room.person("Ida", permissions=["members", "orders"])
    await room.person("Nora", "sales_administrator")
    await room.person("Tom", "sales_assistant")
    await room.person("Eva", "sales_manager", status="inactive")
    customer = await room.customer(ana)
    ended = (
        {"status": "inactive"}
        if gone == "inactive"
        else {"valid_until": room.clock.now() - timedelta(days=1)}
    )
    await room.person("Ana", permissions=["seller"], member_id=ana.member_id, **ended)

    await room.come_in(customer, mia)

    assert room.mailed() == ["Ida", "Omar"]


async def test_an_import_is_no_new_order(room: NotifierService) -> None:
    ana = await room.person("Ana", permissions=["seller"])
    mia = await room.person("Mia", "brand_manager")
    await room.come_in(await room.customer(ana), mia, imported=True)
    assert await room.deliveries() == []
    assert await notices_open(room) == 0


async def test_an_event_told_again_and_two_workers_make_one_mail(room: NotifierService) -> None:
    ana = await room.person("Ana", permissions=["seller"])
    mia = await room.person("Mia", "brand_manager")
    customer = await room.customer(ana)
    orders = [room.order(customer, mia) for _ in range(8)]
    for order in orders:
        event_id = await room.take(order)
        await room.take(order, event_id)

    await asyncio.gather(*(room.fixing().round() for _ in range(3)))
    await asyncio.gather(*(room.send() for _ in range(3)))
    await room.work()

    assert sorted(room.server.subjects) == sorted(
        f"en {order.number} Librería Sol" for order in orders
    )
    assert len({mail.message_id for mail in room.server.tried}) == len(room.server.tried) == 8


async def test_an_order_waits_for_the_assignments_that_it_was_written_under(
    room: NotifierService,
) -> None:
    ana = await room.person("Ana", permissions=["seller"])
    mia = await room.person("Mia", "brand_manager")
    customer = room.customers.customer()
    room.customers.assign(customer, ana.member_id)  # notifier has not heard of it

    await room.come_in(customer, mia)
    assert await notices_open(room) == 1
    await room.later(seconds=1)
    assert (await notices_open(room), room.mailed()) == (1, [])

    await room.tell()
    await room.later(seconds=1)
    assert (await notices_open(room), room.mailed()) == (0, ["Ana"])


async def test_after_half_a_minute_customers_itself_is_asked(room: NotifierService) -> None:
    ana = await room.person("Ana", permissions=["seller"])
    mia = await room.person("Mia", "brand_manager")
    customer = room.customers.customer()
    room.customers.assign(customer, ana.member_id)
    await room.come_in(customer, mia)

    await room.later(seconds=29.9)
    assert room.mailed() == []
    await room.later(seconds=0.2)

    assert room.mailed() == ["Ana"]
    assert await room.customers_replica.position(room.shop.org_id) == room.customers.head


async def test_an_authority_with_much_to_tell_holds_up_no_other_organizations_mail(
    room: NotifierService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica, "MOST_CHANGES", 2)
    mia = await room.person("Mia", "brand_manager")
    ana = room.shop.identity.person(
        room.shop.org_id, permissions=["seller"], name="Ana", email="ana@people.example"
    )
    customer = room.customers.customer()
    room.customers.assign(customer, ana.member_id)
    for number in range(6):
        room.customers.customer(f"C{number}")
    await room.take(room.order(customer, mia))
    for authority in (room.customers_replica, room.identity_replica):
        before = await authority.position(room.shop.org_id)
        await room.later(minutes=1)
        assert (await notices_open(room), room.mailed()) == (1, [])
        # A page is pulled here, and the rest by `keep_up`, beside.
        assert await authority.position(room.shop.org_id) - before == 2
        await authority.pull(room.shop.org_id)
    await room.later(minutes=1)
    assert room.mailed() == ["Ana"]


async def test_an_order_is_not_lost_while_customers_does_not_answer(room: NotifierService) -> None:
    ana = await room.person("Ana", permissions=["seller"])
    mia = await room.person("Mia", "brand_manager")
    customer = room.customers.customer()
    room.customers.assign(customer, ana.member_id)
    whole = room.customers_replica.feed
    room.customers_replica.feed = ChangeFeedClient("http://127.0.0.1:9", SecretStr(DOOR_SECRET))
    async with room.customers_replica.feed:
        await room.come_in(customer, mia)
        for _ in range(5):
            await room.later(hours=1)
            assert (await notices_open(room), room.mailed()) == (1, [])

    room.customers_replica.feed = whole
    await room.later(minutes=1)
    assert room.mailed() == ["Ana"]


async def test_a_representative_whom_notifier_does_not_know_yet_is_asked_for_not_passed_over(
    room: NotifierService,
) -> None:
    mia = await room.person("Mia", "brand_manager")
    known = room.shop.identity.person
    ana = known(room.shop.org_id, permissions=["seller"], name="Ana", email="ana@people.example")

    await room.come_in(await room.customer(ana), mia)

    assert room.mailed() == ["Ana"]


async def test_who_is_told_waits_for_policy_where_it_decides(room: NotifierService) -> None:
    mia = await room.person("Mia", "brand_manager")
    buyer = await room.shop.member(kind="service")
    whole, room.policy = room.policy, Policy("http://127.0.0.1:9")
    async with room.policy:
        await room.come_in(await room.customer(), buyer)
        assert await notices_open(room) == 1
    room.policy = whole
    await room.later(minutes=1)
    assert room.mailed() == ["Mia"]
    assert mia.org_id == room.shop.org_id


async def test_of_another_organization_nobody_is_told(room: NotifierService) -> None:
    other = room.shop.identity.organization(name="Others")
    room.shop.identity.person(other, "brand_manager", name="Eve", email="eve@people.example")
    await room.shop.tell()
    mia = await room.person("Mia", "brand_manager")
    buyer = await room.shop.member(kind="service")
    await room.come_in(await room.customer(), buyer)
    assert room.mailed() == ["Mia"]
    assert mia.org_id != other
