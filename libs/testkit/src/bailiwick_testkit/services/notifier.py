"""A notifier with made-up customers, letters and mail server: what its tests arrange, tell and find sent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from bailiwick_access.authorizer import Gate
from bailiwick_contracts.orders import (
    OrderCancelled,
    OrderEdited,
    OrderEvent,
    OrderLine,
    OrderPlaced,
)
from bailiwick_kit.bus.handling import Received
from bailiwick_kit.clock import FixedClock
from bailiwick_kit.policy.client import Policy
from bailiwick_kit.replication.replica import Replica
from bailiwick_kit.telemetry.trace import trace_parent
from bailiwick_notifier.actions.fix_recipients import Desk
from bailiwick_notifier.actions.send_dispatch import Letters, Office
from bailiwick_notifier.domain.letter import Addressee, Letter
from bailiwick_notifier.domain.order import NewOrder
from bailiwick_notifier.events.orders import from_orders
from bailiwick_notifier.mail.sending import Mail
from bailiwick_notifier.store.dispatches import StoredDispatches
from bailiwick_notifier.store.notices import KeepChanged, StoredNotices, TakeNotice
from bailiwick_notifier.workers import Fixing, Sending
from bailiwick_testkit.fakes.customers import MadeUpCustomers
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.services.service_under_test import ServiceUnderTest

SENDER = "Bailiwick <orders@mail.example>"
NOON = datetime(2026, 1, 15, 11, tzinfo=UTC)
"""Noon in Madrid, where made-up organizations are."""


@dataclass
class MadeUpMailServer:
    """Takes mails, unless told what to answer: `answers` are raised one by one, then all is taken.

    `talking`: how many conversations it has at once, and the most it ever had. While `slow` is set, it
    does not answer.
    """

    sent: list[Mail] = field(default_factory=list)
    tried: list[Mail] = field(default_factory=list)
    answers: list[BaseException] = field(default_factory=list)
    slow: asyncio.Event | None = None
    talking: int = 0
    most_at_once: int = 0

    async def send(self, mail: Mail) -> None:
        """Take a mail, or raise the next answer."""
        self.tried.append(mail)
        self.talking += 1
        self.most_at_once = max(self.most_at_once, self.talking)
        try:
            if self.slow is not None:
                await self.slow.wait()
            if self.answers:
                raise self.answers.pop(0)
            self.sent.append(mail)
        finally:
            self.talking -= 1

    @property
    def subjects(self) -> list[str]:
        """The subjects of what was sent."""
        return [mail.subject for mail in self.sent]


class PlainLetters:
    """Letters that say little: language, numbers and customers."""

    def new_order(self, order: NewOrder, addressee: Addressee) -> Letter:
        """Say that an order came in."""
        subject = f"{addressee.language} {order.number} {order.customer_name}"
        return Letter(subject, "text", "<p>html</p>")

    def digest(self, orders: Sequence[NewOrder], addressee: Addressee) -> Letter:
        """Say which orders came in."""
        numbers = " ".join(
            f"{order.number}-cancelled" if order.is_cancelled else order.number for order in orders
        )
        return Letter(f"{addressee.language} digest {numbers}", "text", "<p>html</p>")


@dataclass
class NotifierService:
    """One organization's notifier, without a bus. Time stands still until `clock.instant` is moved."""

    shop: ServiceUnderTest
    customers: MadeUpCustomers
    customers_replica: Replica
    identity_replica: Replica
    policy: Policy
    server: MadeUpMailServer = field(default_factory=MadeUpMailServer)
    clock: FixedClock = field(default_factory=lambda: FixedClock(NOON))
    letters: Letters = field(default_factory=PlainLetters)
    told: int = 0
    placed: int = 0

    async def person(self, name: str, role: str | None = None, **changes: Any) -> Person:
        """Make a member with a name and an address, or change one."""
        described = {"name": name, "email": f"{name.lower()}@people.example", **changes}
        return await self.shop.member(role, **described)

    async def tell(self) -> None:
        """Let notifier hear what customers did since this was last called."""
        for event in self.customers.told[self.told :]:
            async with self.shop.database.writing(event.org_id) as connection:
                await self.customers_replica.receive(connection, [Received(event, uuid4())])
        self.told = self.customers.head

    async def customer(
        self, main: Person | None = None, *additional: Person, name: str = "Librería Sol"
    ) -> UUID:
        """Make a customer with its representatives."""
        customer_id = self.customers.customer(name)
        if main is not None:
            self.customers.assign(customer_id, main.member_id)
        for person in additional:
            self.customers.assign(customer_id, person.member_id, "additional")
        await self.tell()
        return customer_id

    def order(self, customer_id: UUID, by: Person, **changes: Any) -> OrderPlaced:
        """Return that somebody placed an order, as orders tells it now."""
        now = self.clock.now()
        current = [
            one
            for one in self.customers.assignments.values()
            if one.customer_id == customer_id and one.valid_from <= now < one.valid_to
        ]
        mains = [one.member_id for one in current if one.relation == "main"]
        self.placed += 1
        line = OrderLine(
            sku="TEA-1",
            name="Tea",
            quantity=Decimal(2),
            unit_price=Decimal(10),
            discount=Decimal(0),
            net=Decimal(20),
        )
        described: dict[str, Any] = {
            "number": f"N{self.placed}",
            "customer_name": "Librería Sol",
            "source": "phone",
            "author_id": by.member_id,
            "author_keeps_view": True,
            "main_id": mains[0] if mains else None,
            "additional_ids": tuple(
                one.member_id for one in current if one.relation == "additional"
            ),
            "assignment_seq": self.customers.head,
            **changes,
        }
        return OrderPlaced(
            org_id=self.shop.org_id,
            version=1,
            order_id=uuid4(),
            customer_id=customer_id,
            placed_by=by.member_id,
            credited_to=None,
            state="placed",
            order_date=now.date(),
            listed_at=now,
            placed_at=now,
            currency="EUR",
            lines=(line,),
            net=Decimal(20),
            **described,
        )

    async def take(self, event: OrderPlaced, event_id: UUID | None = None) -> UUID:
        """Take an order that came in, as the consumer would, and return the event's id."""
        event_id = event_id or uuid4()
        await self.hear(Received(event, event_id, trace_parent()))
        return event_id

    async def change(
        self, order: OrderPlaced, kind: type[OrderEvent], version: int = 2, **changes: Any
    ) -> None:
        """Take that an order has changed since it came in, likewise."""
        if kind is OrderCancelled:
            changes["state"] = "cancelled"
        if kind is OrderEdited:
            changes["edited_by"] = order.author_id
        event = kind.model_validate({**order.model_dump(), "version": version, **changes})
        await self.hear(Received(event, uuid4(), trace_parent()))

    async def hear(self, *received: Received) -> None:
        """Take events of one type, as the consumer would."""
        take, keep = TakeNotice(self.clock), KeepChanged(self.clock)
        inbox = self.shop.tables.inbox
        consumer = from_orders(self.shop.database, "", inbox, take=take, keep=keep)
        async with self.shop.database.writing(received[0].event.org_id) as connection:
            await consumer.handlers[type(received[0].event)](connection, received)

    async def come_in(self, customer_id: UUID, by: Person, **changes: Any) -> OrderPlaced:
        """Have an order come in, and all mails go out that are due."""
        event = self.order(customer_id, by, **changes)
        await self.take(event)
        await self.work()
        return event

    async def work(self) -> None:
        """Let the worker do all that is due now."""
        await self.fixing().round()
        await self.send()

    async def send(self) -> None:
        """Let the worker send all that is due now."""
        sending = self.sending()
        while await sending.round():
            await sending.finished()

    async def later(self, **by: float) -> None:
        """Let time pass, and the worker do what is due then."""
        self.clock.instant += timedelta(**by)
        await self.work()

    def fixing(self) -> Fixing:
        """Return the job that fixes who is told."""
        return Fixing(
            Desk(
                notices=StoredNotices(self.shop.database),
                customers=self.customers_replica,
                identity=self.identity_replica,
                gate=Gate(self.policy),
                clock=self.clock,
            )
        )

    def sending(self) -> Sending:
        """Return the job that sends."""
        return Sending(
            Office(
                dispatches=StoredDispatches(self.shop.database),
                gate=Gate(self.policy),
                letters=self.letters,
                mailer=self.server,
                clock=self.clock,
                sender=SENDER,
            )
        )

    async def deliveries(self, order: OrderPlaced | None = None) -> list[dict[str, Any]]:
        """Return the rows of all deliveries, or of an order's, oldest first."""
        table = self.shop.tables.deliveries
        statement = sa.select(table).order_by(table.c.created_at, table.c.order_number)
        if order is not None:
            statement = statement.where(table.c.order_id == order.order_id)
        async with self.shop.database.reading(self.shop.org_id) as connection:
            return [dict(row) for row in (await connection.execute(statement)).mappings()]

    def mailed(self) -> list[str]:
        """Return who was sent a mail since this was last called, by name."""
        names = sorted(mail.recipient.partition("@")[0].capitalize() for mail in self.server.sent)
        self.server.sent.clear()
        return names
