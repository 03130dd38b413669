"""Strangers at the gateway: every operation there is, tokens of every wrong kind, addresses that are none."""

from __future__ import annotations

import base64
import hmac
import http.client
import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2
import pytest
from joserfc import jws
from joserfc.jwk import ECKey

from bailiwick_testkit.checks.operations import Operation, operations
from bailiwick_testkit.security.attack_target import BY_NAME, Target, problem, settle
from bailiwick_testkit.servers.stack import Running
from bailiwick_testkit.services.company import Someone, a_company

PRIVATE = [one for one in operations() if one.asks_who]
MISSING, NO_RIGHT = (404, "not-found"), (403, "capability-missing")
CEILING, OPEN, INVALID = (403, "custom-ceiling"), (200, ""), (422, "invalid")
UNVERSIONED = (428, "precondition-required")
NOBODY, FORGED = (401, "unauthenticated"), (401, "token-invalid")

# Operation → what a custom member of the organization is answered, and a representative: one of
# another organization and one of this with no portfolio are answered the same.
EXPECTED = {
    "read_me": (OPEN, OPEN),
    "list_memberships": (OPEN, OPEN),
    "accept_membership": (MISSING, MISSING),
    "list_members": (NO_RIGHT, NO_RIGHT),
    "create_member": (NO_RIGHT, NO_RIGHT),
    "read_member": (NO_RIGHT, NO_RIGHT),
    "change_member": (NO_RIGHT, NO_RIGHT),
    "deactivate_member": (NO_RIGHT, NO_RIGHT),
    "reactivate_member": (NO_RIGHT, NO_RIGHT),
    "create_service_account": (NO_RIGHT, NO_RIGHT),
    "read_organization": (OPEN, OPEN),
    "change_organization": (NO_RIGHT, NO_RIGHT),
    "list_customers": (NO_RIGHT, OPEN),
    "count_customers": (NO_RIGHT, OPEN),
    "look_up_customers": (NO_RIGHT, OPEN),
    "create_customer": (NO_RIGHT, INVALID),
    "read_customer": (NO_RIGHT, MISSING),
    "edit_customer": (NO_RIGHT, MISSING),
    "set_terms": (CEILING, MISSING),
    "approve_customer": (CEILING, NO_RIGHT),
    "suspend_customer": (CEILING, NO_RIGHT),
    "reinstate_customer": (CEILING, NO_RIGHT),
    "assign_customer": (CEILING, NO_RIGHT),
    "end_assignment": (CEILING, NO_RIGHT),
    "list_assignments": (NO_RIGHT, NO_RIGHT),
    "list_representatives": (CEILING, NO_RIGHT),
    "list_orders": (NO_RIGHT, OPEN),
    "count_orders": (NO_RIGHT, OPEN),
    "create_order": (CEILING, MISSING),
    "read_order": (NO_RIGHT, MISSING),
    "edit_order": (NO_RIGHT, MISSING),
    "place_order": (NO_RIGHT, MISSING),
    "cancel_order": (NO_RIGHT, MISSING),
    "confirm_order": (NO_RIGHT, NO_RIGHT),
    "fulfil_order": (NO_RIGHT, NO_RIGHT),
    "list_order_versions": (NO_RIGHT, MISSING),
    "read_sales": (NO_RIGHT, OPEN),
    "export_sales": (NO_RIGHT, OPEN),
    "read_credit": (NO_RIGHT, OPEN),
    "export_credit": (NO_RIGHT, OPEN),
    "read_portfolio": (NO_RIGHT, OPEN),
    "export_portfolio": (NO_RIGHT, OPEN),
    "read_team": (NO_RIGHT, NO_RIGHT),
    "export_team": (NO_RIGHT, NO_RIGHT),
    "list_deliveries": (OPEN, OPEN),
    "count_deliveries": (OPEN, OPEN),
    "read_delivery": (MISSING, MISSING),
    "read_notification_preferences": (OPEN, OPEN),
    "change_notification_preferences": (UNVERSIONED, UNVERSIONED),
}


@pytest.fixture(scope="module")
def target(stack: Running) -> Iterator[Target]:
    with a_company(stack) as company, a_company(stack, "Mona") as strangers:
        target = settle(company)
        company.hire("Zoe", "custom_member", ticks={"prices": "edit"})
        company.hire("Ben", "sales_representative")
        company.people["Stranger"] = strangers.hire("Stranger", "sales_representative")
        yield target


def wrong_body(target: Target, operation: Operation) -> bytes:
    """Give a body that is wrong throughout, except for whom an order is: that decides on sight."""
    body = {"customer_id": target.ids["customer_id"]} if operation.name == "create_order" else {}
    return json.dumps({**body, "nonsense": [None]}).encode()


def ask(target: Target, who: Someone, operation: Operation) -> httpx2.Response:
    """Send an operation with a wrong body and no If-Match: rights and sight come before both."""
    headers = {"Authorization": f"Bearer {who.token}", "Content-Type": "application/json"}
    content = None if operation.schema is None else wrong_body(target, operation)
    return who.http.request(
        operation.method, operation.at(**target.ids), content=content, headers=headers
    )


def told(answer: httpx2.Response) -> tuple[int, str]:
    """Give status and code; an answer that is no problem has none."""
    if answer.is_success:
        return answer.status_code, ""
    return problem(answer)


def test_no_operation_is_forgotten() -> None:
    assert {one.name for one in PRIVATE} == EXPECTED.keys()
    assert BY_NAME.keys() - EXPECTED.keys() == {"read_keys", "issue_token", "revoke_token"}


@pytest.mark.parametrize("operation", PRIVATE, ids=lambda one: one.name)
def test_each_operation_answers_strangers_and_who_has_no_right(
    target: Target, operation: Operation
) -> None:
    custom, representative = EXPECTED[operation.name]
    nobody = target.company.http.request(operation.method, operation.at(**target.ids))
    assert told(nobody) == NOBODY
    assert nobody.headers["www-authenticate"] == "Bearer"
    assert told(ask(target, target.company["Zoe"], operation)) == custom
    assert told(ask(target, target.company["Ben"], operation)) == representative
    assert told(ask(target, target.company["Stranger"], operation)) == representative
    # These are records that are there: who leads the organization is told other things.
    assert ask(target, target.boss, operation).status_code in {200, 409, 422, 428} or (
        operation.name == "accept_membership"
    )


def test_strangers_are_shown_nothing_of_ours(target: Target) -> None:
    for name in ("Stranger", "Ben"):
        who = target.company[name]
        for one in PRIVATE:
            answer = ask(target, who, one)
            if one.method == "GET" and answer.is_success:
                assert not [key for key, value in target.ids.items() if value in answer.text], one
        assert who.count("/v1/customers") == who.count("/v1/orders") == 0


# Tokens.


def _part(data: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()


def _opened(token: str, index: int) -> dict[str, Any]:
    text = token.split(".")[index]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return found


class Forger:
    """Makes tokens from a genuine one; knows the key that identity signs with."""

    def __init__(self, token: str, key: ECKey) -> None:
        self.token, self.key = token, key
        self.header, self.claims = _opened(token, 0), _opened(token, 1)

    def signed(self, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """Sign with the genuine key; a claim that is None is left out."""
        return self._signed({**self.header, **(header or {})}, claims, self.key)

    def by(self, key: ECKey) -> str:
        """Sign with another key, under the genuine one's name."""
        return self._signed(self.header, {}, key)

    def unsigned(self, algorithm: str, signature: str = "") -> str:
        """Say that there is no signature."""
        header = _part({**self.header, "alg": algorithm})
        return f"{header}.{_part(self.claims)}.{signature}"

    def by_public_key(self) -> str:
        """Sign by HMAC with what everybody may know."""
        signed = f"{_part({**self.header, 'alg': 'HS256'})}.{_part(self.claims)}"
        digest = hmac.digest(self.key.as_pem(private=False), signed.encode(), "sha256")
        return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"

    def _signed(self, header: dict[str, Any], claims: dict[str, Any], key: ECKey) -> str:
        told = {k: v for k, v in {**self.claims, **claims}.items() if v is not None}
        registry = jws.JWSRegistry(algorithms=["ES256"], strict_check_header=False)
        named = {k: v for k, v in header.items() if v is not None}
        return jws.serialize_compact(named, json.dumps(told), key, registry=registry)


NOW = int(time.time())
FORGERIES: dict[str, Callable[[Forger], str]] = {
    "expired": lambda f: f.signed(iat=NOW - 700, exp=NOW - 100),
    "not yet issued": lambda f: f.signed(iat=NOW + 3600, exp=NOW + 3900),
    "not yet valid": lambda f: f.signed(nbf=NOW + 3600),
    "too long a life": lambda f: f.signed(exp=NOW + 86400),
    "no end": lambda f: f.signed(exp=None),
    "an end in words": lambda f: f.signed(exp="never"),
    "another audience": lambda f: f.signed(aud="grapevine"),
    "two audiences": lambda f: f.signed(aud=["bailiwick", "grapevine"]),
    "no audience": lambda f: f.signed(aud=None),
    "another issuer": lambda f: f.signed(iss="http://identity.example"),
    "another type": lambda f: f.signed(header={"typ": "JWT"}),
    "no type": lambda f: f.signed(header={"typ": None}),
    "an unknown key": lambda f: f.signed(header={"kid": "another"}),
    "a key as a path": lambda f: f.signed(header={"kid": "../../../dev/null"}),
    "a key in itself": lambda f: f.signed(header={"jwk": f.key.as_dict(private=False)}),
    "a key elsewhere": lambda f: f.signed(header={"jku": "http://127.0.0.1:9/keys"}),
    "a kind of its own": lambda f: f.signed(kind="operator"),
    "no organization": lambda f: f.signed(org=None),
    "an organization that is a list": lambda f: f.signed(org=[f.claims["org"]]),
    "another's signature": lambda f: f.by(ECKey.generate_key("P-256")),
    "alg none": lambda f: f.unsigned("none"),
    "alg nOnE": lambda f: f.unsigned("nOnE"),
    "alg none, signed": lambda f: f.unsigned("none", f.token.rpartition(".")[2]),
    "HMAC by the public key": Forger.by_public_key,
    "no signature": lambda f: f.token.rpartition(".")[0] + ".",
    "other claims, the old signature": lambda f: ".".join(
        (f.token.split(".")[0], _part({**f.claims, "mem": str(uuid4())}), f.token.split(".")[2])
    ),
    "nonsense": lambda _: "nonsense",
    "dots": lambda _: "..",
    "a list": lambda _: f"{_part([])}.{_part([])}.AAAA",
    "long": lambda _: "a" * 9000,
}


@pytest.fixture(scope="module")
def forger(target: Target, stack: Running) -> Forger:
    kept = json.loads((stack.stack.places.folder("identity") / "signing-keys.json").read_text())
    return Forger(target.boss.token, ECKey.import_key(kept["keys"][0]))


PATHS = ("/v1/me", "/v1/customers", "/v1/orders/count")


def bearing(target: Target, token: str, path: str) -> httpx2.Response:
    return target.company.http.get(path, headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("path", PATHS)
def test_what_the_forger_signs_unchanged_is_let_in(
    target: Target, forger: Forger, path: str
) -> None:
    # So it is for what was changed that the others are not.
    assert bearing(target, forger.signed(), path).status_code == 200


@pytest.mark.parametrize("name", FORGERIES)
def test_a_token_that_is_not_right_is_no_token(target: Target, forger: Forger, name: str) -> None:
    for path in PATHS:
        answer = bearing(target, FORGERIES[name](forger), path)
        assert told(answer) == FORGED, path
        assert answer.headers["www-authenticate"] == "Bearer"


def test_a_token_counts_in_its_header_alone(target: Target) -> None:
    http, token = target.company.http, target.boss.token
    for headers, query in (
        ({"Authorization": f"Basic {token}"}, {}),
        ({"Authorization": "Bearer"}, {}),
        ({"Authorization": token}, {}),
        ({"Cookie": f"access_token={token}"}, {}),
        ({"X-Authorization": f"Bearer {token}"}, {}),
        ({}, {"access_token": token}),
    ):
        answer = http.get("/v1/customers", headers=headers, params=query)
        assert told(answer) == NOBODY, headers


def test_a_genuine_signature_on_anothers_organization_opens_nothing(
    target: Target, forger: Forger
) -> None:
    # Only who has the key can do this; even so, a membership that is not there has no rights.
    theirs = _opened(target.company["Stranger"].token, 1)["org"]
    for path in PATHS:
        answer = bearing(target, forger.signed(org=theirs), path)
        assert answer.status_code in {401, 503}, answer.text


# Addresses that are none.

CLOSED = [
    "/",
    "/v1",
    "/internal",
    "/internal/v1/changes",
    "/internal/v1/changes?org=x&after=0",
    "/live",
    "/ready",
    "/metrics",
    "/docs",
    "/redoc",
    "/openapi.json",
    "//internal/v1/changes",
    "//v1/customers",
    "/v1//customers",
    "/v1/./customers",
    "/v1/customers/",
    "/v1/customers/..",
    "/v1/customers/../../internal/v1/changes",
    "/v1/customers/..%2f..%2finternal/v1/changes",
    "/v1/customers/%2e%2e/%2e%2e/internal/v1/changes",
    "/v1/customers/%2E%2E/%2E%2E/ready",
    "/v1/customers/..;/..;/internal/v1/changes",
    "/v1/customers%2f..%2f..%2fready",
    "/v1/customers/..\\..\\ready",
    "/v1/customers/%c0%ae%c0%ae/ready",
    "/V1/CUSTOMERS",
    "/v1/customers.json",
    "/v1/customersx",
    "/v1/auth/../../internal/v1/changes",
    "/v1/auth/",
    "/.well-known/jwks.json/../../internal/v1/changes",
    "/.problem/missing",
]


def knocked(running: Running, method: str, path: str, token: str) -> tuple[int, bytes]:
    """Send a path as it is written, as no well-meaning client would."""
    address = urlsplit(running.gateway)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
    headers = {"Authorization": f"Bearer {token}", "X-Original-URL": "/internal/v1/changes"}
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("path", CLOSED)
def test_what_is_not_a_promise_is_not_there(stack: Running, target: Target, path: str) -> None:
    for token in (target.boss.token, stack.stack.places.kept.secret("door")):
        status, body = knocked(stack, "GET", path, token)
        assert (status, json.loads(body)["code"]) == (404, "not-found")


@pytest.mark.parametrize("path", ["/v1/customers/%00", "/v1/customers%00", "/%ff%00"])
def test_a_path_that_no_text_has_is_malformed(stack: Running, target: Target, path: str) -> None:
    status, body = knocked(stack, "GET", path, target.boss.token)
    assert (status, json.loads(body)["code"]) == (400, "malformed")


def test_another_address_in_the_first_line_is_not_followed(stack: Running, target: Target) -> None:
    for path in ("http://127.0.0.1:1/internal/v1/changes", f"{stack.gateway}/ready"):
        assert knocked(stack, "GET", path, target.boss.token)[0] == 404


@pytest.mark.parametrize("method", ["DELETE", "PUT", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"])
def test_methods_that_no_operation_has_do_nothing(
    stack: Running, target: Target, method: str
) -> None:
    for path in (target.at("read_customer"), target.at("read_order"), "/v1/me"):
        status, _ = knocked(stack, method, path, target.boss.token)
        assert status in {400, 405}, path
    assert target.send(target.boss, "read_customer").status_code == 200
