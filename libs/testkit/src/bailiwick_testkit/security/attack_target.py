"""An organization to attack at the gateway: a record of each kind, a good body for each operation."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2

from bailiwick_testkit.checks.operations import Operation, operations
from bailiwick_testkit.services.company import Company, Someone, done
from bailiwick_testkit.services.orders import a_line, an_order
from bailiwick_testkit.waiting import wait_until

BY_NAME: Mapping[str, Operation] = {one.name: one for one in operations()}
"""operationId → operation."""
TAKING_BODIES = sorted(
    name for name, one in BY_NAME.items() if one.schema and one.schema.get("properties", True)
)
"""The operations that take a body of JSON with something in it."""


@dataclass
class Target:
    """An organization, and the ids to put into paths: each of a record that exists in it."""

    company: Company
    ids: dict[str, str]

    @property
    def boss(self) -> Someone:
        """The brand manager."""
        return self.company.boss

    def at(self, name: str) -> str:
        """Give the path of an operation on these records."""
        return BY_NAME[name].at(**self.ids)

    def send(self, who: Someone, name: str, body: object = None, **headers: str) -> httpx2.Response:
        """Send an operation as somebody, with a body of JSON or none."""
        return who.send(BY_NAME[name].method, self.at(name), body, **headers)

    def raw(self, who: Someone, name: str, content: Any, **headers: str) -> httpx2.Response:
        """Send an operation with any bytes as its body, against any version."""
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        sent = {"Authorization": f"Bearer {who.token}", "If-Match": "*"}
        sent |= {"Content-Type": "application/json", **named}
        method = BY_NAME[name].method
        return who.http.request(method, self.at(name), content=content, headers=sent)

    def good(self, name: str) -> dict[str, Any]:
        """Give a body that the operation takes, with as many fields as it has."""
        customer_id, rep_id = self.ids["customer_id"], self.company["Rita"].member_id
        of_notifier = {"change_notification_preferences": {"new_orders": "daily", "language": "fr"}}
        of_orders = _of_orders(customer_id, rep_id)
        of_customers = _of_customers(rep_id, self.company.boss.member_id)
        return {**_of_identity(), **of_customers, **of_orders, **of_notifier}[name]


def settle(company: Company) -> Target:
    """Put a record of each kind into the organization, each to be changed as one likes."""
    rep = company.hire("Rita", "sales_representative")
    temp = company.hire("Temp", "sales_assistant")
    customer_id = company.customer("C1")
    assigned = company.assign(customer_id, rep)
    company.order(company.boss, customer_id)
    order = company.order(company.boss, customer_id, place=False)
    ids = {
        "customer_id": customer_id,
        "order_id": order["order_id"],
        "member_id": temp.member_id,
        "assignment_id": assigned["assignment_id"],
        "delivery_id": _delivery_to(company),
    }
    return Target(company, ids)


def _delivery_to(company: Company) -> str:
    """Give the mail about the placed order, as soon as notifier has heard of it."""
    found = wait_until(lambda: company.boss.list("/v1/deliveries"), "somebody is told of the order")
    return str(found[0]["delivery_id"])


def problem(answer: httpx2.Response) -> tuple[int, str]:
    """Give status and code of a problem, which is a whole one and tells nothing of what is inside."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text  # noqa: S101
    document = answer.json()
    named = {"type": f"urn:bailiwick:problem:{document['code']}", "status": answer.status_code}
    assert named.items() <= document.items(), answer.text  # noqa: S101
    assert document["title"], answer.text  # noqa: S101
    assert document["detail"], answer.text  # noqa: S101
    inside = ("Traceback", "sqlalchemy", "asyncpg", "pydantic")
    assert not [word for word in inside if word in answer.text], answer.text  # noqa: S101
    return answer.status_code, str(document["code"])


def read(target: Target, name: str) -> dict[str, Any]:
    """Give the record that an operation changes, as it is now."""
    reading = "organization" if "organization" in name else name.rpartition("_")[2]
    reading = {"terms": "customer", "preferences": "notification_preferences"}.get(reading, reading)
    return done(target.send(target.boss, f"read_{reading}"))


def _of_customers(rep_id: str, other_id: str) -> dict[str, dict[str, Any]]:
    address = {"country": "ES", "line1": "Calle Mayor 1", "city": "León", "primary": True}
    customer = {
        "name": "Café Ñandú",
        "tax_id": "B12345678",
        "contacts": [{"name": "Íñigo", "email": "i@wines.example", "phone": "1", "title": "Sr."}],
        "addresses": [{**address, "line2": "2º", "postal_code": "24001", "subdivision": "ES-LE"}],
        "tags": ["bar"],
    }
    terms = {
        "price_list": "A",
        "discount": "0.05",
        "payment_method": "30 days",
        "shipping_method": "van",
    }
    planned = {"valid_from": "2998-01-01T00:00:00Z", "valid_to": "2999-01-01T00:00:00Z"}
    return {
        "create_customer": {**customer, "terms": terms},
        "edit_customer": customer,
        "set_terms": terms,
        "approve_customer": {"main_id": rep_id},
        "assign_customer": {"member_id": other_id, "relation": "additional", **planned},
        "end_assignment": {"valid_to": "2999-01-01T00:00:00Z"},
    }


def _of_orders(customer_id: str, rep_id: str) -> dict[str, dict[str, Any]]:
    lines = [a_line(discount="0.05")]
    told = {
        "currency": "EUR",
        "note": "by the back door",
        "credited_to": rep_id,
        "place": True,
    }
    return {
        "create_order": an_order(customer_id, lines=lines, **told),
        "edit_order": {"lines": lines, "note": "twice", "reason": "a wish"},
        "place_order": {"credited_to": rep_id},
    }


def _of_identity() -> dict[str, dict[str, Any]]:
    settings = {
        "assignment_model": "main_plus_additional",
        "creator_keeps_access": False,
        "rep_customers_need_approval": False,
        "author_keeps_order_view": True,
        "additional_full_rights": False,
        "notify_additional": False,
    }
    member = {"name": "Nadia", "language": "es", "valid_until": "2999-01-01T00:00:00Z"}
    signs_in = {"email": f"{uuid4().hex}@wines.example", "password": secrets.token_urlsafe(18)}
    seller = {"mode": "permissions", "permissions": ["seller"]}
    return {
        "create_member": {**member, **signs_in, **seller, "valid_from": "2026-01-01T00:00:00Z"},
        "change_member": {**member, "mode": "role", "role": "sales_assistant"},
        "change_organization": {"name": "Wines & Co.", "settings": settings},
        "create_service_account": {"name": "shop"},
    }
