"""Sessions: refresh tokens are rotated, and what a second use of one means (S7)."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import sqlalchemy as sa

from bailiwick_identity.store import tables
from bailiwick_identity.store.expiry import SessionExpiry
from bailiwick_kit.clock import SystemClock
from bailiwick_kit.database.engine import Database
from bailiwick_testkit.services.identity import IdentityService, claims_of


async def signed_in(house: IdentityService) -> str:
    await house.found(email="mia@wines.example")
    token: str = (await house.sign_in("mia@wines.example")).json()["refresh_token"]
    return token


async def let_pass(house: IdentityService, **time: float) -> None:
    """Move all that is remembered of sessions into the past."""
    api = Database(house.urls.api, pool=1)
    async with api.writing(None) as connection:
        for table, names in (
            (tables.refresh_tokens, ("issued_at", "rotated_at")),
            (tables.sessions, ("began_at", "expires_at", "ended_at")),
        ):
            moved = {name: table.c[name] - timedelta(**time) for name in names}
            await connection.execute(sa.update(table).values(**moved))
    await api.close()


async def test_a_refresh_token_gives_the_next_one_of_the_same_session(
    house: IdentityService,
) -> None:
    first = await signed_in(house)

    answer = await house.refresh(first)

    assert answer.status_code == 200
    second = answer.json()["refresh_token"]
    assert second != first
    third = await house.refresh(second)
    assert (
        claims_of(third.json()["access_token"])["sid"]
        == claims_of(answer.json()["access_token"])["sid"]
    )


async def test_a_lost_answer_can_be_asked_for_again(house: IdentityService) -> None:
    first = await signed_in(house)

    answers = [(await house.refresh(first)).json()["refresh_token"] for _ in range(3)]

    assert len(set(answers)) == 1
    assert (await house.refresh(answers[0])).status_code == 200


async def test_parallel_uses_are_one_family_and_nobody_is_locked_out(
    house: IdentityService,
) -> None:
    first = await signed_in(house)

    answers = await asyncio.gather(*(house.refresh(first) for _ in range(8)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1


async def test_a_token_used_again_later_ends_the_whole_session(house: IdentityService) -> None:
    first = await signed_in(house)
    second = (await house.refresh(first)).json()["refresh_token"]
    await let_pass(house, seconds=11)

    stolen = await house.refresh(first)

    assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant")
    assert (await house.refresh(second)).status_code == 400, "its successor is gone too"
    assert (await house.sign_in("mia@wines.example")).status_code == 200


async def test_a_session_ends_after_thirty_days_however_often_it_was_used(
    house: IdentityService,
) -> None:
    first = await signed_in(house)
    await let_pass(house, days=29.99)
    second = (await house.refresh(first)).json()["refresh_token"]
    await let_pass(house, days=0.02)

    assert (await house.refresh(second)).status_code == 400


async def test_signing_out_ends_the_session_and_strangers_tokens_change_nothing(
    house: IdentityService,
) -> None:
    first = await signed_in(house)
    for token in ("nonsense", "A" * 43, first):
        answer = await house.api.send(None, "POST", "/v1/auth/revoke", data={"token": token})
        assert answer.status_code == 200

    assert (await house.refresh(first)).status_code == 400


async def test_deactivation_ends_sessions_and_coming_back_does_not_revive_them(
    house: IdentityService,
) -> None:
    mia = await house.found()
    member = await house.member(mia, email="ana@wines.example", role="sales_representative")
    session = (await house.sign_in("ana@wines.example")).json()
    path = f"/v1/members/{member['member_id']}"

    left = await house.api.send(mia, "POST", path + "/deactivate", headers={"If-Match": '"v1"'})

    assert left.status_code == 200, left.text
    assert (await house.refresh(session["refresh_token"])).status_code == 400
    again = await house.sign_in("ana@wines.example")
    assert (again.status_code, again.json()["code"]) == (400, "account-inactive")
    sent = {"Authorization": f"Bearer {session['access_token']}"}
    me = await house.api.send(None, "GET", "/v1/me", headers=sent)
    assert (me.status_code, me.json()["reasons"]) == (403, ["account-inactive"])
    back = await house.api.send(mia, "POST", path + "/reactivate", headers={"If-Match": '"v2"'})
    assert back.json()["status"] == "active"
    assert (await house.refresh(session["refresh_token"])).status_code == 400


async def test_nothing_that_works_is_kept_and_what_is_over_is_deleted(
    house: IdentityService,
) -> None:
    first = await signed_in(house)
    async with house.database.reading(None) as connection:
        kept = (await connection.execute(sa.select(tables.refresh_tokens.c.digest))).scalars().all()
    assert all(first.encode() not in bytes(digest) for digest in kept)

    await SessionExpiry(house.database).tidy(SystemClock().now() + timedelta(days=31))
    assert (await house.refresh(first)).status_code == 200, "kept: the clock says today"
    await SessionExpiry(house.database).tidy(SystemClock().now() + timedelta(days=38))
    async with house.database.reading(None) as connection:
        for table in (tables.sessions, tables.refresh_tokens):
            assert (await connection.execute(sa.select(table))).all() == []
