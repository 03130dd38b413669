"""Sending: asked before every attempt, counted before it, tried again and given up, never two at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs
from typing_extensions import override

from bailiwick_contracts.orders import OrderPlaced
from bailiwick_kit.policy.client import Policy
from bailiwick_notifier.actions import send_dispatch as sending
from bailiwick_notifier.actions.send_dispatch import send_dispatch
from bailiwick_notifier.domain.delivery import Dispatch
from bailiwick_notifier.domain.letter import Addressee, Letter
from bailiwick_notifier.domain.order import NewOrder
from bailiwick_notifier.mail.sending import PutOff, Undeliverable
from bailiwick_notifier.store.dispatches import StoredDispatches
from bailiwick_testkit.checks.metric_values import rise_of
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.services.notifier import NotifierService, PlainLetters
from bailiwick_testkit.waiting import until


def later_please() -> PutOff:
    return PutOff("the server answered 451 (SMTPDataError)", may_have_arrived=False)


async def due(room: NotifierService, customer: UUID, author: Person) -> OrderPlaced:
    """Let an order come in, of which one mail is to be sent."""
    order = room.order(customer, author)
    await room.take(order)
    await room.fixing().round()
    return order


@pytest.fixture
async def ana(room: NotifierService) -> Person:
    return await room.person("Ana", permissions=["seller"])


@pytest.fixture
async def mia(room: NotifierService) -> Person:
    return await room.person("Mia", "brand_manager")


@pytest.fixture
async def customer(room: NotifierService, ana: Person) -> UUID:
    return await room.customer(ana)


async def state(room: NotifierService, order: OrderPlaced) -> tuple[str, str | None, int]:
    [row] = await room.deliveries(order)
    return row["state"], row["last_problem"], row["attempts"]


async def test_what_is_sent_says_when_and_is_never_sent_again(
    room: NotifierService, customer: UUID, mia: Person
) -> None:
    order = await room.come_in(customer, mia)
    [row] = await room.deliveries(order)
    assert (row["state"], row["attempts"], row["last_problem"]) == ("sent", 1, None)
    assert row["sent_at"] == room.clock.now()
    assert row["next_attempt_at"] is None
    await room.later(days=3)
    [mail] = room.server.tried
    assert mail.message_id == f"<{row['delivery_id']}@mail.example>"
    assert (mail.recipient, mail.recipient_name) == ("ana@people.example", "Ana")


async def test_what_a_server_refuses_for_good_has_failed_at_once(
    room: NotifierService, customer: UUID, mia: Person
) -> None:
    room.server.answers = [Undeliverable("the server answered 550 (SMTPRecipientRefused)")]
    order = await room.come_in(customer, mia)
    assert await state(room, order) == ("failed", "refused-550", 1)
    await room.later(days=1)
    assert len(room.server.tried) == 1


async def test_what_is_put_off_is_tried_ever_more_rarely_for_a_day_under_one_message_id(
    room: NotifierService, customer: UUID, mia: Person
) -> None:
    room.server.answers = [later_please() for _ in range(99)]
    order, began = await room.come_in(customer, mia), room.clock.now()
    assert await state(room, order) == ("pending", "put-off-451", 1)
    minutes = [0.0]
    while (row := (await room.deliveries(order))[0])["state"] == "pending":
        room.clock.instant = row["next_attempt_at"] - timedelta(seconds=1)
        await room.work()
        assert len(room.server.tried) == len(minutes)
        await room.later(seconds=1)
        minutes.append((room.clock.now() - began) / timedelta(minutes=1))
    assert minutes[:9] == [0, 1, 3, 7, 15, 31, 63, 127, 247]
    assert minutes[-2:] == [127 + 120 * 10, 24 * 60]
    assert await state(room, order) == ("failed", "put-off-451", len(minutes))
    assert len({mail.message_id for mail in room.server.tried}) == 1


async def test_what_may_have_arrived_goes_out_once_more_as_the_same_mail(
    room: NotifierService, customer: UUID, mia: Person
) -> None:
    room.server.answers = [PutOff("TimeoutError", may_have_arrived=True)]
    order = await room.come_in(customer, mia)
    assert await state(room, order) == ("pending", "may-have-arrived", 1)
    await room.later(minutes=1)
    assert await state(room, order) == ("sent", None, 2)
    first, second = room.server.tried
    assert first.message_id == second.message_id


async def test_a_worker_that_dies_in_a_conversation_leaves_the_mail_to_be_sent_again(
    room: NotifierService, customer: UUID, mia: Person
) -> None:
    room.server.answers = [asyncio.CancelledError()]
    order = await room.come_in(customer, mia)
    assert await state(room, order) == ("pending", None, 1)
    await room.later(seconds=119)
    assert len(room.server.tried) == 1
    await room.later(seconds=1)
    assert await state(room, order) == ("sent", None, 2)
    assert room.server.tried[0].message_id == room.server.tried[1].message_id


async def test_policy_away_puts_off_without_counting_an_attempt(
    room: NotifierService, customer: UUID, mia: Person
) -> None:
    order = await due(room, customer, mia)
    whole, room.policy = room.policy, Policy("http://127.0.0.1:9")
    async with room.policy:
        await room.later(days=2)
        assert await state(room, order) == ("pending", "policy-unavailable", 0)
    room.policy = whole
    await room.later(minutes=1)
    assert (await state(room, order), len(room.server.tried)) == (("sent", None, 1), 1)


async def test_policy_is_asked_again_before_each_attempt(
    room: NotifierService, ana: Person, customer: UUID, mia: Person
) -> None:
    room.server.answers = [later_please()]
    order = await room.come_in(customer, mia)
    [held] = room.customers.assignments.values()
    bruno = await room.person("Bruno", "sales_representative")
    room.customers.hand_over(held, bruno.member_id, room.clock.now() + timedelta(seconds=1))
    await room.tell()

    await room.later(minutes=1)

    assert await state(room, order) == ("suppressed", "out-of-sight", 1)
    assert len(room.server.tried) == 1


async def test_who_is_no_member_any_more_is_not_told(
    room: NotifierService, ana: Person, customer: UUID, mia: Person
) -> None:
    room.server.answers = [later_please()]
    order = await room.come_in(customer, mia)
    await room.person("Ana", permissions=["seller"], member_id=ana.member_id, status="inactive")
    await room.later(minutes=1)
    assert await state(room, order) == ("suppressed", "recipient-inactive", 1)


async def test_an_author_still_views_what_they_placed_and_an_additional_views_all(
    room: NotifierService, mia: Person
) -> None:
    bruno = await room.person("Bruno", "sales_representative")
    customer = await room.customer(bruno)
    await room.shop.settings(notify_additional=True)
    # Bruno made the draft, Mia placed it, and meanwhile the customer went to nobody.
    order = room.order(customer, mia, author_id=bruno.member_id)
    await room.take(order)
    await room.fixing().round()
    [held] = room.customers.assignments.values()
    room.customers.end(held, room.clock.now())
    await room.tell()
    await room.later(minutes=1)
    assert await state(room, order) == ("sent", None, 1)


async def test_without_an_address_there_is_no_mail(room: NotifierService, mia: Person) -> None:
    eva = await room.person("Eva", permissions=["seller"], email=None)
    order = await room.come_in(await room.customer(eva), mia)
    assert await state(room, order) == ("failed", "no-address", 0)


async def test_a_line_break_in_a_name_never_reaches_a_header(
    room: NotifierService, mia: Person
) -> None:
    eva = await room.person("Eva\r\nBcc: a@b.example", permissions=["seller"], email="e@b.example")
    name = "Sol\r\nBcc: everybody@people.example\u2028\x1fx"
    await room.come_in(await room.customer(eva, name=name), mia)
    [mail] = room.server.sent
    assert mail.subject == "en N1 Sol Bcc: everybody@people.example x"
    assert mail.recipient_name == "Eva Bcc: a@b.example"


async def test_letters_are_in_the_language_of_the_preference_else_of_the_membership(
    room: NotifierService, mia: Person
) -> None:
    eva = await room.person("Eva", permissions=["seller"], language="fr")
    customer = await room.customer(eva)
    await room.come_in(customer, mia)
    path, headers = "/v1/notification-preferences", {"If-Match": "*"}
    wanted = {"new_orders": "at_once", "language": "es"}
    await room.shop.api.send(eva, "PUT", path, json=wanted, headers=headers)
    await room.come_in(customer, mia)
    assert [subject[:2] for subject in room.server.subjects] == ["fr", "es"]


async def test_slow_conversations_are_few_at_once_and_hold_no_connection(
    room: NotifierService, customer: UUID, mia: Person
) -> None:
    for _ in range(12):
        await room.take(room.order(customer, mia))
    await room.fixing().round()
    room.server.slow, sending = asyncio.Event(), room.sending()
    running = asyncio.create_task(sending.run())

    async def five_talk() -> bool:
        return room.server.talking == 5

    await until(five_talk)
    # The pool has two connections, and five conversations are under way: none holds one.
    pool = room.shop.database.engine.pool
    assert pool.checkedout() == 0  # type: ignore[attr-defined] # it is a queue pool
    await room.take(room.order(customer, mia))
    room.server.slow.set()

    async def all_sent() -> bool:
        return len(room.server.sent) == 12

    await until(all_sent)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert room.server.most_at_once == 5


async def test_told_to_stop_a_worker_ends_the_conversations_under_way(
    room: NotifierService, customer: UUID, mia: Person
) -> None:
    order = await due(room, customer, mia)
    room.server.slow = asyncio.Event()
    running = asyncio.create_task(room.sending().run())

    async def talks() -> bool:
        return room.server.talking == 1

    await until(talks)
    running.cancel()
    await asyncio.sleep(0)
    room.server.slow.set()
    await asyncio.gather(running, return_exceptions=True)
    assert await state(room, order) == ("sent", None, 1)


async def test_told_to_stop_while_it_claims_a_worker_sends_what_it_has_claimed(
    room: NotifierService, customer: UUID, mia: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await due(room, customer, mia)
    claimed, go_on, job = asyncio.Event(), asyncio.Event(), room.sending()
    claim = job.office.dispatches.claim

    async def slow(*arguments: Any) -> Sequence[Dispatch]:
        found = await claim(*arguments)
        claimed.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(job.office.dispatches, "claim", slow)
    running = asyncio.create_task(job.run())
    await claimed.wait()
    running.cancel()
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(running, return_exceptions=True)
    assert await state(room, order) == ("sent", None, 1)


async def test_who_has_lost_the_claim_sends_nothing_and_writes_nothing(
    room: NotifierService, customer: UUID, mia: Person
) -> None:
    order = await due(room, customer, mia)
    stalled, now = room.sending(), room.clock.now()
    [claimed] = await stalled.office.dispatches.claim(now, now + timedelta(minutes=2), 5)

    await room.later(minutes=2)
    assert await state(room, order) == ("sent", None, 1)
    await send_dispatch(stalled.office, claimed)
    await stalled.office.dispatches.put_off(claimed, now, "late")

    assert len(room.server.tried) == 1
    assert await state(room, order) == ("sent", None, 1)


class FaultyLetters(PlainLetters):
    """One customer's orders cannot be put into words."""

    @override
    def new_order(self, order: NewOrder, addressee: Addressee) -> Letter:
        if order.customer_name == "Broken":
            raise ZeroDivisionError
        return super().new_order(order, addressee)


async def test_a_letter_that_cannot_be_written_holds_up_no_other_and_goes_out_when_it_can(
    room: NotifierService, ana: Person, customer: UUID, mia: Person
) -> None:
    room.letters = FaultyLetters()
    broken = await room.come_in(await room.customer(ana, name="Broken"), mia)
    whole = await room.come_in(customer, mia)
    assert await state(room, whole) == ("sent", None, 1)
    assert await state(room, broken) == ("pending", "not-made", 1)
    room.letters = PlainLetters()
    await room.later(minutes=1)
    assert await state(room, broken) == ("sent", None, 2)


@pytest.mark.parametrize("where", ["written", "formed"])
async def test_a_mail_that_cannot_be_made_is_given_up_after_a_day(
    room: NotifierService, ana: Person, mia: Person, where: str
) -> None:
    customer = await room.customer(ana, name="Broken")
    given_up = rise_of("bailiwick_mail_total", outcome="given_up")
    if where == "written":
        room.letters = FaultyLetters()
    else:
        room.server.answers = [UnicodeError() for _ in range(99)]
    with capture_logs() as logs:
        broken = await room.come_in(customer, mia)
        for _ in range(40):
            await room.later(hours=1)
    [row] = await room.deliveries(broken)
    assert (row["state"], row["last_problem"]) == ("failed", "not-made")
    assert row["settled_at"] - room.clock.now() == timedelta(hours=24 - 40)
    assert given_up() == 1
    told = [line["event"] for line in logs if line["log_level"] == "error"]
    assert told == ["mail.not_made"] * row["attempts"] + ["mail.given_up", "notice.in_vain"]


@pytest.mark.parametrize("answer", [None, Undeliverable("550"), later_please()])
async def test_what_a_server_has_answered_is_written_down_as_soon_as_the_database_is_back(
    room: NotifierService,
    customer: UUID,
    mia: Person,
    monkeypatch: pytest.MonkeyPatch,
    answer: Exception | None,
) -> None:
    room.server.answers = [answer] if answer else []
    monkeypatch.setattr(sending, "AGAIN", timedelta(0))
    away = [ConnectionRefusedError() for _ in range(3)]
    for name in ("finish", "put_off"):
        monkeypatch.setattr(StoredDispatches, name, _after(away, getattr(StoredDispatches, name)))

    order = await room.come_in(customer, mia)

    assert away == []
    [row] = await room.deliveries(order)
    if not isinstance(answer, PutOff):
        assert row["state"] == ("failed" if answer else "sent")
        await room.later(days=1)
    else:
        assert row["last_problem"] == "put-off-451"
        assert row["next_attempt_at"] == room.clock.now() + timedelta(minutes=1)
    assert len(room.server.tried) == 1


async def test_a_database_that_stays_away_lets_the_mail_go_out_again_and_no_sooner(
    room: NotifierService, customer: UUID, mia: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await due(room, customer, mia)

    async def away(*_: object) -> None:
        room.clock.instant += timedelta(seconds=40)
        raise ConnectionRefusedError

    monkeypatch.setattr(sending, "AGAIN", timedelta(microseconds=1))
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(StoredDispatches, "finish", away)
        began = room.clock.now()
        job = room.sending()
        await job.round()
        await job.finished()
    assert room.clock.now() == began + timedelta(minutes=2)
    assert await state(room, order) == ("pending", None, 1)

    await room.work()

    assert await state(room, order) == ("sent", None, 2)
    first, second = room.server.tried
    assert first.message_id == second.message_id


def _after(failures: list[ConnectionRefusedError], go: Callable[..., Any]) -> Callable[..., Any]:
    """Return what fails so often, and then goes."""

    async def tried(*arguments: Any) -> None:
        if failures:
            raise failures.pop()
        await go(*arguments)

    return tried
