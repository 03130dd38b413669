"""A stack that is told distinctive secrets, and all that people do with them: above all what fails.

What was planted is in `Case.secrets` and `WORDS`, what commands and clients were told in `Case.folder`; who
calls this searches for the one in the other (S22). What operators do is in `misconfiguring`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import asyncpg
import httpx2

from bailiwick_launcher.services import SERVICES
from bailiwick_launcher.stacks.native import NativeStack
from bailiwick_testkit.checks.operations import operations
from bailiwick_testkit.fakes.smtp_thread import PostOffice
from bailiwick_testkit.fakes.subscriber import Ear
from bailiwick_testkit.security.canaries import Canary
from bailiwick_testkit.servers.stack import Running
from bailiwick_testkit.services.company import Company, done
from bailiwick_testkit.waiting import wait_until

PLACED = "orders.order.placed.v1"


def made_up(text: str) -> str:
    """Make up a secret: nobody else's, either half of it, and with whatever is in the text."""
    return f"{secrets.token_hex(8)}{text}{secrets.token_hex(8)}"


NUMBER = secrets.token_hex(6)
"""Part of all personal data, so that nothing else looks like it."""
TRACE = secrets.token_hex(16)
"""The trace that some requests are part of."""
KEPT = {
    "door": made_up('"7%+/=& door '),
    "cursor": made_up('ñ"7%+/\\=&<cursor> '),
    "postgres": made_up('"7%+=&'),
    "rabbitmq": made_up("-"),
}
"""What the launcher would make up: name in its file → secret."""
SMTP_USER, SMTP_PASSWORD = "canary mailer", made_up('"7%+/\\=& <smtp>')
WORDS = {
    "member's name": f"Zoë Cañizares {NUMBER}",
    "member's address": f"zoe.{NUMBER}@people.example",
    "customer's name": f"Librería Ñandú {NUMBER}",
    "contact's name": f"Íñigo Contacto {NUMBER}",
    "contact's address": f"inigo.{NUMBER}@people.example",
    "phone": f"+34 600 {NUMBER}",
    "street": f"Calle del Cañón {NUMBER}",
    "tax id": f"TAX-{NUMBER}-B",
    "note": f"to the back door, {NUMBER} says",
    "search": f"looked-for-{NUMBER}",
}
"""Personal data, which no log may hold."""

_TOKEN, _REVOKE, _FEED = "/v1/auth/token", "/v1/auth/revoke", "/internal/v1/changes"
TRACED = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
"""The header of those."""


@dataclass
class Case:
    """The stack, everything that must not be found, and where what was gathered lies."""

    running: Running
    company: Company
    office: PostOffice
    ear: Ear
    folder: Path
    secrets: list[Canary] = field(default_factory=list)
    _commands: Iterator[int] = field(default_factory=count)

    @property
    def stack(self) -> NativeStack:
        """The launcher's view of what runs."""
        return self.running.stack

    @property
    def http(self) -> httpx2.Client:
        """A client at the gateway, whose answers are kept."""
        return self.company.http

    def plant(self, kind: str, value: str | bytes | None = None) -> str:
        """Have something looked for later, and give it; made up, if it is not given."""
        planted = made_up(f'ñ"7%+/\\=& <{kind}> ') if value is None else value
        self.secrets.append(Canary(kind, planted))
        return planted if isinstance(planted, str) else ""

    def sign_in(self, form: dict[str, str], status: int = 200, **request: Any) -> dict[str, Any]:
        """Ask for a token, and have what was given looked for: of an access token its signature."""
        told: dict[str, Any] = self.post(_TOKEN, status, data=form, **request).json()
        if "access_token" in told:
            self.plant("access token", told["access_token"].rpartition(".")[2])
        if "refresh_token" in told:
            self.plant("refresh token", told["refresh_token"])
        return told

    def post(self, path: str, status: int, **request: Any) -> httpx2.Response:
        """Send a POST to the gateway that is answered with this status."""
        answer = self.http.post(path, **request)
        assert answer.status_code == status, f"{path}: {answer.status_code}"  # noqa: S101
        return answer

    def run(
        self, service: str, *words: str, text: str = "", succeeds: bool = False, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a service's command, whose output is kept; it fails, unless told otherwise."""
        environment = self.stack.environment(service, words[0])
        environment |= {"BAILIWICK_OPERATIONS_LISTEN": "127.0.0.1:0"}
        environment |= {f"BAILIWICK_{name}": value for name, value in settings.items()}
        ran = self.stack.python.run(self.stack.places, service, words, environment, text)
        assert (ran.returncode == 0) is succeeds, f"{service} {words}: {ran.returncode}"  # noqa: S101
        file = self.folder / "commands" / f"{next(self._commands)}-{service}-{words[0]}"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"{ran.stdout}\n{ran.stderr}")
        return ran

    def dsn(self, service: str) -> str:
        """Give the superuser's DSN of a service's database."""
        name = self.stack.database(service).name
        return urlsplit(self.stack.postgres.url)._replace(path=f"/{name}").geturl()

    def sql(self, statement: str, service: str) -> None:
        """Do something to a service's database as the superuser."""

        async def executed() -> None:
            connection = await asyncpg.connect(self.dsn(service))
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

        asyncio.run(executed())

    def log(self, name: str) -> str:
        """Give what somebody has logged until now."""
        return (self.stack.places.folder("logs") / f"{name}.log").read_text()

    def await_log(self, name: str, *words: str) -> None:
        """Return when all of these have been logged."""
        wait_until(lambda: all(word in self.log(name) for word in words), f"{name} logs {words}")

    def ready(self) -> None:
        """Return when all services are."""
        wait_until(
            lambda: all(self.running.health(one) == 200 for one in SERVICES),  # noqa: PLR2004 - OK
            "all services are ready",
        )


def people_work(case: Case) -> str:
    """Have people work with customers and orders, all of it about somebody; give Zoë's password."""
    boss, password = case.company.boss, case.plant("password")
    zoe = {"name": WORDS["member's name"], "email": WORDS["member's address"], "password": password}
    hired = {**zoe, "permissions": ["seller"]}
    made = done(boss.send("POST", "/v1/members", hired, idempotency_key="k1", **TRACED))
    contact = {"name": WORDS["contact's name"], "email": WORDS["contact's address"]}
    address = {"country": "ES", "line1": WORDS["street"], "city": "León", "primary": True}
    customer_id = case.company.customer(
        WORDS["customer's name"],
        tax_id=WORDS["tax id"],
        contacts=[{**contact, "phone": WORDS["phone"]}],
        addresses=[address],
    )
    body = {"member_id": made["member_id"], "relation": "main"}
    done(boss.post(f"/v1/customers/{customer_id}/assignments", body))
    order = case.company.order(boss, customer_id, note=WORDS["note"])
    reason = {"reason": WORDS["search"], "note": WORDS["note"]}
    done(boss.patch(f"/v1/orders/{order['order_id']}", reason))
    for one in operations():
        if one.method == "GET" and "{" not in one.path:
            boss.send("GET", one.path, params={"text": WORDS["search"]}, **TRACED)
    assert boss.get(f"/v1/customers/{quote(WORDS['search'])}").status_code == 404  # noqa: PLR2004, S101
    case.ear.wait_for(PLACED, {order["order_id"]})
    return password


def sign_ins(case: Case, password: str) -> None:
    """Sign in, go on, sign out; by password, refresh token and client secret; rightly and wrongly."""
    right = {"grant_type": "password", "username": WORDS["member's address"], "password": password}
    wrong = {**right, "password": case.plant("wrong password")}
    told = case.sign_in(right)
    case.sign_in(wrong, 400)
    case.sign_in({**wrong, "username": "nobody-" + WORDS["member's address"]}, 400)
    case.sign_in({**wrong, "grant_type": case.plant("secret as grant type")}, 400)
    case.post(_TOKEN, 400, json=wrong)
    case.post(_TOKEN, 400, content=b"password=%ff" + quote(wrong["password"]).encode())
    case.post(f"{_TOKEN}?password={quote(wrong['password'])}", 400)
    mine = {"Authorization": f"Bearer {told['access_token']}"}
    # What she may not do, so that a refusal is logged.
    refused = case.http.patch(
        "/v1/organization", json={}, headers={**mine, **TRACED, "If-Match": "*"}
    )
    assert refused.status_code == 403, refused.text  # noqa: PLR2004, S101
    in_query = case.http.get("/v1/me", params={"access_token": told["access_token"]})
    assert in_query.status_code == 401  # noqa: PLR2004, S101
    for broken in (told["access_token"][:-4] + "AAAA", case.plant("secret as token")):
        assert case.http.get("/v1/me", headers=_bearer(broken)).status_code == 401  # noqa: PLR2004, S101
    _refresh(case, told["refresh_token"], right)
    _as_a_service(case)


def _refresh(case: Case, token: str, right: dict[str, str]) -> None:
    def form(refresh_token: str) -> dict[str, str]:
        return {"grant_type": "refresh_token", "refresh_token": refresh_token}

    successor = case.sign_in(form(token))["refresh_token"]
    case.sign_in(
        form(case.plant("wrong refresh token", f"wrong-{secrets.token_urlsafe(32)}"[:43])), 400
    )
    case.post(f"{_TOKEN}?refresh_token={successor}", 400)
    case.sql("UPDATE refresh_tokens SET rotated_at = rotated_at - interval '1 hour'", "identity")
    case.sign_in(form(token), 400)  # used again: its session has ended
    case.sign_in(form(successor), 400)
    expired = case.sign_in(right)["refresh_token"]
    case.sql("UPDATE sessions SET expires_at = began_at", "identity")
    case.sign_in(form(expired), 400)
    case.post(_REVOKE, 200, data={"token": case.sign_in(right)["refresh_token"]})


def _as_a_service(case: Case) -> None:
    made = done(case.company.boss.post("/v1/service-accounts", {"name": "shop"}))
    client, secret = made["client_id"], case.plant("client secret", made["client_secret"])
    wrong = case.plant("wrong client secret")
    form = {"grant_type": "client_credentials"}
    case.sign_in({**form, "client_id": client, "client_secret": secret})
    case.sign_in(form, auth=(client, quote(secret)))
    case.sign_in({**form, "client_id": client, "client_secret": wrong}, 401)
    case.sign_in(form, 401, auth=(client, quote(wrong)))
    case.sign_in({**form, "client_secret": secret}, 400, auth=(client, secret))
    garbled = base64.b64encode(wrong.encode()).decode()
    case.sign_in(form, 401, headers={"Authorization": f"Basic {garbled}"})


def bodies(case: Case) -> None:
    """Send bodies that hold a password and are refused, and some whose handling fails unforeseen."""
    boss = case.company.boss
    mine = {"Authorization": f"Bearer {boss.token}", "Content-Type": "application/json"}
    email = "second-" + WORDS["member's address"]
    short = case.plant("short password", f"k7#{secrets.token_hex(4)}")
    wrong = case.plant("password in a wrong body")
    good = {"name": WORDS["member's name"], "email": email, "permissions": ["seller"]}
    for body, headers, status in (
        (json.dumps({**good, "password": short}), {}, 422),
        (json.dumps({**good, "password": [wrong]}), {}, 422),
        (json.dumps({**good, "password": wrong, "permissions": wrong}), {}, 422),
        (json.dumps({**good, "password": wrong})[:-2], {}, 400),
        (json.dumps(wrong), {}, 400),
        (json.dumps({**good, "password": wrong}), {"Content-Type": "text/plain"}, 415),
        (json.dumps({**good, "password": wrong}), {"Authorization": "Bearer x"}, 401),
    ):
        case.post("/v1/members", status, content=body, headers={**mine, **headers})
    broken = {**good, "password": wrong}
    # PostgreSQL shows the whole row that it refuses here: address, hash and all.
    case.sql("ALTER TABLE accounts ADD CONSTRAINT none CHECK (false) NOT VALID", "identity")
    case.post("/v1/members", 500, json=broken, headers={**mine, **TRACED})
    case.sql("ALTER TABLE accounts DROP CONSTRAINT none", "identity")
    case.sql("ALTER TABLE audit RENAME TO elsewhere", "customers")
    case.post("/v1/customers", 500, json={"name": WORDS["customer's name"]}, headers=mine)
    case.sql("ALTER TABLE elsewhere RENAME TO audit", "customers")
    lines = [json.dumps({**broken, "external_ref": "1"}), json.dumps({**good, "password": short})]
    options = ("import", "--org", case.company.org_id, "--source", "a")
    case.run("identity", *options, text=f"{lines[1]}\n{lines[0][:-3]}\n")
    case.run("identity", *options, text=lines[0], succeeds=True)


def change_feeds(case: Case) -> None:
    """Knock at the change feeds between services: with another secret, and with theirs."""
    wrong, right = case.plant("wrong change feed secret"), KEPT["door"]
    for service in ("identity", "customers"):
        address = f"{case.stack.address(service)}{_FEED}"
        for secret, status in ((wrong, 401), (right, 200)):
            query = {"org": case.company.org_id, "after": "0"}
            answer = httpx2.get(address, params=query, headers=_bearer(secret))
            assert answer.status_code == status, answer.text  # noqa: S101
    assert case.http.get(_FEED, params={"secret": right}).status_code == 404  # noqa: PLR2004, S101


def _bearer(secret: str) -> dict[bytes, bytes]:
    return {b"Authorization": b"Bearer " + secret.encode()}
