"""Drawn worlds in a running service: which are drawn, and who of theirs is who there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

import hypothesis

from bailiwick_testkit.fakes.people import LONG_AGO, Person
from bailiwick_testkit.policy.oracle import ORGANIZATION, World
from bailiwick_testkit.policy.worlds import worlds
from bailiwick_testkit.services.service_under_test import ServiceUnderTest


def drawn(seed: int, count: int, fit: Callable[[World], World]) -> list[World]:
    """Draw worlds, the same for the same seed, each fitted to what a service can hold.

    Hypothesis varies a world a few times before it draws another: so many are drawn, and those that are
    kept lie far apart.
    """
    found: list[World] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count * 10, database=None, deadline=None, phases=[hypothesis.Phase.generate]
    )
    @hypothesis.given(worlds())
    def keep(world: World) -> None:
        found.append(fit(world))

    keep()
    later = found[count:]  # the first ones are the simplest
    return later[:: len(later) // count][:count]


def of_one_organization(world: World) -> World:
    """Return a world without what is another organization's: row-level security has tests of its own."""
    customers = tuple(one for one in world.customers if one.org_id == ORGANIZATION)
    ids = {one.id for one in customers}
    orders = tuple(
        one for one in world.orders if one.org_id == ORGANIZATION and one.customer_id in ids
    )
    assignments = tuple(one for one in world.assignments if one.customer_id in ids)
    return replace(world, customers=customers, orders=orders, assignments=assignments)


async def moved_in(
    shop: ServiceUnderTest, world: World
) -> tuple[ServiceUnderTest, Mapping[str, Person]]:
    """Found an organization with the world's settings and members; return the shop in it, and them."""
    settings = world.settings
    org_id = shop.identity.organization(
        creator_keeps_access=settings.creator_keeps_access,
        author_keeps_order_view=settings.author_keeps_order_view,
        additional_full_rights=settings.additional_full_rights,
    )
    people = {
        one.id: shop.identity.person(
            org_id,
            one.role,
            permissions=None if one.role or one.is_storefront else one.permissions,
            ticks=dict(one.ticks),
            kind="service" if one.is_storefront else "member",
            email=None if one.is_storefront else f"{one.id}@people.example",
            status=one.status,
            **({"valid_until": LONG_AGO + timedelta(days=1)} if one.expired else {}),
        )
        for one in world.members
    }
    await shop.tell()
    return replace(shop, org_id=org_id), people
