"""What a membership grants, what may be granted together, and by whom (domain §3, L2–L7, V12, V13).

This is the one place where role names appear in Python: identity hands roles out. What a role may *do* is
policy's; here is only which of two grants is the larger one, so that nobody grants what they do not hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from bailiwick_identity.domain.errors import CustomCeiling, GrantNotHeld
from bailiwick_kit.errors import Fault, Invalid


class Mode(StrEnum):
    """A membership has one role, or a set of permissions."""

    ROLE = "role"
    PERMISSIONS = "permissions"


class Role(StrEnum):
    """The roles of L2–L7."""

    BRAND_MANAGER = "brand_manager"
    SALES_MANAGER = "sales_manager"
    SALES_REPRESENTATIVE = "sales_representative"
    SALES_ADMINISTRATOR = "sales_administrator"
    SALES_ASSISTANT = "sales_assistant"
    CUSTOM_MEMBER = "custom_member"


class Permission(StrEnum):
    """The permissions of V12."""

    SELLER = "seller"
    CUSTOMERS = "customers"
    ORDERS = "orders"
    REPORTS = "reports"
    PRODUCTS = "products"
    PRICES = "prices"
    COLLECTIONS = "collections"
    INTEGRATIONS = "integrations"
    SETTINGS = "settings"
    MEMBERS = "members"


class Tick(StrEnum):
    """How far a custom member's tick goes."""

    VIEW = "view"
    EDIT = "edit"


TICK_COLUMNS: Final = ("products", "inventory", "looks", "prices", "collections", "customers")
"""The columns of a custom member; everything else is above the ceiling (L7)."""
ABOVE_CEILING: Final = frozenset(
    {"orders", "selections", "appointments", "reports", "terms", "approve", "assign", "seller"}
    | {"integrations", "settings", "members"}
)


@dataclass(frozen=True)
class Grants:
    """What a membership grants. A storefront's has no role and nothing else: policy knows its kind."""

    mode: Mode
    role: Role | None = None
    permissions: frozenset[Permission] = frozenset()
    ticks: Mapping[str, Tick] = field(default_factory=dict)
    collections: tuple[UUID, ...] = ()

    @property
    def leads(self) -> bool:
        """Whether this is a brand manager, who grants what nobody else may."""
        return self.mode is Mode.ROLE and self.role is Role.BRAND_MANAGER


def granted(
    *,
    mode: Mode,
    role: Role | None,
    permissions: frozenset[Permission] = frozenset(),
    ticks: Mapping[str, Tick] | None = None,
    collections: tuple[UUID, ...] = (),
) -> Grants:
    """Return the grants, if they can be given together.

    Raises:
        CustomCeiling: a custom member would get more than their columns.
        Invalid: parts of different kinds of membership are mixed.
    """
    ticks = dict(ticks or {})
    custom = mode is Mode.ROLE and role is Role.CUSTOM_MEMBER
    if custom:
        _check_ceiling(permissions, ticks)
    faults = []
    if mode is Mode.ROLE:
        if role is None:
            faults.append(Fault("role", "missing", "Name a role, or set mode to permissions"))
        if permissions:
            faults.append(_mixed("permissions", "Leave these out, or set mode to permissions"))
    elif role is not None:
        faults.append(_mixed("role", "Leave it out: in permissions mode there is no role"))
    if ticks and not custom:
        faults.append(_mixed("ticks", "Only custom members have ticks"))
    if collections and not (mode is Mode.ROLE and role is Role.SALES_MANAGER):
        faults.append(_mixed("collections", "Only sales managers have named collections"))
    faults += [
        Fault(f"ticks.{column}", "not-allowed", f"Tick one of {', '.join(TICK_COLUMNS)}")
        for column in sorted(ticks.keys() - set(TICK_COLUMNS))
    ]
    if faults:
        raise Invalid(faults=tuple(faults))
    return Grants(mode, role, permissions, ticks, tuple(dict.fromkeys(collections)))


def regranted(grants: Grants, changes: Mapping[str, Any]) -> Grants:
    """Return the grants with the parts that were sent; another role or mode starts from nothing.

    `changes` may hold mode, role, permissions, ticks, collections. A role alone means role mode;
    permissions mode has to be named, so that nobody leaves a role by accident.

    Raises:
        CustomCeiling, Invalid: as for `granted`.
    """
    mode = Mode(changes.get("mode", Mode.ROLE if changes.get("role") else grants.mode))
    role = changes.get("role", grants.role if mode is grants.mode else None)
    same = mode is grants.mode and role is grants.role
    return granted(
        mode=mode,
        role=role,
        permissions=changes.get("permissions", grants.permissions if same else frozenset()),
        ticks=changes.get("ticks", grants.ticks if same else {}),
        collections=changes.get("collections", grants.collections if same else ()),
    )


def check_grant(granter: Grants, before: Grants | None, after: Grants) -> None:
    """Refuse a grant of what the granter does not hold, and a change of who holds it.

    Raises:
        GrantNotHeld: naming what is missing.
    """
    missing = beyond(granter, after)
    if before is not None:
        missing |= beyond(granter, before)
    if missing:
        raise GrantNotHeld(
            "Ask a brand manager of your organization.", facts={"missing": sorted(missing)}
        )


def beyond(granter: Grants, grants: Grants) -> frozenset[str]:
    """Return what keeps the granter from giving these grants, and from changing whoever has them.

    Settings, members and integrations are a brand manager's to give, and who holds one of them is
    changed by brand managers alone: else a member who keeps the members' list could unseat whoever
    is above them.
    """
    if granter.leads:
        return frozenset()
    reserved = _RESERVED if grants.leads else grants.permissions & _RESERVED
    return holdings(grants) - holdings(granter) | {one.value for one in reserved}


_PORTFOLIO: Final = frozenset({"portfolio"})
_CUSTOMERS: Final = frozenset({"customers", "terms"})
_ORDERS: Final = frozenset({"orders", "ordering"})
_ALL_THAT_SELLER_ADDS: Final = _CUSTOMERS | _ORDERS | {"reports"}
_SELLING: Final = _ALL_THAT_SELLER_ADDS | _PORTFOLIO
_RESERVED: Final = frozenset({Permission.SETTINGS, Permission.MEMBERS, Permission.INTEGRATIONS})
_EVERYTHING: Final = _SELLING | {
    *("approve", "assign", "products", "inventory", "looks", "prices", "collections"),
    *("integrations", "settings", "members"),
}
_OF_ROLE: Final[Mapping[Role, frozenset[str]]] = {
    Role.BRAND_MANAGER: _EVERYTHING,
    Role.SALES_MANAGER: _SELLING | {"approve", "assign"},
    Role.SALES_ADMINISTRATOR: _SELLING | {"approve"},
    Role.SALES_REPRESENTATIVE: _PORTFOLIO,
    Role.SALES_ASSISTANT: frozenset({"ordering"}),
    Role.CUSTOM_MEMBER: frozenset(),
}
_OF_PERMISSION: Final[Mapping[Permission, frozenset[str]]] = {
    Permission.SELLER: _SELLING,
    Permission.CUSTOMERS: _CUSTOMERS,
    Permission.ORDERS: _ORDERS,
    Permission.REPORTS: frozenset({"reports"}),
    Permission.PRODUCTS: frozenset({"products", "inventory", "looks"}),
}


def holdings(grants: Grants) -> frozenset[str]:
    """Return what the grants amount to, as a set that can be compared with another's.

    SELLER alone is a portfolio; with anything more it is everything that sells (V13).
    """
    if grants.mode is Mode.ROLE:
        if grants.role is None:  # a storefront is what the integration center makes
            return frozenset({"integrations"})
        held = _OF_ROLE[grants.role] | {
            column
            for column, tick in grants.ticks.items()
            if tick is Tick.EDIT or column == "customers"
        }
        return held | {"collections"} if grants.collections else held
    if grants.permissions == {Permission.SELLER}:
        return _PORTFOLIO
    amount = frozenset[str]()
    for permission in grants.permissions:
        amount |= _OF_PERMISSION.get(permission, {permission.value})
    if amount >= _ALL_THAT_SELLER_ADDS:  # the part is in the whole; customers alone is no whole
        amount |= _PORTFOLIO
    if "members" in amount and "customers" in amount:
        amount |= {"approve", "assign"}
    return amount


def _check_ceiling(permissions: frozenset[Permission], ticks: Mapping[str, Tick]) -> None:
    message = "Leave it out: a custom member never gets this"
    faults = [
        Fault(f"ticks.{column}", "custom-ceiling", message)
        for column in sorted(ticks.keys() & ABOVE_CEILING)
    ]
    if {one.value for one in permissions} & ABOVE_CEILING:
        faults.append(Fault("permissions", "custom-ceiling", message))
    if faults:
        raise CustomCeiling(faults=tuple(faults))


def _mixed(where: str, message: str) -> Fault:
    return Fault(where, "does-not-go-together", message)
