"""The organization, what others are told of it and of its members, and who sees which rows (D1, D12, S20)."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import jsonschema
import pytest
import sqlalchemy as sa

from bailiwick_contracts.catalogue import EVENTS
from bailiwick_contracts.generate import ROOT
from bailiwick_contracts.identity import Settings
from bailiwick_identity.domain import organization as domain
from bailiwick_identity.main import service
from bailiwick_identity.store import tables
from bailiwick_kit.bus.outbox_notify import plain_dsn
from bailiwick_kit.database import migrations
from bailiwick_testkit.fakes.people import DOOR_SECRET, Person
from bailiwick_testkit.services.identity import IdentityService

DOOR = {"Authorization": f"Bearer {DOOR_SECRET}"}


async def changes(house: IdentityService, query: str) -> dict[str, Any]:
    answer = await house.api.send(None, "GET", f"/internal/v1/changes{query}", headers=DOOR)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def events(house: IdentityService) -> list[tuple[str, dict[str, Any]]]:
    async with house.database.reading(None) as connection:
        rows = await connection.execute(sa.select(tables.outbox).order_by(tables.outbox.c.position))
        return [(row.type, json.loads(row.body)) for row in rows]


async def audited(house: IdentityService, who: Person, action: str) -> list[dict[str, Any]]:
    """Read the audit trail as its owner would: the service itself only adds to it."""
    owner = await asyncpg.connect(plain_dsn(house.urls.owner))
    await owner.execute("SELECT set_config('app.org', $1, false)", str(who.org_id))
    rows = await owner.fetch("SELECT details FROM audit WHERE action = $1", action)
    await owner.close()
    return [json.loads(row["details"]) for row in rows]


async def everything(house: IdentityService, mia: Person) -> None:
    """Do one of each."""
    ana = await house.member(mia, role="custom_member", ticks={"prices": "edit"}, language="fr")
    path = f"/v1/members/{ana['member_id']}"
    await house.api.patch(mia, path, {"mode": "permissions", "permissions": ["seller"]}, '"v1"')
    await house.api.send(mia, "POST", path + "/deactivate", headers={"If-Match": "*"})
    await house.api.post(mia, "/v1/service-accounts", {"name": "Web shop"})
    await house.api.patch(mia, "/v1/organization", {"name": "Weine"}, '"v1"')


async def test_settings_start_as_the_contract_says(house: IdentityService) -> None:
    assert vars(domain.Settings()) == Settings().model_dump()
    mia = await house.found()
    answer = await house.api.get(mia, "/v1/organization")
    assert answer.json()["administration"]["settings"] == Settings().model_dump()


async def test_settings_are_changed_one_by_one_and_widening_ones_are_audited(
    house: IdentityService,
) -> None:
    mia = await house.found()
    path = "/v1/organization"
    assert (await house.api.patch(mia, path, {}, None)).status_code == 428
    assert (await house.api.patch(mia, path, {}, '"v7"')).status_code == 412
    body = {"settings": {"creator_keeps_access": True, "assignment_model": "single"}}

    answer = await house.api.patch(mia, path, body, '"v1"')

    assert answer.status_code == 200, answer.text
    settings = answer.json()["administration"]["settings"]
    assert (settings["creator_keeps_access"], settings["assignment_model"]) == (True, "single")
    assert settings["author_keeps_order_view"] is True
    assert answer.headers["etag"].startswith('"v2-')
    assert answer.headers["bailiwick-position"].startswith(f"identity:{mia.org_id}:2:")
    [told] = await audited(house, mia, "organization.change")
    assert told["widens"] == ["creator_keeps_access"]
    assert told["settings"] == body["settings"]


@pytest.mark.parametrize(
    "body",
    [
        {"seat_limit": 100},
        {"package": "x"},
        {"version": 3},
        {"org_id": "x"},
        {"name": ""},
        {"name": None},
        {"settings": None},
        {"settings": {"creator_keeps_access": "true"}},
        {"settings": {"creator_keeps_access": None}},
        {"settings": {"assignment_model": "none"}},
        {"settings": {"nonsense": True}},
    ],
    ids=str,
)
async def test_what_is_not_theirs_to_set_is_refused(
    shared: IdentityService, body: dict[str, Any]
) -> None:
    mia = await shared.found()
    answer = await shared.api.patch(mia, "/v1/organization", body, '"v1"')
    assert answer.status_code == 422, answer.text


async def test_every_event_is_as_promised_and_numbered_without_gaps(house: IdentityService) -> None:
    mia = await house.found()
    await everything(house, mia)

    told = await events(house)

    assert [body["seq"] for _, body in told] == list(range(1, len(told) + 1))
    assert {kind for kind, _ in told} == {
        "identity.organization.changed.v1",
        "identity.member.changed.v1",
    }
    for kind, body in told:
        EVENTS[kind].model_validate(body)
        schema = json.loads((ROOT / "schemas" / f"{kind}.json").read_text("utf-8"))
        jsonschema.validate(body, schema, format_checker=jsonschema.FormatChecker())
    versions: dict[str, list[int]] = {}
    for _, body in told:
        versions.setdefault(body.get("member_id", body["org_id"]), []).append(body["version"])
    assert all(found == list(range(1, len(found) + 1)) for found in versions.values())


async def test_the_feed_tells_each_entity_as_it_is_now_in_order(house: IdentityService) -> None:
    mia = await house.found()
    await everything(house, mia)
    newest = {body.get("member_id", body["org_id"]): body for _, body in await events(house)}

    whole = await changes(house, f"?org={mia.org_id}&after=0")

    told = whole["changes"]
    assert whole["head"] == 7
    assert whole["complete"]
    assert [one["seq"] for one in told] == sorted(one["seq"] for one in told)
    assert {
        one["data"].get("member_id", one["data"]["org_id"]): one["data"] for one in told
    } == newest
    paged, after = [], 0
    while page := (await changes(house, f"?org={mia.org_id}&after={after}&limit=1"))["changes"]:
        paged += page
        after = page[-1]["seq"]
    assert paged == told
    assert (await changes(house, f"?org={mia.org_id}&after=7"))["changes"] == []


async def test_the_feed_lists_all_heads_to_siblings_alone(house: IdentityService) -> None:
    first, second = await house.found(), await house.found()

    heads = (await changes(house, ""))["heads"]

    assert {one["org_id"]: one["head"] for one in heads} == {
        str(first.org_id): 2,
        str(second.org_id): 2,
    }
    for headers in ({}, first.headers, {"Authorization": "Bearer x"}):
        path = "/internal/v1/changes"
        assert (await house.api.send(None, "GET", path, headers=headers)).status_code == 401
    empty = await changes(house, f"?org={first.member_id}&after=0")
    assert empty == {"head": 0, "complete": True, "changes": []}


async def test_the_apis_role_sees_one_organization_at_a_time_and_owns_nothing(
    house: IdentityService,
) -> None:
    first, second = await house.found(), await house.found()
    shop = await house.api.post(first, "/v1/service-accounts", {"name": "Web shop"})
    api = await asyncpg.connect(plain_dsn(house.urls.api))
    isolated = ("organizations", "members", "service_secrets", "change_counters")
    for table in isolated:
        assert await api.fetchval(f"SELECT count(*) FROM {table}") == 0, table  # noqa: S608
    await api.execute("SELECT set_config('app.org', $1, false)", str(first.org_id))
    for table in isolated:
        orgs = await api.fetch(f"SELECT DISTINCT org_id FROM {table}")  # noqa: S608
        assert [row["org_id"] for row in orgs] == [first.org_id], table
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await api.execute("INSERT INTO change_counters VALUES ($1, 1)", second.member_id)
    changed = await api.execute("UPDATE members SET name = 'x' WHERE org_id = $1", second.org_id)
    assert changed == "UPDATE 0"
    for forbidden in (
        "SELECT * FROM audit",
        "SELECT * FROM outbox",
        "DELETE FROM members",
        "DELETE FROM accounts",
        "CREATE TABLE mine (x int)",
        "ALTER TABLE members DISABLE ROW LEVEL SECURITY",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await api.execute(forbidden)
    found = await api.fetch("SELECT * FROM memberships_of($1)", second.member_id)
    assert found == [], "of a person it wants the account"
    client = shop.json()["member_id"]
    assert len(await api.fetch("SELECT * FROM memberships_of($1)", client)) == 1
    await api.close()
    worker = await asyncpg.connect(plain_dsn(house.urls.worker))
    for forbidden in ("SELECT memberships_of(gen_random_uuid())", "SELECT * FROM accounts"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await worker.execute(forbidden)
    await worker.close()


async def test_there_is_one_function_that_sees_across_organizations_and_its_path_is_fixed(
    house: IdentityService,
) -> None:
    owner = await asyncpg.connect(plain_dsn(house.urls.owner))
    rows = await owner.fetch(
        "SELECT proname, proconfig FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace"
        " WHERE prosecdef AND nspname = 'public'"
    )
    await owner.close()
    assert [(row["proname"], row["proconfig"]) for row in rows] == [
        ("memberships_of", ["search_path=pg_catalog, pg_temp"])
    ]


async def test_no_password_secret_or_token_is_anywhere_in_the_database(
    house: IdentityService,
) -> None:
    password = "canary song at seven in the morning"
    mia = await house.found()
    await house.member(mia, email="ana@wines.example", password=password, role="sales_assistant")
    shop = await house.api.post(
        mia, "/v1/service-accounts", {"name": "Web shop"}, headers={"Idempotency-Key": "k"}
    )
    session = (await house.sign_in("ana@wines.example", password)).json()
    canaries = [password, shop.json()["client_secret"], session["refresh_token"]]
    canaries += [
        session["access_token"],
        *(str(key.as_dict(private=True)["d"]) for key in house.keys),
    ]
    owner = await asyncpg.connect(plain_dsn(house.urls.owner))
    await owner.execute("SELECT set_config('app.org', $1, false)", str(mia.org_id))
    kept = ""
    for table in tables.metadata.tables:
        rows = await owner.fetch(f"SELECT t::text AS row FROM {table} AS t")  # noqa: S608
        kept += "\n".join(row["row"] for row in rows)
    await owner.close()
    assert "ana@wines.example" in kept
    for canary in canaries:
        assert canary not in kept
        assert canary.encode().hex() not in kept


async def test_an_expired_membership_is_told_why_and_nothing_else(house: IdentityService) -> None:
    mia = await house.found()
    await house.member(mia, email="ana@wines.example", role="sales_manager")
    person = await house.person("ana@wines.example")
    api = await asyncpg.connect(plain_dsn(house.urls.api))
    await api.execute("SELECT set_config('app.org', $1, false)", str(mia.org_id))
    over = datetime.now(UTC) - timedelta(seconds=1)
    changed = "UPDATE members SET valid_until = $1 WHERE member_id = $2"
    await api.execute(changed, over, person.member_id)
    await api.close()

    for path in ("/v1/me", "/v1/organization", "/v1/members"):
        answer = await house.api.get(person, path)
        assert answer.status_code == 403
        assert "membership-expired" in answer.json()["reasons"]
    again = await house.sign_in("ana@wines.example")
    assert (again.json()["error"], again.json()["code"]) == ("invalid_grant", "membership-expired")

    async def told(query: str) -> dict[str, str]:
        found = (await house.api.get(mia, f"/v1/members?{query}")).json()["items"]
        return {one["name"]: one["status"] for one in found}

    one = (await house.api.get(mia, f"/v1/members/{person.member_id}")).json()
    assert await told("text=ana") == {one["name"]: "expired"} == {one["name"]: one["status"]}
    assert await told("status=expired") == {one["name"]: "expired"}
    assert one["name"] not in await told("status=active")


async def test_tables_are_what_migrations_make(house: IdentityService) -> None:
    await asyncio.to_thread(migrations.check, service.migrations, house.urls.owner)
