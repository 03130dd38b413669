"""Daily digests: one mail a member and day, at seven in the organization's zone, each order asked about."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from bailiwick_access.authorizer import Gate
from bailiwick_kit.policy.client import Policy
from bailiwick_notifier.mail.sending import PutOff, Undeliverable
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.services.notifier import NotifierService
from bailiwick_testkit.waiting import until

PATH = "/v1/notification-preferences"


@pytest.fixture
async def ana(room: NotifierService) -> Person:
    """Ana, who wants one mail a day."""
    ana = await room.person("Ana", permissions=["seller"])
    await wants(room, ana, "daily")
    return ana


@pytest.fixture
async def mia(room: NotifierService) -> Person:
    return await room.person("Mia", "brand_manager")


@pytest.fixture
async def customer(room: NotifierService, ana: Person) -> UUID:
    return await room.customer(ana)


async def wants(room: NotifierService, who: Person, new_orders: str) -> None:
    answer = await room.shop.api.send(
        who, "PUT", PATH, json={"new_orders": new_orders}, headers={"If-Match": "*"}
    )
    assert answer.status_code == 200, answer.text


async def states(room: NotifierService) -> list[tuple[str, str | None]]:
    return [(row["state"], row["last_problem"]) for row in await room.deliveries()]


async def digests(room: NotifierService) -> list[tuple[str, int]]:
    table = room.shop.tables.digests
    async with room.shop.database.reading(room.shop.org_id) as connection:
        statement = sa.select(table.c.state, table.c.attempts).order_by(table.c.day)
        return [(row.state, row.attempts) for row in await connection.execute(statement)]


@pytest.mark.parametrize("zone", ["Europe/Madrid", "Pacific/Auckland", "America/Los_Angeles"])
async def test_a_day_ends_at_seven_in_the_organizations_zone(
    room: NotifierService, ana: Person, mia: Person, customer: UUID, zone: str
) -> None:
    await room.shop.settings(time_zone=zone)
    at_seven = datetime(2026, 1, 16, 7, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    before = [timedelta(hours=23), timedelta(hours=7, minutes=1), timedelta(hours=6, minutes=59)]
    for ahead in (*before, timedelta(microseconds=1)):
        room.clock.instant = at_seven - ahead
        await room.come_in(customer, mia)
        assert room.server.tried == []

    room.clock.instant = at_seven
    await room.come_in(customer, mia)  # this one is the next day's
    assert room.server.subjects == ["en digest N1 N2 N3 N4"]
    await room.later(hours=23.9)
    assert len(room.server.sent) == 1
    await room.later(hours=0.1)
    assert room.server.subjects == ["en digest N1 N2 N3 N4", "en digest N5"]
    assert await states(room) == [("sent", None)] * 5
    assert len({mail.message_id for mail in room.server.sent}) == 2


async def test_a_digest_put_off_comes_again_as_the_same_mail(
    room: NotifierService, mia: Person, customer: UUID
) -> None:
    room.server.answers = [PutOff("451", may_have_arrived=True) for _ in range(2)]
    await room.come_in(customer, mia)
    await room.come_in(customer, mia)
    await room.later(days=1)
    assert await states(room) == [("pending", "may-have-arrived-451")] * 2
    await room.come_in(customer, mia)  # not in what may have gone out already
    await room.later(minutes=1)
    await room.later(minutes=2)
    assert await digests(room) == [("sent", 3), ("pending", 0)]
    assert [mail.subject for mail in room.server.tried] == ["en digest N1 N2"] * 3
    assert len({mail.message_id for mail in room.server.tried}) == 1
    assert [row["attempts"] for row in await room.deliveries()] == [3, 3, 0]


async def test_each_order_of_a_digest_is_asked_about_and_what_is_lost_to_sight_is_left_out(
    room: NotifierService, ana: Person, mia: Person, customer: UUID
) -> None:
    other = await room.customer(ana)
    await room.come_in(customer, mia)
    await room.come_in(other, mia)
    lost = next(one for one in room.customers.assignments.values() if one.customer_id == customer)
    room.customers.end(lost, room.clock.now() + timedelta(hours=1))
    await room.tell()
    await room.later(days=1)
    assert room.server.subjects == ["en digest N2"]
    assert await states(room) == [("suppressed", "out-of-sight"), ("sent", None)]


async def test_with_nothing_left_in_it_there_is_no_digest(
    room: NotifierService, mia: Person, customer: UUID
) -> None:
    await room.come_in(customer, mia)
    [held] = room.customers.assignments.values()
    room.customers.end(held, room.clock.now() + timedelta(hours=1))
    await room.tell()
    await room.later(days=1)
    assert room.server.tried == []
    assert await states(room) == [("suppressed", "out-of-sight")]
    assert await digests(room) == [("suppressed", 0)]


async def test_policy_away_puts_a_digest_off_whole(
    room: NotifierService, mia: Person, customer: UUID
) -> None:
    await room.come_in(customer, mia)
    whole, room.policy = room.policy, Policy("http://127.0.0.1:9")
    async with room.policy:
        await room.later(days=1)
        assert await states(room) == [("pending", "policy-unavailable")]
    room.policy = whole
    await room.later(minutes=1)
    assert await states(room) == [("sent", None)]


async def test_a_digest_refused_for_good_has_failed_with_all_in_it(
    room: NotifierService, mia: Person, customer: UUID
) -> None:
    room.server.answers = [Undeliverable("Subject: a character that no header may have")]
    await room.come_in(customer, mia)
    await room.come_in(customer, mia)
    await room.later(days=1)
    assert await states(room) == [("failed", "refused")] * 2
    assert await digests(room) == [("failed", 1)]


async def test_who_wants_no_mail_any_more_gets_no_digest_and_who_wants_it_at_once_gets_it_still(
    room: NotifierService, ana: Person, mia: Person, customer: UUID
) -> None:
    await room.come_in(customer, mia)
    await wants(room, ana, "off")
    await room.come_in(customer, mia)
    assert await states(room) == [("pending", None), ("declined", None)]
    await room.later(days=1)
    assert await states(room) == [("declined", None)] * 2

    await wants(room, ana, "daily")
    await room.come_in(customer, mia)
    await wants(room, ana, "at_once")
    await room.come_in(customer, mia)
    assert room.server.subjects == ["en N4 Librería Sol"]
    await room.later(days=1)
    assert room.server.subjects == ["en N4 Librería Sol", "en digest N3"]


async def test_a_mail_that_may_have_gone_out_is_not_told_again_in_a_digest(
    room: NotifierService, ana: Person, mia: Person, customer: UUID
) -> None:
    await wants(room, ana, "at_once")
    room.server.answers = [PutOff("TimeoutError", may_have_arrived=True)]
    await room.come_in(customer, mia)
    await wants(room, ana, "daily")
    await room.later(minutes=1)
    assert [mail.subject for mail in room.server.tried] == ["en N1 Librería Sol"] * 2
    assert await digests(room) == []


async def test_what_joins_a_digest_as_it_goes_out_goes_with_the_next_one(
    room: NotifierService, mia: Person, customer: UUID
) -> None:
    await room.come_in(customer, mia)
    post = room.sending().office.dispatches
    seven = datetime(2026, 1, 16, 6, tzinfo=UTC)
    held = seven + timedelta(minutes=2)
    [digest] = await post.claim(seven, held, 5)
    opened = await post.opened(digest, seven)
    assert opened is not None
    # A worker whose clock is a little behind puts another one in.
    await room.take(room.order(customer, mia))
    await room.fixing().round()
    [late] = await post.claim(seven, held, 5)
    await post.keep_for_digest(late, seven.date(), seven)

    in_it = [item.delivery_id for item in opened.items]
    begun = await post.begin(digest, in_it, [], seven, held + timedelta(minutes=2))
    assert begun is not None
    assert (begun.attempts, begun.first_attempt_at) == (1, seven)
    [first, second] = await room.deliveries()
    assert first["digest_id"] == digest.dispatch_id
    assert (second["digest_id"], second["next_attempt_at"]) == (None, seven)
    # And once it has begun, nothing joins it at all.
    [late] = await post.claim(seven, held, 5)
    await post.keep_for_digest(late, seven.date(), seven)
    [_, second] = await room.deliveries()
    assert second["next_attempt_at"] == seven + timedelta(days=1)
    assert await digests(room) == [("pending", 1), ("pending", 0)]


async def test_many_that_come_in_at_once_are_one_digest(
    room: NotifierService, ana: Person, mia: Person, customer: UUID
) -> None:
    for _ in range(12):
        await room.take(room.order(customer, mia))
    await room.work()
    assert room.server.tried == []
    await room.later(days=1)
    [mail] = room.server.sent
    assert len(mail.subject.split()) == len(["en", "digest"]) + 12
    assert await states(room) == [("sent", None)] * 12


async def test_policy_is_asked_once_about_orders_that_are_alike_to_it(
    room: NotifierService,
    ana: Person,
    mia: Person,
    customer: UUID,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lost = await room.customer(ana)
    for one in (customer, lost, customer, lost, customer):
        await room.come_in(one, mia)
    [held] = [one for one in room.customers.assignments.values() if one.customer_id == lost]
    room.customers.end(held, room.clock.now() + timedelta(hours=1))
    await room.tell()
    asked, may = [], Gate.may

    async def counted(gate: Gate, *about: Any, **rows: Any) -> bool:
        asked.append(rows)
        return await may(gate, *about, **rows)

    monkeypatch.setattr(Gate, "may", counted)
    await room.later(days=1)
    assert room.server.subjects == ["en digest N1 N3 N5"]
    assert len(asked) == 2


async def test_a_claim_outlasts_the_conversation_however_long_policy_took(
    room: NotifierService, mia: Person, customer: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    await room.come_in(customer, mia)
    may = Gate.may

    async def slowly(gate: Gate, *about: Any, **rows: Any) -> bool:
        room.clock.instant += timedelta(seconds=110)
        return await may(gate, *about, **rows)

    monkeypatch.setattr(Gate, "may", slowly)
    room.clock.instant += timedelta(days=1)
    room.server.slow = asyncio.Event()
    job = room.sending()
    await job.round()

    async def talks() -> bool:
        return room.server.talking == 1

    await until(talks)
    room.clock.instant += timedelta(seconds=30)  # as long as a conversation may take
    another = room.sending()
    assert await another.round() == 0
    room.server.slow.set()
    await job.finished()
    assert await states(room) == [("sent", None)]
    assert len(room.server.tried) == 1
