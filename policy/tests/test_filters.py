"""Every filter that policy can give is one that a list can honour."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import product

import pytest

from bailiwick_kit.errors import PolicyUnavailable
from bailiwick_kit.policy.client import Policy
from bailiwick_kit.policy.scope import All, Any, Compare, Condition, Nobody, Where, fields
from bailiwick_kit.policy.scope_sql import reads_facts
from bailiwick_testkit.policy.oracle import (
    Member,
    Oracle,
    Settings,
    World,
    has_right,
    is_restricted,
)
from bailiwick_testkit.policy.worlds import ACTIONS, CALLERS, ENTITIES, NOW, caller_document
from bailiwick_testkit.servers.real import Opa

RELATIONS = {"main", "additional", "author", "cover"}
COLUMNS = {"org_id", "state", "author_keeps_view", "recipient", "above"}


@pytest.fixture(scope="module")
async def policy(engine_url: str) -> AsyncIterator[Policy]:
    async with Policy(engine_url, deadline=5) as opened:
        yield opened


def world(settings: Settings, caller: Member) -> World:
    return World(NOW, settings, (caller,), (), (), ())


def settings_that_matter_to(caller: Member) -> list[Settings]:
    if is_restricted(caller):
        return [Settings(*each) for each in product((False, True), repeat=3)]
    return [Settings()]


def disjuncts(condition: Condition) -> list[Condition]:
    return list(condition.parts) if isinstance(condition, Any) else [condition]


def is_of_the_organization(condition: Condition, entity: str) -> bool:
    own = Compare(f"{entity}.org_id", "eq", "here")
    return condition == own or (isinstance(condition, All) and own in condition.parts)


@pytest.mark.parametrize("caller", CALLERS, ids=[caller.id for caller in CALLERS])
async def test_every_filter_can_be_honoured(caller: Member, policy: Policy) -> None:
    for resource, entity in ENTITIES.items():
        facts = frozenset(f"{entity}.{relation}" for relation in RELATIONS)
        known = facts | {f"{entity}.{column}" for column in COLUMNS}
        for settings, action in product(settings_that_matter_to(caller), ACTIONS[resource]):
            asked = caller_document(world(settings, caller), caller, action)
            found = await policy.filter(f"bailiwick/{resource}", f"input.{entity}", asked)
            match found.scope:
                case Nobody():
                    capable = (
                        Oracle(world(settings, caller)).answer(caller, resource, action).capable
                    )
                    # What is created has no row yet; an order's is its customer.
                    assert action == "create" or not capable, (resource, action)
                case Where(condition):
                    assert fields(condition) <= known
                    reads_facts(condition, facts)  # raises where disjuncts disagree
                    for part in disjuncts(condition):
                        assert is_of_the_organization(part, entity), (resource, action, part)
                case everybody:
                    pytest.fail(f"{everybody} is more than an organization")


@pytest.mark.parametrize("caller", CALLERS, ids=[caller.id for caller in CALLERS])
async def test_a_portfolio_counts_what_it_lists_and_whoever_else_has_reports_counts_all(
    caller: Member, policy: Policy
) -> None:
    for settings in settings_that_matter_to(caller):
        asked = caller_document(world(settings, caller), caller, "view")
        counted = await policy.filter("bailiwick/reports", "input.order", asked)
        listed = await policy.filter("bailiwick/orders", "input.order", asked)
        assert counted.masks == listed.masks
        if is_restricted(caller):
            assert counted == listed
        elif Oracle(world(settings, caller)).answer(caller, "reports", "view").capable:
            assert counted.scope == Where(Compare("order.org_id", "eq", "here"))
        else:
            assert counted.scope == Nobody()


@pytest.mark.parametrize("more", [(), ("integrations",)], ids=["own", "all"])
async def test_mails_of_all_are_not_narrowed_to_ones_own(
    more: tuple[str, ...], policy: Policy
) -> None:
    caller = Member("caller", permissions=("orders", *more))
    asked = caller_document(world(Settings(), caller), caller, "view")
    found = await policy.filter("bailiwick/deliveries", "input.delivery", asked)
    here = Compare("delivery.org_id", "eq", "here")
    mine = Compare("delivery.recipient", "eq", True)
    sent = Compare("delivery.state", "eq", "sent")
    assert found.scope == Where(here if more else All((here, mine, sent)))


@pytest.mark.parametrize("caller", CALLERS, ids=[caller.id for caller in CALLERS])
async def test_customers_to_order_for_can_be_listed_too(caller: Member, policy: Policy) -> None:
    asked = caller_document(world(Settings(), caller), caller, "create")
    found = await policy.filter("bailiwick/orders", "input.customer", asked)
    in_force = caller.status == "active" and not caller.expired
    assert isinstance(found.scope, Where) == (in_force and has_right(caller, "orders", "create"))


@pytest.mark.parametrize("package", ["bailiwick/order", "bailiwick/subject", "bailiwick/nothing"])
async def test_a_package_that_is_not_there_is_unavailable_and_not_empty(
    package: str, policy: Policy
) -> None:
    caller = Member("manager", role="brand_manager")
    asked = caller_document(world(Settings(), caller), caller, "view")
    with pytest.raises(PolicyUnavailable):
        await policy.filter(package, "input.order", asked)
    with pytest.raises(PolicyUnavailable):
        await policy.decide(package, asked)


async def test_an_engine_without_a_policy_is_unavailable_and_not_empty(opa: Opa) -> None:
    empty = opa.extra(with_policy=False)
    caller = Member("manager", role="brand_manager")
    asked = caller_document(world(Settings(), caller), caller, "view")
    async with Policy(empty.url, deadline=5) as policy:
        with pytest.raises(PolicyUnavailable):
            await policy.filter("bailiwick/orders", "input.order", asked)
        with pytest.raises(PolicyUnavailable):
            await policy.revision()
    empty.stop()


async def test_the_sentinel_names_the_revision_that_was_built(opa: Opa, engine_url: str) -> None:
    async with Policy(engine_url, expected_revision=opa.revision, deadline=5) as policy:
        assert await policy.revision() == opa.revision
