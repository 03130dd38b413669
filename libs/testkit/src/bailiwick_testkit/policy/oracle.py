"""Who may do what, a third time: plain Python, written from the domain's text and not from the Rego.

Tests ask it what policy, filters and lists should say, so that the two others cannot be wrong together.
Read it beside the domain: main and additional representatives (L8), portfolios (V2, V3, V5), roles
(L2 to L7), permissions (V13), the matrix, and the reason codes. It imports nothing but the
standard library and the records of a small company.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bailiwick_testkit.policy.small_company import (
    ELSEWHERE,
    ORGANIZATION,
    Assignment,
    Customer,
    Delivery,
    Member,
    Order,
    Preference,
    Row,
    Settings,
    World,
)

__all__ = [
    "CUSTOMER_MANAGEMENT",
    "CUSTOMER_WORK",
    "DELIVERY_ACTIONS",
    "ELSEWHERE",
    "HOLDING",
    "MEMBER_ACTIONS",
    "ORDER_ACTIONS",
    "ORGANIZATION",
    "ORGANIZATION_ACTIONS",
    "PREFERENCE_ACTIONS",
    "REPORT_ACTIONS",
    "REPRESENTATIVE_ON_CUSTOMERS",
    "REPRESENTATIVE_ON_ORDERS",
    "RESERVED",
    "WATCHING",
    "Answer",
    "Assignment",
    "Customer",
    "Delivery",
    "Member",
    "Oracle",
    "Order",
    "Preference",
    "Relation",
    "Row",
    "Settings",
    "World",
    "has_right",
    "is_restricted",
    "stands_above",
]


@dataclass(frozen=True)
class Answer:
    """What should come out: 403 if not capable, 404 if not visible, 403 if not allowed."""

    capable: bool
    visible: bool
    allow: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Relation:
    """How a member stands to a customer at an instant."""

    main: bool
    additional: bool
    ended: bool
    future: bool

    @property
    def refusal(self) -> str:
        """Say what a representative without a relation is told; not-assigned means never."""
        if self.ended:
            return "assignment-ended"
        return "assignment-not-started" if self.future else "not-assigned"


# What the caller may do, before any row is looked at: the matrix, row by row.

ORDER_ACTIONS = frozenset(
    {"view", "create", "edit", "place", "confirm", "fulfil", "cancel", "credit"}
)
WATCHING = frozenset({"watch"})
REPORT_ACTIONS = frozenset({"view", "team"})
DELIVERY_ACTIONS = frozenset({"view"})
PREFERENCE_ACTIONS = frozenset({"view", "edit"})
CUSTOMER_WORK = frozenset({"view", "create", "edit", "edit_terms", "lookup", "history", "hold"})
HOLDING = frozenset({"hold"})
CUSTOMER_MANAGEMENT = frozenset({"approve", "assign", "hand_over"})
MEMBER_ACTIONS = frozenset({"view", "create", "grant", "deactivate"})
ORGANIZATION_ACTIONS = frozenset({"view", "edit"})
RESERVED = frozenset({"settings", "members", "integrations"})
REPRESENTATIVE_ON_ORDERS = frozenset({"view", "create", "edit", "place", "cancel"})
REPRESENTATIVE_ON_CUSTOMERS = CUSTOMER_WORK - {"history"}


def is_restricted(member: Member) -> bool:
    """Only the portfolio: representatives for ever (L4), SELLER while it stands alone (V13)."""
    return member.role == "sales_representative" or set(member.permissions) == {"seller"}


_BY_ROLE: dict[str, dict[str, frozenset[str]]] = {
    "brand_manager": {
        "customers": CUSTOMER_WORK | CUSTOMER_MANAGEMENT,
        "orders": ORDER_ACTIONS | WATCHING,
        "reports": REPORT_ACTIONS,
        "members": MEMBER_ACTIONS,
        "organizations": ORGANIZATION_ACTIONS,
    },
    "sales_manager": {
        "customers": CUSTOMER_WORK | CUSTOMER_MANAGEMENT,
        "orders": ORDER_ACTIONS | WATCHING,
        "reports": REPORT_ACTIONS,
    },
    "sales_administrator": {
        "customers": CUSTOMER_WORK | {"approve"},
        "orders": ORDER_ACTIONS,
        "reports": frozenset({"view"}),
    },
    "sales_representative": {
        "customers": REPRESENTATIVE_ON_CUSTOMERS,
        "orders": REPRESENTATIVE_ON_ORDERS,
        "reports": frozenset({"view"}),
    },
    "sales_assistant": {"customers": frozenset({"lookup"}), "orders": REPRESENTATIVE_ON_ORDERS},
}


def has_right(member: Member, resource: str, action: str) -> bool:
    """Tell whether the matrix ticks it, for a membership in force."""
    return action in _rights(member).get(resource, ())


def _rights(member: Member) -> dict[str, frozenset[str]]:
    if member.is_storefront:
        return {
            "customers": frozenset({"lookup"}),
            "orders": frozenset({"view", "create", "place"}),
        }
    if member.role is None and not member.permissions:
        return {}
    mails = {"deliveries": DELIVERY_ACTIONS, "preferences": PREFERENCE_ACTIONS}
    return _rights_to_work(member) | mails


def _rights_to_work(member: Member) -> dict[str, frozenset[str]]:
    if member.role == "custom_member":
        looks = {"view", "lookup"}
        by_tick = {"view": looks, "edit": looks | {"create", "edit"}}
        return {"customers": frozenset(by_tick.get(dict(member.ticks).get("customers", ""), ()))}
    if member.role is not None:
        return _BY_ROLE[member.role]
    return _rights_by_permissions(set(member.permissions))


def _rights_by_permissions(permissions: set[str]) -> dict[str, frozenset[str]]:
    """V13: each permission opens its column for all; seller opens three, for the portfolio if alone.

    Who holds members is a manager, of the customers, orders and reports that they see. Only sellers may be
    anybody's representative: a portfolio is customers and their orders.
    """
    if permissions == {"seller"}:
        return _BY_ROLE["sales_representative"]
    rights = {}
    manages = "members" in permissions
    if permissions & {"seller", "customers"}:
        may_represent = HOLDING if "seller" in permissions else frozenset()
        managing = CUSTOMER_MANAGEMENT if manages else frozenset()
        rights["customers"] = (CUSTOMER_WORK - HOLDING) | may_represent | managing
    if permissions & {"seller", "orders"}:
        rights["orders"] = ORDER_ACTIONS | (WATCHING if manages else frozenset())
    if permissions & {"seller", "reports"}:
        rights["reports"] = REPORT_ACTIONS if manages else frozenset({"view"})
    if "members" in permissions:
        rights["members"] = MEMBER_ACTIONS
    if "settings" in permissions:
        rights["organizations"] = ORGANIZATION_ACTIONS
    return rights


def _is_above_ceiling(member: Member, resource: str, action: str) -> bool:
    """L7: a custom member never orders, sets terms or manages, whatever is ticked."""
    if member.role != "custom_member":
        return False
    if resource == "customers":
        return action in CUSTOMER_MANAGEMENT | {"edit_terms"}
    return resource == "orders" and action == "create"


def stands_above(other: Member, member: Member) -> bool:
    """Tell whether somebody has what a member may neither give nor take (domain §3).

    Nobody changes who holds more than they do; brand managers, and who has settings, members or
    integrations, are changed by brand managers alone.
    """
    if member.role == "brand_manager" or other.id == member.id:
        return False
    if other.role == "brand_manager" or RESERVED & set(other.permissions):
        return True
    return not _holds(other) <= _holds(member)


def _holds(member: Member) -> set[str]:
    """Return what a membership amounts to, column by column of the matrix (domain §4)."""
    if member.is_storefront:
        return {"integrations"}
    if is_restricted(member):
        return {"a portfolio"}
    if member.role == "sales_assistant":
        return {"orders to assist with"}
    held = {column for column, tick in member.ticks if tick == "edit" or column == "customers"}
    permissions = set(member.permissions)
    sells = member.role in {"sales_manager", "sales_administrator"} or "seller" in permissions
    selling = {"customers", "orders", "reports"}
    held |= permissions - {"seller"} | (selling if sells else set())
    if "customers" in held and "customers" not in dict(member.ticks):
        held |= {"terms"}
    if "orders" in held:
        held |= {"orders to assist with"}
    if selling <= held:  # the whole has the part
        held |= {"a portfolio"}
    if "products" in permissions:
        held |= {"inventory", "looks"}
    if member.role == "sales_manager" or ("members" in held and "customers" in held):
        held |= {"approve", "assign"}
    return held | ({"approve"} if member.role == "sales_administrator" else set())


def _is_for(member: Member, row: Delivery | Preference) -> bool:
    """One's own wishes; one's own mails once they are sent; all mails for who runs the integrations."""
    if isinstance(row, Preference):
        return row.member_id == member.id
    follows = member.role == "brand_manager" or "integrations" in member.permissions
    return follows or (row.recipient == member.id and row.state == "sent")


# What the caller may do with one row.


@dataclass(frozen=True)
class Oracle:
    """Answers questions about one world."""

    world: World
    _relations: dict[tuple[str, str], Relation] = field(default_factory=dict, compare=False)

    def answer(self, member: Member, resource: str, action: str, row: Row | None = None) -> Answer:
        """Say what should come out. `row` is None where there is none, or none is asked about."""
        in_force = member.status == "active" and not member.expired
        reasons = []
        if not has_right(member, resource, action):
            above = _is_above_ceiling(member, resource, action)
            reasons.append("custom-ceiling" if above else "capability-missing")
        capable = in_force and not reasons
        visible = in_force and self._is_visible(member, resource, action, row)
        refusals = self._refusals(member, resource, action, row) if row else []
        allow = capable and visible and not refusals
        if capable and row is not None and row.org_id == member.org_id:
            reasons += refusals
        if member.expired:
            reasons.append("membership-expired")
        if member.status != "active":
            reasons.append("account-inactive")
        return Answer(capable, visible, allow, tuple(reasons))

    def relation(self, member_id: str, customer_id: str) -> Relation:
        """Say how a member stands to a customer now: from <= now < to."""
        key = (member_id, customer_id)
        if key not in self._relations:
            self._relations[key] = self._relation(*key)
        return self._relations[key]

    def _relation(self, member_id: str, customer_id: str) -> Relation:
        now = self.world.now
        theirs = [
            assignment
            for assignment in self.world.assignments
            if (assignment.member_id, assignment.customer_id) == (member_id, customer_id)
        ]
        valid = [each for each in theirs if each.valid_from <= now < each.valid_to]
        return Relation(
            main=any(each.is_main for each in valid),
            additional=any(not each.is_main for each in valid),
            ended=any(each.valid_to <= now for each in theirs),
            future=any(each.valid_from > now for each in theirs),
        )

    def _is_visible(self, member: Member, resource: str, action: str, row: Row | None) -> bool:
        """Whether the caller may know that the row exists; else it is 404."""
        if row is None or row.org_id != member.org_id:
            return False
        if isinstance(row, Delivery | Preference | Member):
            is_theirs = isinstance(row, Member) or _is_for(member, row)
            return has_right(member, resource, "view") and is_theirs
        if isinstance(row, Order):  # reports count orders
            asked = (resource, "view")
        elif resource == "orders":  # creating one, for this customer
            if has_right(member, "orders", "create") and not self._refusals(
                member, "orders", "create", row
            ):
                return True
            asked = ("customers", "lookup")
        else:
            asked = ("customers", "lookup" if action == "lookup" else "view")
        return has_right(member, *asked) and not self._refusals(member, *asked, row)

    def _refusals(self, member: Member, resource: str, action: str, row: Row) -> list[str]:
        """Why the row does not let somebody with the right do it, the most telling first."""
        if isinstance(row, Delivery | Preference | Member):
            # Whoever may view a mail or a preference may do the rest.
            is_above = isinstance(row, Member) and action != "view" and stands_above(row, member)
            return ["grant-not-held"] if is_above else []
        if isinstance(row, Order):
            # V8: what counts in reports is what a representative may view now.
            viewing = resource == "reports"
            return self._refusals_of_order(member, "view" if viewing else action, row)
        if not is_restricted(member):
            return []
        relation = self.relation(member.id, row.id)
        settings = self.world.settings
        ordering = resource == "orders"
        looking = action in {"view", "lookup"}
        keeps = looking and row.created_by == member.id and settings.creator_keeps_access
        if relation.main or (keeps and not ordering and not relation.additional):
            return []
        if relation.additional:
            may = ordering or looking or settings.additional_full_rights
            return [] if may else ["additional-may-not-edit"]
        return [relation.refusal]

    def _refusals_of_order(self, member: Member, action: str, order: Order) -> list[str]:
        wrote = order.author == member.id
        if action == "view":
            if member.is_storefront:
                return [] if wrote else ["not-assigned"]
            return self._refusals_to_view(member, order) if is_restricted(member) else []
        if member.is_storefront or member.role == "sales_assistant":
            # In a state in which nobody may, it is not for want of a right.
            is_open = order.state in {"draft", "fulfilled", "cancelled"} or action == "place"
            return [] if wrote and is_open else ["not-own-draft"]
        return self._refusals_to_change(member, action, order) if is_restricted(member) else []

    def _refusals_to_view(self, member: Member, order: Order) -> list[str]:
        """L8: all orders of the portfolio; V5: and those of one's own that were placed in one's time."""
        relation = self.relation(member.id, order.customer_id)
        kept = order.author == member.id and order.author_keeps_view
        keeps = kept and self.world.settings.author_keeps_order_view
        return [] if relation.main or relation.additional or keeps else [relation.refusal]

    def _refusals_to_change(self, member: Member, action: str, order: Order) -> list[str]:
        """L8: main changes all, additional what they wrote; what is confirmed, neither."""
        relation = self.relation(member.id, order.customer_id)
        refusals = []
        if relation.additional and not relation.main:
            if order.author != member.id and not self.world.settings.additional_full_rights:
                refusals.append("order-not-own-as-additional")
        elif not relation.main:
            refusals.append(relation.refusal)
        if action in {"edit", "cancel"} and order.state == "confirmed":
            refusals.append("order-state-forbids")
        return refusals
