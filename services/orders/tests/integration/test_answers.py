"""The order of answers, input that is wrong, states that forbid, and repetition."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from bailiwick_access import requests
from bailiwick_access.caller import Caller, Callers
from bailiwick_contracts.identity import MemberChanged
from bailiwick_kit.database.engine import Database
from bailiwick_kit.web.read_your_writes import Position
from bailiwick_orders.store import tables
from bailiwick_testkit.services.orders import PATH, OrdersService, a_line
from bailiwick_testkit.waiting import until

NOWHERE = f"{PATH}/01900000-0000-7000-8000-000000000000"


def the_problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_nobody_is_told_anything_without_a_token(market: OrdersService) -> None:
    for path in (PATH, NOWHERE, f"{PATH}/count"):
        assert the_problem(await market.shop.api.get(None, path)) == (401, "unauthenticated")
    assert the_problem(await market.shop.api.post(None, PATH, {})) == (401, "unauthenticated")


async def test_an_unknown_customer_is_answered_before_the_rest_of_the_body(
    market: OrdersService,
) -> None:
    ana, bruno = (
        await market.shop.member(permissions=["seller"]),
        await market.shop.member("sales_representative"),
    )
    foreign = await market.customer(main=bruno)
    bodies = [
        {"customer_id": str(one), "lines": "nonsense", "extra": 1} for one in (foreign, uuid4())
    ]
    first, second = [await market.shop.api.post(ana, PATH, body) for body in bodies]
    assert the_problem(first) == (404, "not-found")
    assert {**first.json(), "trace_id": ""} == {**second.json(), "trace_id": ""}
    unnamed = await market.shop.api.post(ana, PATH, {"lines": []})
    assert the_problem(unnamed) == (422, "invalid")
    malformed = await market.shop.api.post(
        ana, PATH, content=b"{", headers={"Content-Type": "application/json"}
    )
    assert the_problem(malformed) == (400, "malformed")


async def test_a_foreign_order_is_answered_like_a_random_id(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    ana = await market.shop.member(permissions=["seller"])
    foreign = await market.order(mia, await market.customer())
    for verb in ("place", "confirm", "fulfil", "cancel"):
        answers = [
            await market.act(ana, path, verb, None, {"nonsense": 1})
            for path in (foreign["path"], NOWHERE)
        ]
        if verb in {"place", "cancel"}:
            assert [the_problem(one) for one in answers] == [(404, "not-found")] * 2, verb
        else:
            assert [the_problem(one) for one in answers] == [(403, "capability-missing")] * 2
        first, second = ({**one.json(), "trace_id": ""} for one in answers)
        assert first == second
    for path in (foreign["path"], NOWHERE):
        edited = await market.shop.api.patch(ana, path, {"version": 7}, None)
        assert the_problem(edited) == (404, "not-found")


async def test_a_customer_seen_but_not_represented_is_not_ordered_for(
    market: OrdersService,
) -> None:
    ana = await market.shop.member(permissions=["seller"])
    await market.shop.settings(creator_keeps_access=True)
    mine = await market.customer(created_by=ana.member_id)
    answer = await market.create(ana, mine)
    assert the_problem(answer) == (403, "not-assigned")


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"lines": []}, "lines"),
        ({"lines": [a_line()] * 2001}, "lines"),
        ({"lines": [a_line(quantity="0")]}, "lines[0].quantity"),
        ({"lines": [a_line(quantity="-1")]}, "lines[0].quantity"),
        ({"lines": [a_line(quantity="1.00001")]}, "lines[0].quantity"),
        ({"lines": [a_line(), a_line(amount="-0.01")]}, "lines[1].unit_price.amount"),
        ({"lines": [a_line(amount="1e3")]}, "lines[0].unit_price.amount"),
        ({"lines": [a_line(discount="1.01")]}, "lines[0].discount"),
        ({"lines": [a_line(discount="-0.1")]}, "lines[0].discount"),
        ({"lines": [a_line(net="1")]}, "lines[0].net"),
        ({"lines": [a_line(sku="")]}, "lines[0].sku"),
        ({"lines": [a_line(name="a\x00b")]}, "lines[0].name"),
        ({"lines": [a_line(currency="EURO")]}, "lines[0].unit_price.currency"),
        ({"lines": [a_line(), a_line(currency="USD")]}, "lines"),
        ({"lines": [a_line(currency="USD")]}, "lines[0].unit_price.currency"),
        ({"currency": "USD"}, "lines[0].unit_price.currency"),
        ({"currency": "eur"}, "currency"),
        ({"lines": [a_line("99999999999999", "2")]}, "lines[0]"),
        ({"lines": [a_line("99999999999999.9999", "99999999999999.9999")]}, "lines[0]"),
        ({"source": "portal"}, "source"),
        ({"source": "import"}, "source"),
        ({"source": "fax"}, "source"),
        ({"note": "x" * 4001}, "note"),
        ({"place": "yes"}, "place"),
        ({"credited_to": str(uuid4())}, ""),
        ({"state": "placed"}, "state"),
        ({"number": "BCDFGHJK"}, "number"),
        ({"author_id": str(uuid4())}, "author_id"),
        ({"version": 5}, "version"),
        ({"order_date": "2020-01-01"}, "order_date"),
    ],
)
async def test_wrong_input_is_named_and_nothing_is_written(
    market: OrdersService, changes: dict[str, Any], where: str
) -> None:
    mia = await market.shop.member("brand_manager")
    answer = await market.create(mia, await market.customer(), **changes)
    assert answer.status_code == 422, answer.text
    assert where in [fault["where"] for fault in answer.json()["errors"]], answer.text
    assert (await market.shop.api.get(mia, f"{PATH}/count")).json() == {"count": 0}


async def test_five_hundred_lines_are_an_order(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    lines = [a_line("3", "0.3333", discount="0.05")] * 500
    made = await market.order(mia, await market.customer(), lines=lines)
    assert made["lines"][0]["net"]["amount"] == "0.9499"
    assert made["net"] == {"amount": "474.9500", "currency": "EUR"}


async def test_an_order_takes_the_organizations_currency_unless_it_names_one(
    market: OrdersService,
) -> None:
    await market.shop.settings(currency="USD")
    mia, customer = await market.shop.member("brand_manager"), await market.customer()
    made = await market.order(mia, customer, lines=[a_line(currency="USD")])
    assert made["currency"] == "USD"
    made = await market.order(mia, customer, currency="EUR")
    assert made["currency"] == "EUR"
    priced = {"lines": [a_line(currency="USD")]}
    edited = await market.shop.api.patch(mia, made["path"], priced, "*")
    assert the_problem(edited) == (422, "other-currency")


@pytest.mark.parametrize("status", ["pending", "suspended"])
async def test_who_waits_or_is_suspended_gets_drafts_from_people_and_nothing_placed(
    market: OrdersService, status: Any
) -> None:
    mia, buyer = await market.shop.member("brand_manager"), await market.shop.member(kind="service")
    customer = await market.customer(status=status)
    refused = (409, "customer-state-forbids")
    assert the_problem(await market.create(mia, customer, place=True)) == refused
    draft = await market.order(mia, customer)
    assert the_problem(await market.act(mia, draft["path"], "place")) == refused
    for place in (True, False):
        answer = await market.create(buyer, customer, source="portal", place=place)
        assert the_problem(answer) == refused
    market.customers.customer("Approved", customer_id=customer)
    await market.tell()
    placed = await market.act(mia, draft["path"], "place")
    assert placed.status_code == 200
    assert placed.json()["customer"]["name"] == "Approved"


async def test_a_storefront_says_portal_and_places_its_own_drafts(market: OrdersService) -> None:
    buyer, customer = await market.shop.member(kind="service"), await market.customer()
    assert the_problem(await market.create(buyer, customer)) == (422, "invalid")
    draft = await market.order(buyer, customer, source="portal")
    assert (await market.act(buyer, draft["path"], "place", '"v1"')).status_code == 200
    cancelled = await market.act(buyer, draft["path"], "cancel")
    assert the_problem(cancelled) == (403, "capability-missing")


async def test_an_order_goes_through_its_states_once_each(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    ana = await market.shop.member(permissions=["seller"])
    order = await market.order(mia, await market.customer(main=ana))
    forbidden = (409, "order-state-forbids")
    path = order["path"]
    assert the_problem(await market.act(mia, path, "confirm")) == forbidden
    assert (await market.act(mia, path, "place", '"v1"')).json()["version"] == 2
    assert the_problem(await market.act(mia, path, "place", '"v1"')) == (412, "stale")
    assert the_problem(await market.act(mia, path, "place", '"v2"')) == forbidden
    assert the_problem(await market.act(ana, path, "confirm")) == (403, "capability-missing")
    for verb in ("confirm", "fulfil", "cancel"):
        worded = await market.act(mia, path, verb, '"v2"', {"reason": "x"})
        assert (the_problem(worded), worded.json()["errors"][0]["where"]) == (
            (422, "invalid"),
            "reason",
        )
    assert (await market.act(mia, path, "confirm", '"v2"')).json()["state"] == "confirmed"
    edited = await market.shop.api.patch(ana, path, {"note": "late"}, '"v3"')
    assert the_problem(edited) == (403, "order-state-forbids")
    assert the_problem(await market.act(ana, path, "cancel", '"v3"')) == (
        403,
        "order-state-forbids",
    )
    assert (await market.act(mia, path, "fulfil", '"v3"')).json()["state"] == "fulfilled"
    assert the_problem(await market.act(mia, path, "cancel", '"v4"')) == forbidden
    edited = await market.shop.api.patch(mia, path, {"note": "x", "reason": "y"}, '"v4"')
    assert the_problem(edited) == forbidden


async def test_a_confirmed_order_is_edited_with_a_reason_and_keeps_what_it_was(
    market: OrdersService,
) -> None:
    mia = await market.shop.member("brand_manager")
    order = await market.order(mia, await market.customer(), place=True, note="first")
    path, api = order["path"], market.shop.api
    assert (await market.act(mia, path, "confirm", '"v1"')).status_code == 200
    more = {"lines": [a_line("5")]}
    unreasoned = await api.patch(mia, path, more, '"v2"')
    assert the_problem(unreasoned) == (422, "invalid")
    assert unreasoned.json()["errors"][0]["where"] == "reason"
    edited = await api.patch(mia, path, {**more, "reason": "They want more"}, '"v2"')
    assert edited.json()["net"]["amount"] == "50.0000"
    assert (edited.json()["note"], edited.json()["version"]) == ("first", 3)
    async with (
        Database(market.shop.urls.api) as database,
        database.reading(market.shop.org_id) as connection,
    ):
        kept = (await connection.execute(sa.select(tables.order_versions))).mappings().one()
    assert (kept["version"], kept["note"], kept["reason"]) == (2, "first", "They want more")
    assert (kept["replaced_by"], kept["lines"][0]["quantity"]) == (mia.member_id, "2")


async def test_a_change_names_the_version_it_changes(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    order = await market.order(mia, await market.customer())
    path, api = order["path"], market.shop.api
    for etag, answer in (
        (None, (428, "precondition-required")),
        ('"v2"', (412, "stale")),
        ("v1", (412, "stale")),
        ("nonsense", (412, "stale")),
    ):
        assert the_problem(await api.patch(mia, path, {"nonsense": 1}, etag)) == answer
        assert the_problem(await market.act(mia, path, "place", etag)) == answer
    assert the_problem(await api.patch(mia, path, {}, '"v1"')) == (422, "invalid")
    edited = await api.patch(mia, path, {"note": None}, '"v1"')
    assert edited.headers["etag"] == (await api.get(mia, path)).headers["etag"]
    stale = await api.patch(mia, path, {"note": "late"}, '"v1"')
    assert (stale.status_code, stale.headers["etag"]) == (412, '"v2"')
    assert (await api.patch(mia, path, {"note": "x"}, stale.headers["etag"])).status_code == 200
    now = (await api.get(mia, path)).headers["etag"]
    assert (await api.patch(mia, path, {"note": "y"}, now)).status_code == 200


async def test_two_edits_at_once_leave_one_winner(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    order = await market.order(mia, await market.customer())
    answers = await asyncio.gather(
        *(market.shop.api.patch(mia, order["path"], {"note": str(n)}, '"v1"') for n in range(4))
    )
    assert sorted(one.status_code for one in answers) == [200, 412, 412, 412]


async def test_what_the_reader_holds_is_not_sent_again(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    order = await market.order(mia, await market.customer())
    read = await market.shop.api.get(mia, order["path"])
    held = {"If-None-Match": read.headers["etag"]}
    answer = await market.shop.api.get(mia, order["path"], headers=held)
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == read.headers["etag"]
    old = await market.shop.api.get(mia, order["path"], headers={"If-None-Match": '"v1"'})
    assert (old.status_code, old.json()) == (200, read.json())


async def test_what_is_shown_otherwise_has_another_tag(market: OrdersService) -> None:
    ana, bruno = [await market.shop.member("sales_representative") for _ in range(2)]
    customer = market.customers.customer()
    held = market.customers.assign(customer, ana.member_id)
    await market.tell()
    path = (await market.order(ana, customer, place=True))["path"]
    before = await market.shop.api.get(ana, path)
    market.customers.hand_over(held, bruno.member_id, held.valid_from)
    await market.tell()
    tag = {"If-None-Match": before.headers["etag"]}
    after = await market.shop.api.get(ana, path, headers=tag)
    assert after.status_code == 200
    assert after.json()["customer"].keys() == {"name"}
    theirs = await market.shop.api.get(bruno, path, headers=tag)
    assert (theirs.status_code, theirs.content) == (304, b""), "who is shown the same bytes"
    for reader in (ana, bruno):  # the version is the order's own
        now = (await market.shop.api.get(reader, path)).headers["etag"]
        assert now.startswith('"v1-')


async def test_counting_takes_no_page(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    for page in ("limit=5", "cursor=x"):
        answer = await market.shop.api.get(mia, f"{PATH}/count?{page}")
        assert the_problem(answer) == (422, "invalid")
    assert (await market.shop.api.send(mia, "HEAD", f"{PATH}/count")).status_code == 200


@pytest.mark.parametrize("path", [f"{PATH}%0a", f"{PATH}/count%0a", f"{PATH}%0d"])
async def test_an_address_that_ends_in_a_line_feed_leads_nowhere(
    market: OrdersService, path: str
) -> None:
    mia = await market.shop.member("brand_manager")
    assert the_problem(await market.shop.api.get(mia, path)) == (404, "not-found")


async def test_the_same_request_twice_makes_one_order(market: OrdersService) -> None:
    mia, customer = await market.shop.member("brand_manager"), await market.customer()
    key = {"Idempotency-Key": "one"}
    first = await market.create(mia, customer, headers=key, place=True)
    second = await market.create(mia, customer, headers=key, place=True)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    other = await market.create(mia, customer, headers=key, note="another body")
    assert the_problem(other) == (422, "idempotency-key-reused")
    nora = await market.shop.member("sales_administrator")
    assert (await market.create(nora, customer, headers=key)).status_code == 201
    assert (await market.shop.api.get(mia, f"{PATH}/count")).json() == {"count": 2}


async def test_a_double_click_makes_one_order(market: OrdersService) -> None:
    mia, customer = await market.shop.member("brand_manager"), await market.customer()
    key = {"Idempotency-Key": "click"}
    answers = await asyncio.gather(
        *(market.create(mia, customer, headers=key, place=True) for _ in range(6))
    )
    assert {one.status_code for one in answers} <= {201, 409}
    made = {one.json()["order_id"] for one in answers if one.status_code == 201}
    assert len(made) == 1
    assert (await market.shop.api.get(mia, f"{PATH}/count")).json() == {"count": 1}


@pytest.mark.parametrize("place", [True, False])
async def test_a_repetition_is_answered_as_a_read_would_be_now(
    market: OrdersService, place: bool
) -> None:
    ana, bruno = [await market.shop.member("sales_representative") for _ in range(2)]
    customer = market.customers.customer()
    held = market.customers.assign(customer, ana.member_id)
    await market.tell()
    key = {"Idempotency-Key": "lost"}
    first = await market.create(ana, customer, headers=key, place=place)
    assert first.status_code == 201
    market.customers.hand_over(held, bruno.member_id, held.valid_from)
    await market.tell()
    again = await market.create(ana, customer, headers=key, place=place)
    read = await market.shop.api.get(ana, first.headers["location"])
    if place:  # its author goes on viewing it
        assert (again.status_code, again.content) == (201, read.content)
        assert again.json()["customer"] == {"name": first.json()["customer"]["name"]}
        assert again.headers["location"] == first.headers["location"]
        assert "bailiwick-position" not in again.headers
    else:
        assert the_problem(again) == the_problem(read) == (404, "not-found")
    other = await market.create(ana, customer, headers=key, place=place, note="another body")
    assert the_problem(other) == (404, "not-found"), "no repetition: refused before its key is"


@pytest.mark.parametrize("role", ["brand_manager", "sales_representative", "sales_assistant", None])
async def test_placing_what_is_placed_is_a_conflict_for_everybody_who_may_place(
    market: OrdersService, role: str | None
) -> None:
    who = await (market.shop.member(role) if role else market.shop.member(kind="service"))
    customer = await market.customer(main=who if role == "sales_representative" else None)
    order = await market.order(who, customer, source="phone" if role else "portal", place=True)
    assert the_problem(await market.act(who, order["path"], "place")) == (
        409,
        "order-state-forbids",
    )


async def test_an_assistants_own_cancelled_order_is_refused_by_its_state(
    market: OrdersService,
) -> None:
    tom = await market.shop.member("sales_assistant")
    path = (await market.order(tom, await market.customer()))["path"]
    assert (await market.act(tom, path, "cancel")).status_code == 200
    refused = (409, "order-state-forbids")
    assert the_problem(await market.act(tom, path, "cancel")) == refused
    assert the_problem(await market.shop.api.patch(tom, path, {"note": "x"}, "*")) == refused


async def test_a_number_that_is_taken_is_drawn_again(
    market: OrdersService, monkeypatch: pytest.MonkeyPatch
) -> None:
    mia, customer = await market.shop.member("brand_manager"), await market.customer()
    drawn = iter(["BBBBBBBB", "BBBBBBBB", "BBBBBBBB", "CCCCCCCC"])
    monkeypatch.setattr("bailiwick_orders.actions.create_order.random_number", lambda: next(drawn))
    assert (await market.order(mia, customer))["number"] == "BBBBBBBB"
    key = {"Idempotency-Key": "n"}
    assert (await market.create(mia, customer, headers=key)).json()["number"] == "CCCCCCCC"


async def test_an_order_for_what_was_written_elsewhere_waits_for_it(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    customer = market.customers.customer()
    after = mia.after(Position("customers", customer, 1), Position("notifier", uuid4(), 9))
    waiting = asyncio.create_task(market.create(mia, customer, headers=after))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await market.tell()
    made = await waiting
    assert made.status_code == 201, made.text
    assert made.headers["bailiwick-position"].startswith(f"orders:{made.json()['order_id']}:1:")


async def test_a_position_that_never_comes_is_unavailable_not_wrong(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    after = mia.after(Position("customers", uuid4(), 1))
    answer = await market.shop.api.get(mia, PATH, headers=after)
    assert the_problem(answer) == (503, "position-not-reached")
    assert answer.headers["retry-after"] == "1"


async def test_who_waits_for_a_change_of_their_membership_holds_up_nobody(
    market: OrdersService, monkeypatch: pytest.MonkeyPatch
) -> None:
    mia = await market.shop.member("brand_manager")
    ana = await market.shop.member("brand_manager")
    identity = market.shop.identity
    member = identity.events[mia.member_id]
    assert isinstance(member, MemberChanged)
    ahead = replace(mia, token=identity.token(member.model_copy(update={"version": 99})))
    resolve, looking = Callers.resolve, set[asyncio.Task[Any] | None]()

    async def note_and_resolve(callers: Callers, *asked: Any) -> Caller | None:
        looking.add(asyncio.current_task())
        return await resolve(callers, *asked)

    async def all_are_looking() -> bool:
        return len(looking) == len(crowd)

    monkeypatch.setattr(Callers, "resolve", note_and_resolve)
    monkeypatch.setattr(requests, "_PATIENCE", 5.0)
    # More than there are connections.
    crowd = [asyncio.create_task(market.shop.api.get(ahead, PATH)) for _ in range(15)]
    await until(all_are_looking)
    assert (await market.shop.api.get(ana, PATH)).status_code == 200
    assert not any(one.done() for one in crowd)
    monkeypatch.setattr(requests, "_PATIENCE", 0.0)
    answers = [the_problem(one) for one in await asyncio.gather(*crowd)]
    assert answers == [(503, "membership-not-here-yet")] * 15
