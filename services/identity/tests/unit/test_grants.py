"""Grants: what goes together, and which of two is the larger (domain §3, V13, L7)."""

from __future__ import annotations

from itertools import chain, combinations, product
from typing import get_args

import pytest

from bailiwick_contracts import identity as contract
from bailiwick_identity.domain.errors import CustomCeiling, GrantNotHeld
from bailiwick_identity.domain.grants import (
    ABOVE_CEILING,
    TICK_COLUMNS,
    Grants,
    Mode,
    Permission,
    Role,
    Tick,
    beyond,
    check_grant,
    granted,
    holdings,
    regranted,
)
from bailiwick_kit.errors import Invalid
from bailiwick_testkit.policy import oracle


def permitted(*names: str) -> Grants:
    return Grants(Mode.PERMISSIONS, permissions=frozenset(Permission(name) for name in names))


def role(name: str) -> Grants:
    return Grants(Mode.ROLE, Role(name))


EVERY_ROLE = [Grants(Mode.ROLE, one) for one in Role]
EVERY_SET = [
    Grants(Mode.PERMISSIONS, permissions=frozenset(some))
    for some in chain.from_iterable(combinations(Permission, n) for n in range(4))
]


def may(granter: Grants, before: Grants | None, after: Grants) -> bool:
    try:
        check_grant(granter, before, after)
    except GrantNotHeld:
        return False
    return True


def test_the_words_are_the_contracts() -> None:
    assert {one.value for one in Role} == set(get_args(contract.Role))
    assert {one.value for one in Permission} == set(get_args(contract.Permission))
    assert {one.value for one in Tick} == set(get_args(contract.Tick))
    assert set(TICK_COLUMNS) == set(get_args(contract.TickColumn))
    assert not ABOVE_CEILING & set(TICK_COLUMNS)


def test_a_brand_manager_grants_everything() -> None:
    manager = role("brand_manager")
    assert all(may(manager, None, grants) for grants in EVERY_ROLE + EVERY_SET)


@pytest.mark.parametrize("granter", EVERY_SET, ids=lambda one: "+".join(sorted(one.permissions)))
def test_nobody_else_grants_what_is_reserved_nor_more_than_they_hold(granter: Grants) -> None:
    for after in EVERY_ROLE + EVERY_SET:
        if may(granter, None, after):
            assert not holdings(after) & {"settings", "members", "integrations"}
            assert holdings(after) <= holdings(granter)


def test_more_than_seller_is_a_grant_of_the_whole_organization() -> None:
    seller, more = permitted("seller"), permitted("seller", "reports")
    assert not may(permitted("members", "reports"), seller, more)
    assert may(permitted("members", "seller"), seller, more)


def test_a_portfolio_is_granted_by_who_holds_all_that_seller_adds() -> None:
    for portfolio in (permitted("seller"), role("sales_representative")):
        # Who holds customers would make a seller, assign them anybody, and order and report after all.
        assert not may(permitted("members", "customers"), None, portfolio)
        assert not may(permitted("members", "customers", "orders"), None, portfolio)
        assert may(permitted("members", "customers", "orders", "reports"), None, portfolio)


@pytest.mark.parametrize(
    ("granter", "before"),
    [
        (("members", "orders"), permitted("prices", "seller")),
        (("members", "seller"), permitted("integrations")),
        (("members", "integrations"), permitted("integrations")),
        (("members", "reports"), role("sales_representative")),
        (
            ("members", "customers"),
            granted(mode=Mode.ROLE, role=Role.CUSTOM_MEMBER, ticks={"looks": Tick.EDIT}),
        ),
        (("members", "seller"), Grants(Mode.ROLE)),
    ],
    ids=["more", "integrations", "their own integrations", "a role", "ticks", "an empty role"],
)
def test_nobody_takes_what_they_do_not_hold_nor_changes_whoever_has_it(
    granter: tuple[str, ...], before: Grants
) -> None:
    assert not may(permitted(*granter), before, permitted())
    assert not may(permitted(*granter), before, before)


def test_who_stands_above_is_not_touched() -> None:
    granter = permitted("members", "seller", "customers", "orders", "reports")
    for above in (role("brand_manager"), permitted("settings"), permitted("members")):
        assert not may(granter, above, permitted("seller"))
        assert not may(granter, above, above)
    assert may(granter, role("sales_representative"), role("sales_representative"))


@pytest.mark.parametrize("column", sorted(ABOVE_CEILING))
def test_a_custom_member_is_ticked_nothing_above_the_ceiling(column: str) -> None:
    with pytest.raises(CustomCeiling):
        granted(mode=Mode.ROLE, role=Role.CUSTOM_MEMBER, ticks={column: Tick.VIEW})


def test_another_role_starts_from_nothing() -> None:
    zoe = granted(mode=Mode.ROLE, role=Role.CUSTOM_MEMBER, ticks={"prices": Tick.EDIT})
    assert regranted(zoe, {"role": Role.SALES_MANAGER}).ticks == {}
    assert regranted(zoe, {"role": Role.CUSTOM_MEMBER}).ticks == {"prices": Tick.EDIT}
    ana = permitted("seller")
    assert regranted(ana, {"role": Role.SALES_MANAGER}) == role("sales_manager")
    back = regranted(role("sales_manager"), {"mode": Mode.PERMISSIONS})
    assert back == permitted()


def test_a_role_is_not_left_by_accident() -> None:
    with pytest.raises(Invalid):
        regranted(role("sales_manager"), {"permissions": frozenset({Permission.ORDERS})})


def test_the_oracle_says_the_same_of_who_stands_above_whom() -> None:
    ticked = [
        granted(mode=Mode.ROLE, role=Role.CUSTOM_MEMBER, ticks={column: tick})
        for column, tick in product(TICK_COLUMNS, Tick)
    ]
    everybody = EVERY_ROLE + ticked + [one for one in EVERY_SET if len(one.permissions) != 2]
    for granter, other in product(everybody, everybody):
        said = oracle.stands_above(_drawn("other", other), _drawn("granter", granter))
        assert bool(beyond(granter, other)) is said, (granter, other)


def _drawn(name: str, grants: Grants) -> oracle.Member:
    return oracle.Member(
        name,
        role=grants.role.value if grants.role else None,
        permissions=tuple(sorted(one.value for one in grants.permissions)),
        ticks=tuple((column, tick.value) for column, tick in grants.ticks.items()),
    )
