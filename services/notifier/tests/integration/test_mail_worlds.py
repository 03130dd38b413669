"""Random small companies: who is mailed about an order ⇔ who may view it, by the oracle."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bailiwick_notifier.store.notices import StoredNotices
from bailiwick_testkit.fakes.customers import MadeUpCustomers
from bailiwick_testkit.policy.oracle import Oracle, World
from bailiwick_testkit.services.notifier import NotifierService
from bailiwick_testkit.services.random_worlds import drawn, moved_in, of_one_organization

_MOST = 100


def fit(world: World) -> World:
    """Return a world of orders that have come in: only these are mailed about."""
    world = of_one_organization(world)
    orders = tuple(one for one in world.orders if one.state != "draft")
    return replace(world, orders=tuple(replace(one, state="placed") for one in orders))


async def staged(room: NotifierService, world: World) -> tuple[NotifierService, dict[str, str]]:
    """Make the world in an organization of its own; return it, and its members by their ids."""
    shop, people = await moved_in(room.shop, world)
    told = MadeUpCustomers(shop.org_id)
    room = replace(room, shop=shop, customers=told, told=0, placed=0)
    now = room.clock.now()
    customers = {one.id: told.customer(one.id) for one in world.customers}
    for one in world.assignments:
        told.assign(
            customers[one.customer_id],
            people[one.member_id].member_id,
            "main" if one.is_main else "additional",
            valid_from=now + (one.valid_from - world.now),
            valid_to=now + (one.valid_to - world.now),
        )
    await room.tell()
    everybody = [one.member_id for one in people.values()]
    for order in world.orders:
        event = room.order(
            customers[order.customer_id],
            people[order.author],
            number=order.id,
            author_keeps_view=order.author_keeps_view,
        )
        await room.take(event)
    notices = StoredNotices(shop.database)
    for notice in await notices.due(now, _MOST):
        # All are told, whoever they are: whether they are mailed is for policy to say.
        await notices.fix(notice, everybody, now)
    return room, {str(one.member_id): name for name, one in people.items()}


@pytest.mark.parametrize("seed", range(2))
async def test_nobody_is_mailed_about_an_order_that_they_may_not_view(
    room: NotifierService, seed: int
) -> None:
    mailed = refused = 0
    room.clock.instant = datetime.now(UTC)
    for world in drawn(seed, 4, fit):
        stage, names = await staged(room, world)
        await stage.send()
        found = {
            (names[str(one["member_id"])], one["order_number"]): one["state"]
            for one in await stage.deliveries()
            if one["org_id"] == stage.shop.org_id
        }
        oracle = Oracle(world)
        for member in world.members:
            for order in world.orders:
                is_person = not member.is_storefront
                seen = is_person and oracle.answer(member, "orders", "view", order).allow
                expected = "sent" if seen else "suppressed"
                assert found[member.id, order.id] == expected, (seed, member, order)
                mailed, refused = mailed + seen, refused + (not seen)
    assert mailed > 5
    assert refused > 5
