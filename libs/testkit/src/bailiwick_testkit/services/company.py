"""An organization of a test's own in the running stack: people signed in at the gateway, what they do."""

from __future__ import annotations

import json
import secrets
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2
from typing_extensions import override

from bailiwick_launcher.processes import StackError
from bailiwick_testkit.servers.stack import Client, Running
from bailiwick_testkit.services.orders import an_order

_POSITIONS_KEPT = 15
"""A service takes twenty at most."""


@dataclass(frozen=True)
class Someone(Client):
    """A member or a storefront, signed in. What the company has written is seen at once (D6)."""

    name: str
    member_id: str
    token: str
    positions: deque[str]
    email: str = ""

    @override
    def get(self, path: str, **query: Any) -> httpx2.Response:
        """Send a GET."""
        return self.send("GET", path, params=query or None)  # {} would take a query off the path

    def post(self, path: str, body: object = None, **headers: str) -> httpx2.Response:
        """Send a POST; headers are named with underscores."""
        return self.send("POST", path, body, **headers)

    def patch(self, path: str, body: object, etag: str = "*") -> httpx2.Response:
        """Send a PATCH against a version."""
        return self.send("PATCH", path, body, if_match=etag)

    def send(
        self, method: str, path: str, body: object = None, *, params: Any = None, **headers: str
    ) -> httpx2.Response:
        """Send a request after everything that the company has written, and keep where it got to."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent |= {"Authorization": f"Bearer {self.token}"}
        if self.positions:
            sent.setdefault("Bailiwick-After", ",".join(self.positions))
        answer = self.http.request(method, path, params=params, json=body, headers=sent)
        if written := answer.headers.get("Bailiwick-Position"):
            self.positions.extend(written.split(","))
        return answer


@dataclass
class Company:
    """An organization, the people in it by name, and the one who leads it: `boss`."""

    running: Running
    http: httpx2.Client
    org_id: str
    boss: Someone
    people: dict[str, Someone] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Someone:
        """Give somebody by name."""
        return self.people[name]

    def hire(self, name: str, role: str | None = None, **grants: Any) -> Someone:
        """Create a member by role, or with `permissions`, and sign them in."""
        email, password = f"{uuid4().hex}@wines.example", secrets.token_urlsafe(18)
        body = {"name": name, "email": email, "password": password, "role": role, **grants}
        done(self.boss.post("/v1/members", {k: v for k, v in body.items() if v is not None}))
        form = {"grant_type": "password", "username": email, "password": password}
        return self._signed_in(name, form)

    def storefront(self, name: str = "buyer") -> Someone:
        """Create a storefront's account, and sign it in."""
        made = done(self.boss.post("/v1/service-accounts", {"name": name}))
        secret = {key: made[key] for key in ("client_id", "client_secret")}
        return self._signed_in(name, {"grant_type": "client_credentials", **secret})

    def settings(self, **settings: object) -> None:
        """Change the organization's settings."""
        done(self.boss.patch("/v1/organization", {"settings": settings}))

    def customer(self, name: str, by: Someone | None = None, **body: Any) -> str:
        """Create a customer, and give its id."""
        made = done((by or self.boss).post("/v1/customers", {"name": name, **body}))
        return str(made["customer_id"])

    def assign(
        self, customer_id: str, member: Someone, relation: str = "main", **validity: str
    ) -> dict[str, Any]:
        """Assign a customer."""
        body = {"member_id": member.member_id, "relation": relation, **validity}
        return done(self.boss.post(f"/v1/customers/{customer_id}/assignments", body))

    def order(self, by: Someone, customer_id: str, **body: Any) -> dict[str, Any]:
        """Create an order as somebody: placed, unless told otherwise."""
        source = "portal" if by.name == "buyer" else "phone"
        body = {"source": source, "place": True, **body}
        return done(by.post("/v1/orders", an_order(customer_id, **body)))

    def _signed_in(self, name: str, form: Mapping[str, str]) -> Someone:
        someone = sign_in(self.http, name, form, self.boss.positions)
        self.people[name] = someone
        return someone


def done(answer: httpx2.Response) -> dict[str, Any]:
    """Give the body of an answer that says that it was done."""
    told = f"{answer.request.method} {answer.request.url}, {answer.elapsed}: {answer.text}"
    assert answer.is_success, told  # noqa: S101
    body: dict[str, Any] = answer.json()
    return body


def sign_in(
    http: httpx2.Client, name: str, form: Mapping[str, str], positions: deque[str]
) -> Someone:
    """Sign somebody in at the gateway."""
    token = done(http.post("/v1/auth/token", data=dict(form)))["access_token"]
    me = done(http.get("/v1/me", headers={"Authorization": f"Bearer {token}"}))
    email = form.get("username", "")
    return Someone(http, name, me["member"]["member_id"], token, positions, email)


@contextmanager
def a_company(running: Running, boss: str = "Mia") -> Iterator[Company]:
    """Found an organization with a brand manager, as an operator would; nobody else is in it."""
    email, password = f"{uuid4().hex}@wines.example", secrets.token_urlsafe(18)
    described = {
        "name": "Wines & Co.",
        "time-zone": "Europe/Madrid",
        "currency": "EUR",
        "manager-name": boss,
        "email": email,
    }
    options = [f"--{name}={value}" for name, value in described.items()]
    founded = running.stack.run_service(
        "identity", "create-organization", *options, "--password-stdin", text=f"{password}\n"
    )
    if founded.returncode:
        raise StackError(founded.stderr)
    org_id = json.loads(founded.stdout.splitlines()[-1])["org_id"]
    with httpx2.Client(base_url=running.gateway, timeout=30) as http:
        form = {"grant_type": "password", "username": email, "password": password}
        someone = sign_in(http, boss, form, deque(maxlen=_POSITIONS_KEPT))
        yield Company(running, http, org_id, someone, {boss: someone})
