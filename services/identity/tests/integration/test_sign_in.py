"""Signing in: what a token says, who gets none, and in which words (D2, S4, S6)."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx2
import pytest
import sqlalchemy as sa
from joserfc import jwt
from joserfc.jwk import ECKey

from bailiwick_identity.domain.errors import TooManyAttempts
from bailiwick_identity.rules.throttle import RESERVE, Attempt, Source, Throttle
from bailiwick_identity.store import tables
from bailiwick_identity.store.sign_ins import StoredSignIns
from bailiwick_kit.clock import SystemClock
from bailiwick_kit.database.engine import Database
from bailiwick_kit.tokens.access_tokens import TokenVerifier
from bailiwick_kit.tokens.jwks import StaticKeys, usable_keys
from bailiwick_testkit.fakes.people import ISSUER
from bailiwick_testkit.services.identity import PASSWORD, IdentityService, claims_of

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def told(answer: httpx2.Response) -> tuple[int, dict[str, Any]]:
    """What an answer tells, but for the trace."""
    return answer.status_code, {k: v for k, v in answer.json().items() if k != "trace_id"}


async def test_a_token_says_who_calls_and_nothing_of_their_rights(house: IdentityService) -> None:
    mia = await house.found(email="mia@wines.example")

    answer = await house.sign_in("  MIA@Wines.example ")

    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert set(body) == {
        *("access_token", "token_type", "expires_in", "refresh_token", "device_token"),
    }
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 600)
    claims = claims_of(body["access_token"])
    assert set(claims) == {
        *("iss", "aud", "sub", "org", "mem", "mver", "kind", "sid", "iat", "exp"),
    }
    assert (claims["org"], claims["mem"]) == (str(mia.org_id), str(mia.member_id))
    published = (await house.api.get(None, "/.well-known/jwks.json")).json()
    verifier = TokenVerifier(
        StaticKeys(*usable_keys(published).values()), issuer=ISSUER, clock=SystemClock()
    )
    read = await verifier.verify(body["access_token"])
    assert (read.org_id, read.member_id, read.member_version) == (mia.org_id, mia.member_id, 1)


async def test_all_keys_are_published_and_no_private_part_of_any(house: IdentityService) -> None:
    answer = await house.api.get(None, "/.well-known/jwks.json")

    assert answer.headers["cache-control"] == "public, max-age=600"
    keys = answer.json()["keys"]
    assert [key["kid"] for key in keys] == ["new", "old"]
    assert all(set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"} for key in keys)


async def test_a_token_of_the_key_before_is_still_good_and_of_another_is_not(
    house: IdentityService,
) -> None:
    mia = await house.found()
    claims = claims_of(mia.token)
    header = {"alg": "ES256", "typ": "at+jwt"}
    stranger = ECKey.generate_key("P-256", {"kid": "new"})
    for key, kid, status in (
        (house.keys[0], "new", 200),
        (house.keys[1], "old", 200),
        (house.keys[1], "new", 401),
        (stranger, "new", 401),
        (house.keys[0], "gone", 401),
    ):
        token = jwt.encode({**header, "kid": kid}, claims, key)
        sent = {"Authorization": f"Bearer {token}"}
        assert (await house.api.send(None, "GET", "/v1/me", headers=sent)).status_code == status


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": None},
        {"aud": "another"},
        {"iss": "http://evil.example"},
        {"exp": 1},
        {"mver": 0},
        {"mem": "x"},
        {"iat": 0},
    ],
    ids=str,
)
async def test_wrong_claims_are_401_whoever_signed_them(
    shared: IdentityService, changes: dict[str, Any]
) -> None:
    mia = await shared.found()
    claims = {k: v for k, v in (claims_of(mia.token) | changes).items() if v is not None}
    token = jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": "new"}, claims, shared.keys[0])
    for path in ("/v1/me", "/v1/members", "/v1/organization"):
        sent = {"Authorization": f"Bearer {token}"}
        answer = await shared.api.send(None, "GET", path, headers=sent)
        assert (answer.status_code, answer.json()["code"]) == (401, "token-invalid")


async def test_unsigned_and_refresh_tokens_are_no_access_tokens(house: IdentityService) -> None:
    mia = await house.found(email="mia@wines.example")
    refresh_token = (await house.sign_in("mia@wines.example")).json()["refresh_token"]
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "at+jwt"}).encode())
    unsigned = f"{head.decode().rstrip('=')}.{mia.token.split('.')[1]}."
    for token in (refresh_token, unsigned, mia.token[:-4] + "AAAA", ""):
        sent = {"Authorization": f"Bearer {token}"}
        assert (await house.api.send(None, "GET", "/v1/me", headers=sent)).status_code == 401


async def test_an_unknown_user_and_a_wrong_password_are_told_the_same(
    house: IdentityService,
) -> None:
    await house.found(email="mia@wines.example")
    wrong = [
        await house.sign_in("mia@wines.example", "not her password at all"),
        await house.sign_in("nobody@wines.example", "not her password at all"),
        await house.sign_in("no address", "not her password at all"),
        await house.sign_in("mia@wines.example", "x"),
        await house.sign_in("mia@wines.example", "x" * 5000),
        await house.sign_in("mia@wines.example\x00", PASSWORD),
    ]

    assert told(wrong[0])[0] == 400
    body = told(wrong[0])[1]
    assert (body["error"], body["code"]) == ("invalid_grant", "invalid-grant")
    assert body["error_description"] == body["detail"]
    assert wrong[0].headers["content-type"] == "application/problem+json"
    assert all(told(one) == told(wrong[0]) for one in wrong)
    sizes = {len(one.content) for one in wrong}
    assert len(sizes) == 1


async def test_a_password_is_the_same_however_its_accents_are_typed(house: IdentityService) -> None:
    mia = await house.found()
    await house.member(
        mia, email="ana@wines.example", password="une façon très élégante", role="sales_assistant"
    )

    assert (await house.sign_in("ana@wines.example", "une façon très élégante")).is_success
    assert not (await house.sign_in("ana@wines.example", "une facon tres elegante")).is_success


@pytest.mark.parametrize(
    ("body", "headers", "error"),
    [
        (b"", FORM, "invalid_request"),
        (b"grant_type=", FORM, "invalid_request"),
        (b"grant_type=implicit", FORM, "unsupported_grant_type"),
        (b"grant_type=password", FORM, "invalid_request"),
        (b"grant_type=password&username=a@b.example", FORM, "invalid_request"),
        (b"grant_type=password&grant_type=password", FORM, "invalid_request"),
        (b"grant_type=password&username=%ff&password=x", FORM, "invalid_request"),
        (b"grant_type=password&username=\xff&password=x", FORM, "invalid_request"),
        (b"grant_type=password&username=a&password=b&org_id=x", FORM, "invalid_request"),
        (b"&".join(b"f%d=1" % n for n in range(100)), FORM, "invalid_request"),
        (b"grant_type=password&password=" + b"x" * 20000, FORM, "invalid_request"),
        (b'{"grant_type": "password"}', {"Content-Type": "application/json"}, "invalid_request"),
        (b"x", {"Content-Type": "multipart/form-data; boundary=x"}, "invalid_request"),
        (b"grant_type=password", {**FORM, "Content-Encoding": "gzip"}, "invalid_request"),
        (b"grant_type=refresh_token&refresh_token=x", FORM, "invalid_grant"),
        (b"grant_type=refresh_token&refresh_token=" + b"A" * 43, FORM, "invalid_grant"),
        (b"grant_type=client_credentials", FORM, "invalid_client"),
        (b"grant_type=client_credentials&client_id=x&client_secret=y", FORM, "invalid_client"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_is_no_token_request_is_refused_in_one_body(
    shared: IdentityService, body: bytes, headers: dict[str, str], error: str
) -> None:
    answer = await shared.api.send(None, "POST", "/v1/auth/token", content=body, headers=headers)

    assert answer.status_code == (401 if error == "invalid_client" else 400), answer.text
    told_error = answer.json()
    assert told_error["error"] == error
    assert told_error["error_description"]
    assert {"type", "title", "status", "detail", "code", "trace_id"} <= set(told_error)
    if error == "invalid_client":
        assert answer.headers["www-authenticate"] == 'Basic realm="bailiwick"'


async def test_who_is_a_member_of_several_says_which(house: IdentityService) -> None:
    first = await house.found(email="mia@wines.example")
    second = await house.found(email="other@wines.example")
    await house.member(second, email="mia@wines.example", role="sales_manager")
    alone = await house.sign_in("mia@wines.example")
    assert claims_of(alone.json()["access_token"])["org"] == str(first.org_id), "an invitation"

    mia = await house.person("mia@wines.example")
    invited = (await house.api.get(mia, "/v1/memberships")).json()["items"]
    open_one = next(one for one in invited if one["status"] == "invited")
    accepted = await house.api.post(mia, f"/v1/memberships/{open_one['member_id']}/accept")
    assert accepted.status_code == 200

    several = await house.sign_in("mia@wines.example")
    assert (several.status_code, several.json()["error"]) == (400, "invalid_request")
    assert {one["org_id"] for one in several.json()["organizations"]} == {
        str(first.org_id),
        str(second.org_id),
    }
    wrong = await house.sign_in("mia@wines.example", "not her password at all")
    assert "organizations" not in wrong.json()
    named = await house.person("mia@wines.example", second.org_id)
    assert named.org_id == second.org_id
    other = await house.sign_in("mia@wines.example", org_id=str(uuid4()))
    assert other.json()["error"] == "invalid_grant"


async def test_a_service_account_signs_in_with_its_secret_and_gets_no_refresh_token(
    house: IdentityService,
) -> None:
    mia = await house.found()
    made = (await house.api.post(mia, "/v1/service-accounts", {"name": "Web shop"})).json()
    client, secret = made["client_id"], made["client_secret"]
    basic = base64.b64encode(f"{client}:{quote(secret)}".encode()).decode()
    grant = {"grant_type": "client_credentials"}

    by_form = await house.token({**grant, "client_id": client, "client_secret": secret})
    by_header = await house.token(grant, Authorization=f"Basic {basic}")

    for answer in (by_form, by_header):
        assert answer.status_code == 200, answer.text
        assert set(answer.json()) == {"access_token", "token_type", "expires_in"}
        claims = claims_of(answer.json()["access_token"])
        assert (claims["sub"], claims["mem"], claims["kind"]) == (client, client, "service")
        assert "sid" not in claims
        sent = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        me = await house.api.send(None, "GET", "/v1/me", headers=sent)
        assert me.json()["member"]["kind"] == "service"
    for given in ({"client_secret": "x"}, {"client_id": str(mia.member_id)}):
        asked = {**grant, "client_id": client, "client_secret": secret, **given}
        refused = await house.token(asked)
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


async def test_guessing_is_slowed_down_and_another_device_still_gets_in(
    house: IdentityService,
) -> None:
    await house.found(email="mia@wines.example")
    wrong, right = (
        {"grant_type": "password", "username": "mia@wines.example", "password": password}
        for password in ("not her password at all", PASSWORD)
    )
    nobody = {**wrong, "username": "nobody@wines.example"}
    here, elsewhere = "192.0.2.7", "192.0.2.8"

    for _ in range(10):
        assert (await house.token(wrong, X_Forwarded_For=here)).status_code == 400
    slowed = await house.token(wrong, X_Forwarded_For=here)
    assert slowed.status_code == 429
    assert 0 < int(slowed.headers["retry-after"]) <= 900
    assert (await house.token(right, X_Forwarded_For=here)).status_code == 429
    assert (await house.token(right, X_Forwarded_For=elsewhere)).status_code == 200
    answers = [await house.token(nobody, X_Forwarded_For=here) for _ in range(11)]
    assert [one.status_code for one in answers] == [400] * 10 + [429]
    assert told(answers[-1]) == told(slowed), "nobody's account is slowed down the same"


async def attempts(house: IdentityService) -> list[tuple[Any, ...]]:
    """All rows that remember tries, in order."""
    async with house.database.reading(None) as connection:
        table = tables.sign_in_attempts
        found = await connection.execute(sa.select(table).order_by(table.c.key))
        return [tuple(row) for row in found]


def trying(username: str, password: str | None = None, **more: str) -> dict[str, str]:
    """What somebody sends who tries a password; left out, a wrong one."""
    tried = password or "not the password at all"
    return {"grant_type": "password", "username": username, "password": tried, **more}


async def wrong_tries(house: IdentityService, number: int, address: str) -> list[int]:
    """Try so many accounts at once, ten at a time, from one address; return the answers."""
    found: list[int] = []
    for first in range(0, number, 10):
        tried = (trying(f"{n}@x.example") for n in range(first, first + 10))
        answers = await asyncio.gather(*(house.token(t, X_Forwarded_For=address) for t in tried))
        found += [one.status_code for one in answers]
    return found


async def test_the_right_password_passes_while_an_address_is_throttled_for_others(
    house: IdentityService,
) -> None:
    await house.found(email="mia@wines.example")
    here = "192.0.2.7"

    spraying = asyncio.create_task(wrong_tries(house, 100, here))
    during = [
        await house.token(trying("mia@wines.example", PASSWORD), X_Forwarded_For=here)
        for _ in range(5)
    ]
    await spraying

    assert {one.status_code for one in during} == {200}
    after = await house.token(trying("mia@wines.example", PASSWORD), X_Forwarded_For=here)
    assert after.status_code == 200, "never signed in from there before, and known by no device"
    fumbled = [
        (await house.token(trying("mia@wines.example"), X_Forwarded_For=here)).status_code
        for _ in range(4)
    ]
    assert fumbled == [400, 400, 400, 429], "fewer tries than elsewhere"


async def test_refused_tries_write_nothing_however_many_they_are(house: IdentityService) -> None:
    api = Database(house.urls.api, pool=4)
    throttle, now = Throttle(StoredSignIns(api), 25), SystemClock().now()
    here = Source("192.0.2.7", "192.0.2.7")

    async def let_through(accounts: range) -> int:
        results: list[object] = []
        for first in accounts[::4]:  # as many at once as there are connections
            tries = (throttle.attempt(f"{n}@x.example", here, now) for n in range(first, first + 4))
            results += await asyncio.gather(*tries, return_exceptions=True)
        assert all(isinstance(one, Attempt | TooManyAttempts) for one in results), results
        return sum(isinstance(one, Attempt) for one in results)

    assert await let_through(range(200)) == 25 + RESERVE
    before = await attempts(house)
    assert len(before) == 2 * (25 + RESERVE) + 1

    assert await let_through(range(200, 700)) == 0
    assert await attempts(house) == before
    await api.close()


async def test_a_known_device_passes_by_what_others_have_tried(house: IdentityService) -> None:
    await house.found(email="mia@wines.example")
    right, here = trying("mia@wines.example", PASSWORD), "2001:db8::7"
    first = (await house.token(right, X_Forwarded_For=here)).json()
    device = first["device_token"]
    for _ in range(10):
        await house.token(trying("mia@wines.example"), X_Forwarded_For="2001:db8::8")

    assert (await house.token(right, X_Forwarded_For=here)).status_code == 429
    for _ in range(3):
        known = await house.token({**right, "device_token": device}, X_Forwarded_For=here)
        assert known.status_code == 200
        device = known.json()["device_token"]
    other = (
        await house.hired(await house.person("mia@wines.example"), role="sales_manager")
    ).member_id
    others = (await house.sign_in(house.emails[other])).json()["device_token"]
    for forged in (device[:-6] + "AAAAA=", "x", "é", first["refresh_token"], others):
        refused = await house.token({**right, "device_token": forged}, X_Forwarded_For=here)
        assert refused.status_code == 429, forged


async def test_a_throttled_answer_does_not_tell_whether_there_is_an_account(
    house: IdentityService,
) -> None:
    await house.found(email="mia@wines.example")
    here = "192.0.2.7"
    await house.token(trying("mia@wines.example", PASSWORD), X_Forwarded_For=here)
    await wrong_tries(house, house.settings.failed_sign_ins_per_address + RESERVE + 50, here)

    async def answers(username: str) -> list[tuple[int, dict[str, Any]]]:
        return [told(await house.token(trying(username), X_Forwarded_For=here)) for _ in range(5)]

    known, nobody = await answers("mia@wines.example"), await answers("nobody@wines.example")
    assert {status for status, _ in [*known, *nobody]} <= {400, 429}
    assert known[-1] == nobody[-1]


async def test_good_sign_ins_never_slow_anybody_down(house: IdentityService) -> None:
    await house.found(email="mia@wines.example")
    for _ in range(15):
        assert (await house.sign_in("mia@wines.example")).status_code == 200
