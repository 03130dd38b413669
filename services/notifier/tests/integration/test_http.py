"""What members see of deliveries, and say about mails to them; in the order of answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from bailiwick_kit.database.engine import Database
from bailiwick_notifier.mail.sending import PutOff
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.services.notifier import NotifierService

DELIVERIES, PREFERENCES = "/v1/deliveries", "/v1/notification-preferences"


@pytest.fixture
async def mia(room: NotifierService) -> Person:
    return await room.person("Mia", "brand_manager")


@pytest.fixture
async def ana(room: NotifierService) -> Person:
    return await room.person("Ana", permissions=["seller"])


@pytest.fixture
async def bruno(room: NotifierService) -> Person:
    return await room.person("Bruno", "sales_representative")


async def listed(room: NotifierService, who: Person, query: str = "") -> list[dict[str, Any]]:
    """Return a list's items; the count and each single one agree with it."""
    answer = await room.shop.api.get(who, DELIVERIES + query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    counted = await room.shop.api.get(who, f"{DELIVERIES}/count{query}")
    assert counted.json() == {"count": len(items)}
    for item in items:
        one = await room.shop.api.get(who, f"{DELIVERIES}/{item['delivery_id']}")
        assert (one.status_code, one.json()) == (200, item)
    return items


async def say(
    room: NotifierService, who: Person | None, body: Any, etag: str | None = "*"
) -> tuple[int, Any]:
    headers = {"If-Match": etag} if etag else {}
    answer = await room.shop.api.send(who, "PUT", PREFERENCES, json=body, headers=headers)
    return answer.status_code, answer.json()


async def test_a_delivery_says_what_became_of_it_and_never_where_it_went(
    room: NotifierService, mia: Person, ana: Person
) -> None:
    order = await room.come_in(await room.customer(ana), mia)
    [item] = await listed(room, mia)
    now = room.clock.now().isoformat().replace("+00:00", "Z")
    assert item == {
        "delivery_id": item["delivery_id"],
        "event_id": item["event_id"],
        "order_id": str(order.order_id),
        "order_number": "N1",
        "member": {"member_id": str(ana.member_id), "name": "Ana"},
        "state": "sent",
        "attempts": 1,
        "last_problem": None,
        "created_at": now,
        "sent_at": now,
        "next_attempt_at": None,
    }


async def test_a_recipient_sees_what_was_sent_to_them_and_who_holds_integrations_everything(
    room: NotifierService, mia: Person, ana: Person, bruno: Person
) -> None:
    of_ana, of_bruno = await room.customer(ana), await room.customer(bruno)
    await room.come_in(of_ana, mia)
    await room.come_in(of_bruno, mia)
    room.server.answers = [PutOff("451", may_have_arrived=False)]
    waiting = await room.come_in(of_ana, mia)
    ida = await room.person("Ida", permissions=["integrations"])
    omar = await room.person("Omar", "sales_manager")

    assert {one["order_number"] for one in await listed(room, mia)} == {"N1", "N2", "N3"}
    assert {one["order_number"] for one in await listed(room, ida)} == {"N1", "N2", "N3"}
    assert [one["order_number"] for one in await listed(room, ana)] == ["N1"]
    assert [one["order_number"] for one in await listed(room, bruno)] == ["N2"]
    assert await listed(room, omar) == []
    # What is not hers, or not sent, is not there for Ana: the same answer as for what never was.
    hidden = {one["delivery_id"] for one in await listed(room, mia)}
    hidden -= {one["delivery_id"] for one in await listed(room, ana)}
    nothing = await room.shop.api.get(ana, f"{DELIVERIES}/{uuid4()}")
    for delivery_id in hidden:
        answer = await room.shop.api.get(ana, f"{DELIVERIES}/{delivery_id}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
        assert answer.json().keys() == nothing.json().keys()
    assert await listed(room, ana, f"?member_id={bruno.member_id}") == []
    assert await listed(room, ana, f"?order_id={waiting.order_id}&state=pending") == []


async def test_lists_narrow_and_page(room: NotifierService, mia: Person, ana: Person) -> None:
    customer = await room.customer(ana)
    buyer = await room.shop.member(kind="service")
    unassigned = await room.customer()
    orders = []
    for number in range(5):
        room.clock.instant += timedelta(seconds=number % 2)
        orders.append(await room.come_in(customer, mia))
    room.server.answers = [PutOff("451", may_have_arrived=False)]
    await room.come_in(unassigned, buyer)

    assert len(await listed(room, mia)) == 6
    [pending] = await listed(room, mia, "?state=pending")
    assert (pending["order_number"], pending["last_problem"]) == ("N6", "put-off-451")
    assert pending["next_attempt_at"] is not None
    assert len(await listed(room, mia, "?state=pending&state=sent")) == 6
    assert len(await listed(room, mia, f"?member_id={ana.member_id}")) == 5
    [one] = await listed(room, mia, f"?order_id={orders[2].order_id}")
    assert one["order_number"] == "N3"

    seen, path = [], f"{DELIVERIES}?limit=2"
    while True:
        page = (await room.shop.api.get(mia, path)).json()
        seen += [item["order_number"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        path = f"{DELIVERIES}?limit=2&cursor={page['next_cursor']}"
    assert sorted(seen) == ["N1", "N2", "N3", "N4", "N5", "N6"]
    stolen = await room.shop.api.get(ana, path)
    assert (stolen.status_code, stolen.json()["code"]) == (422, "cursor-invalid")


async def test_who_may_not_is_told_before_anything_is_judged(
    room: NotifierService, mia: Person
) -> None:
    buyer = await room.shop.member(kind="service")
    gone = await room.person("Eva", "sales_manager", status="inactive")
    for who, code in ((buyer, "capability-missing"), (gone, "account-inactive")):
        for path in (f"{DELIVERIES}?limit=no", f"{DELIVERIES}/{uuid4()}", PREFERENCES):
            answer = await room.shop.api.get(who, path)
            assert (answer.status_code, answer.json()["code"]) == (403, code), path
        status, problem = await say(room, who, {"nonsense": 1}, None)
        assert (status, problem["code"]) == (403, code)
    assert (await room.shop.api.get(None, DELIVERIES)).status_code == 401
    assert (await say(room, None, {}))[0] == 401
    assert (await room.shop.api.get(mia, f"{DELIVERIES}?limit=no")).status_code == 422
    assert (await room.shop.api.get(mia, f"{DELIVERIES}?state=lost")).status_code == 422


async def test_preferences_begin_as_everybodys_and_are_changed_by_their_version(
    room: NotifierService, ana: Person, bruno: Person
) -> None:
    read = await room.shop.api.get(ana, PREFERENCES)
    assert read.json() == {"new_orders": "at_once", "language": None, "version": 1}
    assert read.headers["etag"].startswith('"v1-')
    tag = {"If-None-Match": read.headers["etag"]}
    assert (await room.shop.api.get(ana, PREFERENCES, headers=tag)).status_code == 304

    body = {"new_orders": "daily", "language": "fr"}
    assert (await say(room, ana, body, None))[0] == 428
    assert (await say(room, ana, {"wrong": 1}, '"v0"'))[0] == 412
    assert await say(room, ana, body, '"v1"') == (200, {**body, "version": 2})
    assert (await say(room, ana, body, '"v1"'))[0] == 412
    read = await room.shop.api.get(ana, PREFERENCES)
    assert (read.json(), read.headers["etag"][:4]) == ({**body, "version": 2}, '"v2-')
    # A PUT is the whole: a language that is not sent is the membership's again.
    changed = await say(room, ana, {"new_orders": "off"}, '"v2"')
    assert changed == (200, {"new_orders": "off", "language": None, "version": 3})
    assert (await room.shop.api.get(bruno, PREFERENCES)).json()["version"] == 1


async def test_who_changed_what_they_want_is_on_record(room: NotifierService, ana: Person) -> None:
    await say(room, ana, {"new_orders": "off"})
    audit = room.shop.tables.audit
    async with (
        Database(room.shop.urls.owner) as database,
        database.reading(room.shop.org_id) as connection,
    ):
        [row] = (await connection.execute(sa.select(audit))).mappings()
    assert (row["member_id"], row["action"]) == (ana.member_id, "preferences.change")
    assert row["details"] == {"new_orders": "off", "language": None, "version": 2}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"new_orders": "weekly"},
        {"new_orders": "daily", "language": "de"},
        {"new_orders": "daily", "member_id": str(uuid4())},
        {"new_orders": "daily", "version": 7},
        {"new_orders": ["daily"]},
    ],
)
async def test_what_cannot_be_wanted_is_refused_and_changes_nothing(
    room: NotifierService, ana: Person, body: Any
) -> None:
    assert (await say(room, ana, body))[0] == 422
    assert (await room.shop.api.get(ana, PREFERENCES)).json()["version"] == 1


async def test_the_apis_role_sees_one_organization_and_nothing_of_what_mails_tell(
    room: NotifierService, mia: Person, ana: Person
) -> None:
    await room.come_in(await room.customer(ana), mia)
    await say(room, ana, {"new_orders": "daily"})
    tables = room.shop.tables
    async with Database(room.shop.urls.api) as database:
        for org_id in (uuid4(), None):
            async with database.reading(org_id) as connection:
                for table in (tables.deliveries, tables.preferences, tables.members):
                    assert (await connection.execute(sa.select(table))).first() is None
        for table in (tables.notices, tables.digests, tables.inbox, tables.assignments):
            with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
                async with database.reading(room.shop.org_id) as connection:
                    await connection.execute(sa.select(table))
