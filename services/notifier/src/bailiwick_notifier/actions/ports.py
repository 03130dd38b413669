"""What the actions need of store, letters and mail, so that they can be read, and tested, without them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from bailiwick_access.caller import Caller
from bailiwick_access.requests import Reading
from bailiwick_contracts.identity import Settings
from bailiwick_kit.policy.scope import Scope
from bailiwick_notifier.domain.delivery import Delivery, Dispatch, State
from bailiwick_notifier.domain.letter import Addressee, Letter
from bailiwick_notifier.domain.notice import Notice
from bailiwick_notifier.domain.order import NewOrder
from bailiwick_notifier.domain.preferences import Preferences
from bailiwick_notifier.mail.sending import Mail


class Letters(Protocol):
    """Puts new orders into words, in the recipient's language and the organization's time."""

    def new_order(self, order: NewOrder, addressee: Addressee) -> Letter:
        """Return the letter about one new order."""
        ...

    def digest(self, orders: Sequence[NewOrder], addressee: Addressee) -> Letter:
        """Return the letter about a day's new orders."""
        ...


class Mailer(Protocol):
    """Hands a mail over to the mail server."""

    async def send(self, mail: Mail) -> None:
        """Send it.

        Raises:
            bailiwick_notifier.mail.sending.Undeliverable: it never will arrive.
            bailiwick_notifier.mail.sending.PutOff: it may arrive later, or may have arrived.
        """
        ...


@dataclass(frozen=True)
class Person:
    """A member, or a storefront, as the replica of identity has them now."""

    caller: Caller
    """What policy is told when it is asked about them."""
    organization_name: str
    is_active: bool
    """A person, and in force now: a storefront reads no mail."""
    email: str | None
    language: str


class Authority(Protocol):
    """The replica of an authority: how far it is, and what makes it whole."""

    async def position(self, org_id: UUID) -> int:
        """Return up to which change everything has been applied."""
        ...

    async def catch_up(self, org_id: UUID) -> bool:
        """Ask the authority itself for the rest, as much as comes at once; say whether that was all.

        Raises:
            Unavailable: it does not answer.
        """
        ...


class Notices(Protocol):
    """The orders that came in and whose recipients are not fixed yet."""

    async def due(self, now: datetime, most: int) -> Sequence[Notice]:
        """Return those whose turn it is, in all organizations, oldest first."""
        ...

    async def settings(self, org_id: UUID) -> Settings | None:
        """Return the organization's settings, None where the replica does not know it yet."""
        ...

    async def people(
        self, org_id: UUID, now: datetime, member_ids: Collection[UUID] | None = None
    ) -> Mapping[UUID, Person]:
        """Return those of the members whom the replica knows; named none, all who are active."""
        ...

    async def representatives(
        self, notice: Notice, now: datetime
    ) -> tuple[UUID | None, Sequence[UUID]]:
        """Return the main of the notice's customer at an instant, None without, and the additionals."""
        ...

    async def postpone(self, notice: Notice, until: datetime) -> None:
        """Look at it again later."""
        ...

    async def fix(self, notice: Notice, recipients: Sequence[UUID], now: datetime) -> bool:
        """Fix who is told: one delivery each; false where somebody else just has."""
        ...


@dataclass(frozen=True)
class Item:
    """One delivery in a mail: the order it tells of, and how its recipient stands to it now."""

    delivery_id: UUID
    order: NewOrder
    facts: Mapping[str, object]
    called_now: str | None = None
    """What its customer is called now; absent where that was not heard: as the order keeps it."""
    trace_parent: str | None = None
    """Of what made it come in."""


@dataclass(frozen=True)
class Opened:
    """All that is needed to decide on a mail and to write it, as of one instant."""

    recipient: Person
    preferences: Preferences
    items: tuple[Item, ...]


class Dispatches(Protocol):
    """The mails to send. Every write does nothing where the claim has been lost meanwhile."""

    async def claim(self, now: datetime, held_until: datetime, most: int) -> Sequence[Dispatch]:
        """Take mails whose turn it is, in all organizations; nobody else gets them before `held_until`."""
        ...

    async def opened(self, dispatch: Dispatch, now: datetime) -> Opened | None:
        """Return what is in it; None where the replica does not know its recipient."""
        ...

    async def keep_for_digest(self, dispatch: Dispatch, day: date, due: datetime) -> None:
        """Put a delivery into the recipient's digest of that day; if that is on its way, the next day's."""
        ...

    async def begin(
        self,
        dispatch: Dispatch,
        kept: Sequence[UUID],
        dropped: Sequence[UUID],
        now: datetime,
        held_until: datetime,
    ) -> Dispatch | None:
        """Count an attempt, before it is made; suppress what was dropped. None: the claim is lost.

        Orders that are now told to nobody are as after `finish`.
        """
        ...

    async def finish(
        self,
        dispatch: Dispatch,
        deliveries: Sequence[UUID],
        state: State,
        problem: str | None,
        now: datetime,
    ) -> None:
        """Settle it and these deliveries in it, for good.

        Where every delivery of an order has now ended in vain, it is fixed anew who is told.
        """
        ...

    async def put_off(self, dispatch: Dispatch, until: datetime, problem: str) -> None:
        """Try again later."""
        ...


@dataclass(frozen=True)
class Filters:
    """What a list of deliveries is narrowed by; all of it holds at once."""

    states: tuple[str, ...] = ()
    order_id: UUID | None = None
    member_id: UUID | None = None


class Queries(Protocol):
    """Reads deliveries through what a caller may see, and the caller's own preferences."""

    async def page(
        self,
        reading: Reading,
        scope: Scope,
        filters: Filters,
        *,
        limit: int,
        after: tuple[datetime, UUID] | None,
    ) -> list[Delivery]:
        """Return up to `limit` deliveries, newest first."""
        ...

    async def count(self, reading: Reading, scope: Scope, filters: Filters) -> int:
        """Return exactly how many there are."""
        ...

    async def one(self, reading: Reading, delivery_id: UUID) -> Delivery | None:
        """Return a delivery, to be decided on."""
        ...

    async def preferences(self, reading: Reading) -> Preferences:
        """Return the caller's own."""
        ...


class Unit(Protocol):
    """One transaction: everything in it happens, or nothing does."""

    async def preferences(self, member_id: UUID) -> Preferences:
        """Return a member's preferences, kept from changing."""
        ...

    async def save(self, member_id: UUID, preferences: Preferences, now: datetime) -> None:
        """Write them, with who said so."""
        ...


class OpenUnit(Protocol):
    """Opens a transaction in one organization."""

    def __call__(self, org_id: UUID) -> AbstractAsyncContextManager[Unit]:
        """Open it; commits on a clean exit."""
        ...
