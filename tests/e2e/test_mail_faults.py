"""Harm done to mail on its way: each order told of once, to whom it concerns, and no order held up (F20).

Message-ID and recipient are counted where mail arrives. A second copy may be there only where nobody
could know of the first: the server took it, and its answer reached no one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest

from bailiwick_launcher.data_folder import DataFolder
from bailiwick_testkit.fakes.smtp_server import Accepted, Faults, Harm, Stage
from bailiwick_testkit.fakes.smtp_thread import PostOffice, post_office
from bailiwick_testkit.fakes.subscriber import Ear, a_message, deliver
from bailiwick_testkit.servers.real import Servers
from bailiwick_testkit.servers.stack import running
from bailiwick_testkit.services.company import Company, Someone, a_company
from bailiwick_testkit.services.orders import an_order
from bailiwick_testkit.waiting import wait_until

pytestmark = pytest.mark.faults

PLACED, QUEUE = "orders.order.placed.v1", "notifier.orders"
QUICK = {"BAILIWICK_MAIL_RETRY_AFTER": "0.5", "BAILIWICK_MAIL_DEADLINE": "2"}
"""In production a minute and half a minute. The claim of a dead worker holds eight seconds here."""
LATER, NEVER = "451 4.3.0 later, please", "550 5.1.1 <ana@wines.example> is nobody here"
BEFORE: list[Stage] = ["connect", "hello", "sender", "recipient", "data"]
"""Where the mail has not been handed over yet."""


@dataclass
class Town:
    """A company whose mail goes to a post office that does harm, and every order that was placed."""

    company: Company
    office: PostOffice
    ear: Ear
    customers: dict[str, str]
    """The representative's name → a customer of theirs."""
    orders: dict[str, tuple[str, Someone]] = field(default_factory=dict)
    """Order → its number, and who is to be told."""
    refused: set[str] = field(default_factory=set)
    """The orders whose mail was refused for good."""
    since: float = field(default_factory=time.monotonic)
    """When the ear was there."""

    @property
    def stack(self) -> Any:
        """The launcher's view of what runs."""
        return self.company.running.stack

    def place(self, *names: str) -> list[str]:
        """Let Mia order for a customer of each of these representatives; whatever is broken, she can."""
        placed = []
        for name in names:
            body = an_order(self.customers[name], place=True)
            answer = self.company.boss.post("/v1/orders", body)
            assert answer.status_code == 201, answer.text
            order = answer.json()
            self.orders[order["order_id"]] = (order["number"], self.company[name])
            placed.append(order["order_id"])
        return placed

    def deliveries(self) -> dict[str, dict[str, Any]]:
        """Give what notifier says of each order; there are no two deliveries of one."""
        listed = self.company.boss.list("/v1/deliveries")
        found = {one["order_id"]: one for one in listed}
        assert len(found) == len(listed), "told twice, as two things"
        return found

    def wait_for(self, orders: list[str], state: str, problem: str | None = None) -> None:
        """Return when that is what has become of all of them."""

        def all_are() -> bool:
            found = self.deliveries()
            told = [found[one] for one in orders if one in found]
            said = {(one["state"], one["last_problem"]) for one in told}
            return len(told) == len(orders) and said == {(state, problem)}

        wait_until(all_are, f"{state}, {problem}")

    def sent(self, *orders: str) -> list[tuple[int, list[Accepted]]]:
        """Hold all orders against all mail, and give the attempts and the copies of these."""
        self.accounts_for()
        found, copies = self.deliveries(), self.office.taken()
        return [(found[one]["attempts"], copies[message_id(found[one])]) for one in orders]

    def accounts_for(self) -> None:
        """Hold that each order was told of to its representative, once as far as anybody could know."""
        self.wait_for(list(self.orders.keys() - self.refused), "sent")
        found, copies = self.deliveries(), self.office.taken()
        told = {message_id(found[one]) for one in self.orders.keys() - self.refused}
        assert found.keys() == self.orders.keys()
        assert copies.keys() == told
        for order_id, (number, who) in self.orders.items():
            delivery = found[order_id]
            assert delivery["member"]["member_id"] == who.member_id
            if order_id in self.refused:
                said = (delivery["state"], delivery["last_problem"], delivery["attempts"])
                assert said == ("failed", "refused-550", 1)
                continue
            arrived = copies[message_id(delivery)]
            assert {one.recipients for one in arrived} == {(who.email,)}
            assert all(number in str(one.message["Subject"]) for one in arrived)
            answered = [one.is_answered for one in arrived]
            assert answered == [False] * (len(arrived) - 1) + [True], "sent after it had been taken"
            assert (delivery["state"], delivery["last_problem"]) == ("sent", None)
            assert delivery["attempts"] >= len(arrived)


@pytest.fixture(scope="module")
def town(servers: Servers) -> Iterator[Town]:
    """One stack for all of these tests, and nobody else's; its mail goes to our own post office."""
    folder = servers.places.data / "mail-faults"
    with post_office(DataFolder(folder).kept.port("post-office")) as office:
        settings = {**QUICK, "BAILIWICK_SMTP_URL": office.server.url}
        own = running(folder, own=True, settings=settings)
        try:
            with a_company(own) as company:
                yield (town := settled(company, office))
                town.accounts_for()
        finally:
            own.stack.down()


def settled(company: Company, office: PostOffice) -> Town:
    ear = Ear(company.running.stack.rabbitmq.url, company.org_id)
    ana = company.hire("Ana", permissions=["seller"])
    bruno = company.hire("Bruno", "sales_representative")
    customers = {"Ana": company.customer("C1", by=ana), "Bruno": company.customer("C2", by=bruno)}
    return Town(company, office, ear, customers)


def message_id(delivery: dict[str, Any]) -> str:
    return f"<{delivery['delivery_id']}@bailiwick.example>"


def test_while_the_mail_server_is_down_orders_are_taken_and_mail_waits(town: Town) -> None:
    town.office.stop()
    try:
        orders = town.place("Ana", "Bruno", "Ana")
        town.wait_for(orders, "pending", "put-off")
    finally:
        town.office.start()
    for attempts, copies in town.sent(*orders):
        assert attempts > 1
        assert len(copies) == 1


def test_whatever_goes_wrong_before_a_mail_is_taken_only_delays_it(town: Town) -> None:
    ills: list[str | Harm] = [LATER, "what?", Harm.CUT, Harm.HANG]
    harms: list[Faults] = [{stage: ill} for ill in ills for stage in BEFORE]
    harms += [{"end": LATER}, {"connect": "554 5.7.1 not you"}, {"hello": "550 nor you"}]
    town.office.lay_out(*harms)
    already = len(town.office.server.harmed)

    orders = town.place(*["Ana", "Bruno"] * (len(harms) // 2), "Ana")

    ends = town.sent(*orders)
    assert len(town.office.server.harmed) == already + len(harms)
    assert {len(copies) for _, copies in ends} == {1}
    # Each harm cost one attempt, and no mail more than it had to.
    assert sum(attempts for attempts, _ in ends) == len(orders) + len(harms)


def test_a_slow_conversation_holds_up_neither_orders_nor_other_mail(town: Town) -> None:
    town.office.lay_out({"recipient": Harm.WAIT})
    slow = town.place("Ana")
    wait_until(lambda: not town.office.server.ahead, "the conversation has begun")
    quick = town.place("Bruno", "Ana")
    town.wait_for(quick, "sent")
    town.office.go_on()
    for _, copies in town.sent(*slow, *quick):
        assert len(copies) == 1


def test_what_is_refused_for_good_has_failed_and_is_never_tried_again(town: Town) -> None:
    stages: list[Stage] = ["sender", "recipient", "data", "end"]
    harms: list[Faults] = [{stage: NEVER} for stage in stages]
    town.office.lay_out(*harms)
    orders = town.place("Ana", "Bruno", "Ana", "Bruno")
    town.wait_for(orders, "failed", "refused-550")
    town.refused |= set(orders)
    # Whoever is told next goes to the same server, which takes it: the others had their turn.
    assert [attempts for attempts, _ in town.sent(*town.place("Ana", "Bruno"))] == [1, 1]


@pytest.mark.parametrize(
    ("stage", "harm", "arrived"),
    [
        ("end", Harm.CUT, 2),
        ("end", Harm.HANG, 2),
        ("middle", Harm.CUT, 1),
        ("middle", Harm.HANG, 1),
    ],
)
def test_a_mail_of_which_nobody_knows_goes_once_more_as_the_same_mail(
    town: Town, stage: Stage, harm: Harm, arrived: int
) -> None:
    town.office.lay_out({stage: harm})
    [(attempts, copies)] = town.sent(*town.place("Bruno"))
    assert town.office.server.harmed[-1] == stage
    assert attempts == 2
    assert len(copies) == arrived
    assert len({one.message["Subject"] for one in copies}) == 1


def test_a_broker_that_comes_back_and_tells_everything_again_has_told_it_once(town: Town) -> None:
    before, broker = town.place("Ana"), town.stack.rabbitmq
    # A queue that is young when its broker is killed may be lost (T1): the ear's own is one.
    wait_until(lambda: time.monotonic() > town.since + 5, "the ear's queue is old enough")
    broker.kill()
    try:
        orders = town.place("Bruno", "Ana", "Bruno")
    finally:
        broker.start()
    assert [len(copies) for _, copies in town.sent(*before, *orders)] == [1, 1, 1, 1]

    town.ear.wait_for(PLACED, set(town.orders))
    redeliver(town)

    assert [attempts for attempts, _ in town.sent(*town.place("Ana"))] == [1]


def redeliver(town: Town) -> None:
    """Put every event about a placed order into notifier's queue again, twice."""
    again = [
        a_message(str(one.event_id), one.type, one.headers, one.body)
        for one in town.ear.heard
        if one.type == PLACED
    ]
    deliver(town.stack.rabbitmq.url, QUEUE, *again, *again)


def test_a_notifier_killed_while_mail_servers_keep_it_waiting_sends_it_when_it_lives(
    town: Town,
) -> None:
    town.office.lay_out({"recipient": Harm.HANG}, {"end": Harm.HANG})
    already = len(town.office.server.harmed)
    held = town.place("Ana", "Bruno")
    wait_until(lambda: len(town.office.server.harmed) >= already + 2, "both conversations hang")
    assert town.office.is_talking
    town.stack.service("notifier").kill()
    meanwhile = town.place("Ana")
    town.company.running.start("notifier")
    *ends, (_, copies) = town.sent(*held, *meanwhile)
    assert len(copies) == 1
    assert [attempts for attempts, _ in ends] == [2, 2]
    assert sorted(len(copies) for _, copies in ends) == [1, 2]


def test_a_notifier_that_loses_its_database_keeps_what_the_mail_server_said(town: Town) -> None:
    town.office.lay_out({"end": Harm.WAIT})
    already = len(town.office.server.accepted)
    held = town.place("Ana")
    wait_until(
        lambda: len(town.office.server.accepted) > already, "the mail is taken, not answered yet"
    )
    with without_database(town):
        town.office.go_on()
        wait_until(lambda: not town.office.is_talking, "the answer has been heard")
        meanwhile = town.place("Bruno", "Ana")
        wait_until(lambda: town.company.running.health("notifier") == 503, "notifier is not ready")
    ends = town.sent(*held, *meanwhile)
    assert [(attempts, len(copies)) for attempts, copies in ends] == [(1, 1)] * 3


@contextmanager
def without_database(town: Town) -> Iterator[None]:
    """Let nobody into notifier's database; the others, on the same server, keep theirs."""
    name = town.stack.database("notifier").name

    async def let_in(most: int) -> None:
        admin = await asyncpg.connect(town.stack.postgres.url)
        try:
            await admin.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT {most}')
            if not most:
                cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
                await admin.execute(cut, name)
        finally:
            await admin.close()

    asyncio.run(let_in(0))
    try:
        yield
    finally:
        asyncio.run(let_in(-1))
