"""Somebody of the sample company at the gateway: the public API, as any client would use it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx2
from typing_extensions import override

_POSITIONS_KEPT = 12
_NOT_YET = 503
_PATIENCE = 60.0
"""Seconds that somebody goes on asking."""
_REFUSALS = {401: "not signed in", 403: "not allowed", 404: "not found"}


class SignInError(Exception):
    """Somebody could not sign in; the message says who, and what was answered."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: Any
    etag: str = ""

    def __getitem__(self, name: str) -> Any:
        """Give a member of the body."""
        return self.body[name]

    @property
    def reason(self) -> str:
        """The code that says why it was refused, "" if it was not."""
        return str(self.body.get("code", "")) if isinstance(self.body, dict) else ""

    @override
    def __str__(self) -> str:
        """Say in words what came back."""
        if self.status < 400:  # noqa: PLR2004 - everything from here on is a refusal
            return "opened" if self.status == 200 else f"done ({self.status})"  # noqa: PLR2004 - OK
        said = _REFUSALS.get(self.status, f"refused ({self.status})")
        detail = self.body.get("detail") or self.body.get("title") if self.reason else ""
        return f"{said}: {detail}" if detail and self.status not in _REFUSALS else said


@dataclass(frozen=True)
class Gateway:
    """The one address, and what everybody has written there lately.

    A client that wants to see its own last change at once sends back where its writes got to. In the
    story one person acts and the next one looks, so here they hand that on to each other.
    """

    http: httpx2.Client
    positions: deque[str] = field(default_factory=lambda: deque(maxlen=_POSITIONS_KEPT))


@contextmanager
def at_gateway(url: str) -> Iterator[Gateway]:
    """Open connections to the gateway."""
    with httpx2.Client(base_url=url, timeout=30) as http:
        yield Gateway(http)


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in."""

    name: str
    role: str
    email: str
    member_id: UUID
    gateway: Gateway
    token: str

    @property
    def first(self) -> str:
        """What they are called in the story."""
        return self.name.partition(" ")[0]

    def get(self, path: str, **query: Any) -> Answer:
        """Read something."""
        return self._send("GET", path, query=query)

    def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Create something; with a key, so that a lost answer could be asked for again."""
        return self._send("POST", path, body=body, headers={"Idempotency-Key": str(uuid4())})

    def patch(self, path: str, body: Mapping[str, Any], etag: str) -> Answer:
        """Change something as it was when it was read."""
        return self._send("PATCH", path, body=body, headers={"If-Match": etag})

    def count(self, what: str, **query: Any) -> Answer:
        """Ask how many customers or orders there are for them."""
        return self.get(f"/v1/{what}/count", **query)

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        sent = {"Authorization": f"Bearer {self.token}"} | dict(headers or {})
        positions = self.gateway.positions
        if positions:
            sent["Bailiwick-After"] = ",".join(positions)
        deadline = time.monotonic() + _PATIENCE
        while True:
            answer = self.gateway.http.request(
                method, path, params=dict(query or {}), json=body, headers=sent
            )
            # A service that has not heard of it all yet says when to ask again, and so one does.
            again = answer.headers.get("Retry-After") if answer.status_code == _NOT_YET else None
            if again is None or time.monotonic() > deadline:
                break
            time.sleep(int(again))
        if written := answer.headers.get("Bailiwick-Position"):
            positions.extend(written.split(","))
        return Answer(answer.status_code, _read(answer), answer.headers.get("ETag", ""))


def signed_in(gateway: Gateway, sign_in: Mapping[str, str]) -> Person:
    """Sign somebody in.

    Raises:
        SignInError: they were not let in.
    """
    who, password = sign_in["email"], sign_in["password"]
    named = {"username": who, "password": password}
    if sign_in["grant_type"] == "client_credentials":
        named = {"client_id": who, "client_secret": password}
    form = {"grant_type": sign_in["grant_type"], **named}
    answer = gateway.http.post("/v1/auth/token", data=form)
    if answer.status_code != 200:  # noqa: PLR2004 - OK
        said = Answer(answer.status_code, _read(answer))
        raise SignInError(f"{sign_in['name']} could not sign in: {said}")
    token = answer.json()["access_token"]
    me = gateway.http.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
    if me.status_code != 200:  # noqa: PLR2004 - OK
        said = Answer(me.status_code, _read(me))
        raise SignInError(f"{sign_in['name']} signed in and is not known: {said}")
    member_id = UUID(me.json()["member"]["member_id"])
    return Person(sign_in["name"], sign_in["role"], who, member_id, gateway, token)


def _read(answer: httpx2.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return {}
