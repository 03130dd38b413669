"""Rights that are taken while a request waits for a lock are not there when its turn comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import httpx2
import pytest
import sqlalchemy as sa

from bailiwick_identity.store import tables
from bailiwick_kit.database.engine import Database
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.services.identity import PASSWORD, IdentityService
from bailiwick_testkit.waiting import until

Acts: TypeAlias = Callable[[IdentityService, Person, str], Coroutine[Any, Any, httpx2.Response]]
ANY = {"If-Match": "*"}


def verb(name: str) -> Acts:
    async def act(house: IdentityService, who: Person, member_id: str) -> httpx2.Response:
        return await house.api.send(who, "POST", f"/v1/members/{member_id}/{name}", headers=ANY)

    return act


async def rename(house: IdentityService, who: Person, member_id: str) -> httpx2.Response:
    return await house.api.patch(who, f"/v1/members/{member_id}", {"name": "Bo"}, "*")


async def create(house: IdentityService, who: Person, _: str) -> httpx2.Response:
    new = {"name": "Zoe", "email": "zoe@x.example", "password": PASSWORD, "role": "sales_manager"}
    return await house.api.post(who, "/v1/members", new)


async def create_shop(house: IdentityService, who: Person, _: str) -> httpx2.Response:
    return await house.api.post(who, "/v1/service-accounts", {"name": "Web shop"})


async def settle(house: IdentityService, who: Person, _: str) -> httpx2.Response:
    return await house.api.patch(who, "/v1/organization", {"name": "Ours"}, "*")


ACTS = {
    "deactivate": verb("deactivate"),
    "reactivate": verb("reactivate"),
    "rename": rename,
    "create a member": create,
    "create a service account": create_shop,
    "change the organization": settle,
}
LEFT = {"status": "inactive"}, "account-inactive"
REDUCED = {"role": "sales_assistant"}, "capability-missing"


async def waits(api: Database) -> bool:
    """Tell whether anybody waits for a lock in the house's database."""
    async with api.reading(None) as connection:  # a role sees its own sessions only
        found = await connection.exec_driver_sql(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(found.scalar_one())


async def all_members(house: IdentityService, org: Person) -> list[tuple[Any, ...]]:
    async with house.database.reading(org.org_id) as connection:
        table = tables.members
        found = await connection.execute(
            sa.select(table.c.member_id, table.c.name, table.c.status).order_by(table.c.member_id)
        )
        return [tuple(row) for row in found]


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
@pytest.mark.parametrize(("taken", "reason"), [LEFT, REDUCED], ids=["left", "reduced"])
async def test_who_loses_their_rights_while_waiting_for_a_lock_acts_no_more(
    shared: IdentityService, taken: dict[str, str], reason: str, act: Acts
) -> None:
    mia = await shared.found()
    eva = await shared.hired(mia, role="brand_manager")
    bo = await shared.member(mia, role="brand_manager")
    api = Database(shared.urls.api, pool=2)
    async with api.writing(mia.org_id) as connection:
        organizations, members = tables.organizations, tables.members
        await connection.execute(
            sa.select(organizations).where(organizations.c.org_id == mia.org_id).with_for_update()
        )
        acting = asyncio.create_task(act(shared, eva, bo["member_id"]))
        await until(lambda: waits(api))
        await connection.execute(
            sa.update(members).where(members.c.member_id == eva.member_id).values(**taken)
        )
    before = await all_members(shared, mia)

    answer = await acting

    await api.close()
    assert (answer.status_code, answer.json()["reasons"]) == (403, [reason]), answer.text
    assert await all_members(shared, mia) == before


async def test_of_two_managers_who_unseat_others_in_turn_the_unseated_one_does_nothing(
    house: IdentityService,
) -> None:
    mia = await house.found()
    eva, bo = [await house.hired(mia, role="brand_manager") for _ in range(2)]
    for _ in range(5):
        unseat = verb("deactivate")
        first, second = await asyncio.gather(
            unseat(house, mia, str(eva.member_id)), unseat(house, eva, str(bo.member_id))
        )
        assert first.status_code == 200
        assert second.status_code in {200, 403}
        if second.status_code == 403:
            assert second.json()["code"] == "account-inactive"
            assert (await house.read(mia, bo.member_id))["status"] == "active"
        for one in (eva, bo):
            await verb("reactivate")(house, mia, str(one.member_id))
        eva = await house.person(house.emails[eva.member_id], mia.org_id)


async def test_whose_membership_ended_while_they_waited_does_nothing(
    house: IdentityService,
) -> None:
    mia = await house.found()
    eva = await house.hired(mia, role="brand_manager")
    bo = await house.member(mia, role="brand_manager")
    organizations, members = tables.organizations, tables.members
    locked = sa.select(organizations).where(organizations.c.org_id == mia.org_id).with_for_update()
    ended = sa.update(members).where(members.c.member_id == eva.member_id)
    api = Database(house.urls.api, pool=2)
    async with api.writing(mia.org_id) as connection:
        await connection.execute(locked)
        acting = asyncio.create_task(verb("deactivate")(house, eva, bo["member_id"]))
        await until(lambda: waits(api))
        ends = datetime.now(UTC) + timedelta(seconds=0.2)
        await connection.execute(ended.values(valid_until=ends))
        await asyncio.sleep(0.3)  # it ends by time, and nothing tells when
    await api.close()
    answer = await acting
    assert (answer.status_code, answer.json()["code"]) == (403, "membership-expired")
