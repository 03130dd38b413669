"""Random small companies for property tests, and the questions about them as policy is asked.

Boundaries are drawn on purpose: assignments that start or end at this very instant, several of one
member to one customer, permissions named twice, rows of another organization.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, TypeAlias

from hypothesis import strategies as st

from bailiwick_testkit.policy.oracle import (
    CUSTOMER_MANAGEMENT,
    CUSTOMER_WORK,
    DELIVERY_ACTIONS,
    ELSEWHERE,
    MEMBER_ACTIONS,
    ORDER_ACTIONS,
    ORGANIZATION,
    ORGANIZATION_ACTIONS,
    PREFERENCE_ACTIONS,
    REPORT_ACTIONS,
    WATCHING,
    Assignment,
    Customer,
    Delivery,
    Member,
    Oracle,
    Order,
    Preference,
    Row,
    Settings,
    World,
    stands_above,
)

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
ROLES = (
    "brand_manager",
    "sales_manager",
    "sales_administrator",
    "sales_representative",
    "sales_assistant",
    "custom_member",
)
PERMISSIONS = (
    "seller",
    "customers",
    "orders",
    "reports",
    "products",
    "prices",
    "collections",
    "integrations",
    "settings",
    "members",
)
TICKS = ("products", "inventory", "looks", "prices", "collections", "customers")
DELIVERY_STATES = ("pending", "sent", "suppressed", "failed")
STATES = ("draft", "placed", "confirmed", "fulfilled", "cancelled")
_PLACED = STATES[1:]
"""What was placed, or may have been before it was cancelled."""
ACTIONS = {
    "customers": sorted(CUSTOMER_WORK | CUSTOMER_MANAGEMENT),
    "orders": sorted(ORDER_ACTIONS | WATCHING),
    "reports": sorted(REPORT_ACTIONS),
    "members": sorted(MEMBER_ACTIONS),
    "organizations": sorted(ORGANIZATION_ACTIONS),
    "deliveries": sorted(DELIVERY_ACTIONS),
    "preferences": sorted(PREFERENCE_ACTIONS),
}
ENTITIES = {
    "customers": "customer",
    "orders": "order",
    "reports": "order",
    "members": "member",
    "organizations": "organization",
    "deliveries": "delivery",
    "preferences": "preference",
}
"""What a row of a resource is called in policy's input."""

_MANAGED = ("customers", "orders", "reports")
CALLERS = (
    *(Member(f"role {role}", role=role) for role in ROLES if role != "custom_member"),
    *(
        Member(f"{column} ticked {tick}", role="custom_member", ticks=((column, tick),))
        for column, tick in product(TICKS, ("view", "edit"))
    ),
    Member("nothing"),
    *(Member(f"permission {one}", permissions=(one,)) for one in PERMISSIONS),
    *(Member(f"seller and {one}", permissions=("seller", one)) for one in PERMISSIONS[1:]),
    *(Member(f"{one} and members", permissions=(one, "members")) for one in _MANAGED),
    Member("everything", permissions=PERMISSIONS),
    Member("storefront", is_storefront=True),
    Member("inactive", role="brand_manager", status="inactive"),
    Member("expired", role="brand_manager", expired=True),
)
"""Every kind of caller there is, one of each."""

COLLEAGUES = (Member("a manager", role="brand_manager"), Member("nobody's rival"))
"""Who is in every organization: one above everybody, and one who has nothing."""
STRANGER = Member("a stranger", role="sales_assistant", org_id=ELSEWHERE)
"""A member of another organization."""

_MEMBERS = ("m1", "m2", "m3", "m4", "m5")
_CUSTOMERS = ("c1", "c2", "c3", "c4")
_ORDERS = ("o1", "o2", "o3", "o4", "o5", "o6")
_DELIVERIES = ("d1", "d2", "d3")

_Rights: TypeAlias = st.SearchStrategy[dict[str, Any]]

_representative: _Rights = st.sampled_from(
    [
        {"role": "sales_representative"},
        {"permissions": ("seller",)},
        {"permissions": ("seller", "seller")},
    ]
)
_by_role: _Rights = st.fixed_dictionaries(
    {
        "role": st.sampled_from(ROLES),
        "ticks": st.dictionaries(st.sampled_from(TICKS), st.sampled_from(["view", "edit"])).map(
            lambda ticks: tuple(sorted(ticks.items()))
        ),
    }
)
_by_permissions: _Rights = st.fixed_dictionaries(
    {"permissions": st.lists(st.sampled_from(PERMISSIONS), max_size=3).map(tuple)}
)
_storefront: _Rights = st.just({"is_storefront": True})
_in_force = st.sampled_from([("active", False)] * 8 + [("invited", False), ("inactive", True)])
_hours = st.sampled_from([-2, -1, 0, 1, 2])
_organizations = st.sampled_from([ORGANIZATION] * 7 + [ELSEWHERE])


@st.composite
def members(draw: st.DrawFn, member_id: str) -> Member:
    """Draw a membership; every other one is restricted to a portfolio."""
    rights = draw(
        st.one_of(_representative, _representative, _by_role, _by_permissions, _storefront)
    )
    status, expired = draw(_in_force)
    return Member(member_id, status=status, expired=expired, **rights)


@st.composite
def assignments(draw: st.DrawFn) -> Assignment:
    """Draw an assignment that ends, starts or holds around now."""
    start, end = sorted(draw(st.lists(_hours, min_size=2, max_size=2, unique=True)))
    return Assignment(
        customer_id=draw(st.sampled_from(_CUSTOMERS)),
        member_id=draw(st.sampled_from(_MEMBERS)),
        is_main=draw(st.booleans()),
        valid_from=NOW + timedelta(hours=start),
        valid_to=NOW + timedelta(hours=end),
    )


@st.composite
def orders(draw: st.DrawFn, order_id: str, authors: st.SearchStrategy[str]) -> Order:
    """Draw an order; its author may keep the view of what was placed, and of nothing else."""
    state = draw(st.sampled_from(STATES))
    return Order(
        order_id,
        customer_id=draw(st.sampled_from(_CUSTOMERS)),
        author=draw(authors),
        state=state,
        author_keeps_view=state in _PLACED and draw(st.booleans()),
        org_id=draw(_organizations),
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw a company of a fixed size, so that a number of worlds is a number of questions."""
    authors = st.sampled_from(_MEMBERS)
    return World(
        now=NOW,
        settings=Settings(*(draw(st.booleans()) for _ in range(3))),
        members=tuple(draw(members(each)) for each in _MEMBERS),
        customers=tuple(
            Customer(
                each,
                created_by=draw(authors),
                status=draw(st.sampled_from(["pending", "approved", "suspended"])),
                org_id=draw(_organizations),
            )
            for each in _CUSTOMERS
        ),
        orders=tuple(draw(orders(each, authors)) for each in _ORDERS),
        assignments=tuple(draw(st.lists(assignments(), min_size=4, max_size=16))),
        deliveries=tuple(
            Delivery(
                each,
                recipient=draw(authors),
                state=draw(st.sampled_from(DELIVERY_STATES)),
                org_id=draw(_organizations),
            )
            for each in _DELIVERIES
        ),
        preferences=tuple(Preference(each, org_id=draw(_organizations)) for each in _MEMBERS[:2]),
    )


def world_of(caller: Member) -> World:
    """Return a company in which a caller meets rows of every resource: their own and others'.

    With it every cell of the matrix is asked about; random worlds seldom hold the rarer callers.
    """
    theirs, others = _CUSTOMERS[:2]
    return World(
        NOW,
        Settings(),
        members=(caller,),
        customers=tuple(Customer(each, created_by="somebody") for each in (theirs, others)),
        orders=tuple(
            Order(
                f"{customer} {author} {state} {keeps}",
                customer,
                author=author,
                state=state,
                author_keeps_view=keeps,
            )
            for customer, author, (state, keeps) in product(
                (theirs, others),
                (caller.id, "somebody"),
                (("draft", False), ("placed", False), ("placed", True)),
            )
        ),
        assignments=(
            Assignment(
                theirs,
                caller.id,
                is_main=True,
                valid_from=NOW - timedelta(hours=1),
                valid_to=NOW + timedelta(hours=1),
            ),
        ),
        deliveries=tuple(
            Delivery(f"to {each}", recipient=each) for each in (caller.id, "somebody")
        ),
        preferences=tuple(Preference(each) for each in (caller.id, "somebody")),
    )


@dataclass(frozen=True)
class Question:
    """One question to policy: by whom, about which resource, to do what, with which row if any."""

    member: Member
    resource: str
    action: str
    row: Row | None

    def document(self, world: World) -> dict[str, object]:
        """Return the input that a service would send."""
        document = caller_document(world, self.member, self.action)
        if self.row is not None:
            name = type(self.row).__name__.lower()
            document[name] = row_document(world, self.member, self.row)
        return document


def questions(world: World) -> Iterator[Question]:
    """Return everything that can be asked: member by action by row, and what needs no row."""
    for member, resource in product(world.members, ACTIONS):
        for action in ACTIONS[resource]:
            rows = _rows(world, resource, action)
            yield from (Question(member, resource, action, row) for row in rows)


def _rows(world: World, resource: str, action: str) -> Sequence[Row | None]:
    """Return what an action may be asked about; an order is created for a customer, or for none yet."""
    match resource, action:
        case "orders", "create":
            return (*world.customers, None)
        case (_, "create" | "team") | ("organizations", _):
            return (None,)
        case "members", _:
            return (*world.members, STRANGER, *COLLEAGUES)
        case "customers", _:
            return world.customers
        case (("deliveries" | "preferences"), _):
            return world.deliveries if resource == "deliveries" else world.preferences
        case _:
            return world.orders


def caller_document(world: World, member: Member, action: str) -> dict[str, object]:
    """Return what a service says of the caller, the settings and the action."""
    return {
        "subject": {
            "org_id": member.org_id,
            "member_id": member.id,
            "kind": "service" if member.is_storefront else "member",
            "mode": "role" if member.role or member.is_storefront else "permissions",
            "role": member.role,
            "permissions": list(member.permissions),
            "ticks": dict(member.ticks),
            "collections": [],
            "status": member.status,
            "expired": member.expired,
        },
        "settings": {
            "assignment_model": "main_plus_additional",
            "creator_keeps_access": world.settings.creator_keeps_access,
            "rep_customers_need_approval": False,
            "author_keeps_order_view": world.settings.author_keeps_order_view,
            "additional_full_rights": world.settings.additional_full_rights,
            "notify_additional": False,
        },
        "action": action,
    }


def row_document(world: World, member: Member, row: Row) -> dict[str, object]:
    """Return what a service says of a row: itself, and how the caller stands to it."""
    if isinstance(row, Delivery):
        recipient = row.recipient == member.id
        return {"org_id": row.org_id, "recipient": recipient, "state": row.state}
    if isinstance(row, Member):
        return {"org_id": row.org_id, "above": stands_above(row, member)}
    if isinstance(row, Preference):
        return {"org_id": row.org_id, "recipient": row.member_id == member.id}
    if isinstance(row, Order):
        customer_id, author = row.customer_id, row.author
        itself: dict[str, object] = {
            "state": row.state,
            "author_keeps_view": row.author_keeps_view,
        }
    else:
        customer_id, author, itself = row.id, row.created_by, {"status": row.status}
    relation = Oracle(world).relation(member.id, customer_id)
    held = relation.main or relation.additional
    past = "ended" if relation.ended else "future" if relation.future else "none"
    return {
        "org_id": row.org_id,
        "main": relation.main,
        "additional": relation.additional,
        "author": author == member.id,
        "cover": False,
        "relation_state": "current" if held else past,
        **itself,
    }
