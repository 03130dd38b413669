"""What the actions need of the store, so that they can be read, and tested, without it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeAlias
from uuid import UUID

from bailiwick_access.caller import Caller
from bailiwick_access.requests import Reading
from bailiwick_identity.domain.grants import Grants
from bailiwick_identity.domain.member import Kind, Member, Standing, Status
from bailiwick_identity.domain.organization import Organization
from bailiwick_identity.domain.session import Session, Use
from bailiwick_kit.policy.scope import Scope
from bailiwick_kit.web.idempotency import Claim, Replay

OPERATOR = UUID(int=0)
"""Who acts in the audit trail when a command line does: nobody of the organization."""


Attempts: TypeAlias = Mapping[bytes, tuple[int, datetime]]
"""Tries to sign in, by what they are counted for: how many, and since when."""


@dataclass(frozen=True)
class NewMember:
    """Who is to become a member, with what grants; None stands for now, and for an open end."""

    name: str
    email: str
    password: str = field(repr=False)
    grants: Grants
    language: str
    valid_from: datetime | None
    valid_until: datetime | None


@dataclass(frozen=True)
class Account:
    """What a person signs in with."""

    account_id: UUID
    password_hash: str = field(repr=False)


@dataclass(frozen=True)
class Membership:
    """One of an account's memberships, as sign-in sees it: across organizations."""

    org_id: UUID
    member_id: UUID
    account_id: UUID | None
    kind: Kind
    status: Status
    valid_from: datetime
    valid_until: datetime
    version: int
    organization: str


@dataclass(frozen=True)
class Filters:
    """What a list of members is narrowed by; all of it holds at once."""

    status: Standing | None = None
    kind: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class Administered:
    """An organization as who administers it sees it."""

    organization: Organization
    seats_used: int

    @property
    def version(self) -> int:
        """The organization's version; the seats taken are no part of it: they change with the members."""
        return self.organization.version


class Queries(Protocol):
    """Reads members and organizations."""

    async def page(
        self,
        reading: Reading,
        scope: Scope,
        filters: Filters,
        *,
        limit: int,
        after: tuple[datetime, UUID] | None,
    ) -> list[Member]:
        """Return up to `limit` members, newest first."""
        ...

    async def member(self, reading: Reading, member_id: UUID) -> Member | None:
        """Return a member, to be decided on."""
        ...

    async def organization(self, reading: Reading) -> Organization:
        """Return the caller's organization."""
        ...

    async def seats_used(self, reading: Reading) -> int:
        """Return how many seats are taken."""
        ...


class Organizations(Protocol):
    """The organization of a transaction."""

    async def locked(self) -> Organization:
        """Return it; whoever changes its members or settings waits until this transaction ends.

        Raises:
            Missing: there is no such organization.
        """
        ...

    async def add(self, organization: Organization) -> None:
        """Write a new one and tell the bus."""
        ...

    async def save(self, organization: Organization) -> None:
        """Write the changed one and tell the bus."""
        ...


class Members(Protocol):
    """The members of one organization, in one transaction."""

    async def one(self, member_id: UUID) -> Member | None:
        """Return a member."""
        ...

    async def of_account(self, account_id: UUID) -> Member | None:
        """Return the account's membership here."""
        ...

    async def imported(self, source: str, external_refs: Sequence[str]) -> Mapping[str, UUID]:
        """Return which of the records an earlier import has made members of."""
        ...

    async def add(self, member: Member) -> None:
        """Write a new member and tell the bus."""
        ...

    async def save(self, member: Member) -> None:
        """Write a changed member and tell the bus."""
        ...

    async def digests(self, source: str, external_refs: Sequence[str]) -> Mapping[str, str]:
        """Return what those of an import's rows said that were taken before."""
        ...

    async def keep(self, source: str, digests: Mapping[str, str]) -> None:
        """Keep what an import's rows said that were taken."""
        ...

    async def link(self, member_id: UUID, source: str, external_ref: str) -> None:
        """Remember that an import's record is this member; nothing that others know changes."""
        ...

    async def keep_secret(self, member_id: UUID, digest: bytes) -> None:
        """Keep the hash of a service account's secret."""
        ...

    async def end_sessions(self, member_id: UUID, now: datetime) -> None:
        """End every session of the member, so that no refresh token of theirs works again (S7)."""
        ...

    async def seats_used(self, now: datetime) -> int:
        """Return how many seats are taken."""
        ...

    async def has_other_leader(self, member_id: UUID, now: datetime) -> bool:
        """Tell whether another active brand manager stays for good."""
        ...


class Accounts(Protocol):
    """Accounts belong to no organization."""

    async def of(self, email: str) -> Account | None:
        """Return the account of an address."""
        ...

    async def ensure(self, email: str, password_hash: str, now: datetime) -> tuple[UUID, bool]:
        """Return the account of an address and whether it was made just now, with this password."""
        ...


class Unit(Protocol):
    """One transaction: everything in it happens, or nothing does."""

    @property
    def organizations(self) -> Organizations:
        """The organization."""
        ...

    @property
    def members(self) -> Members:
        """Its members."""
        ...

    @property
    def accounts(self) -> Accounts:
        """All accounts."""
        ...

    async def again(self, caller: Caller) -> Caller:
        """Return the caller as of now, after a wait for a lock: with the rights that hold now."""
        ...

    async def earlier(self, claim: Claim | None) -> Replay | None:
        """Return what the same request did before; keeps a second one out until this one ends."""
        ...

    async def remember(self, claim: Claim | None, entity_id: UUID) -> None:
        """Keep what this request made, for its repetition."""
        ...

    async def note(
        self,
        action: str,
        member_id: UUID,
        entity_id: UUID,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Add to the audit trail."""
        ...


class OpenUnit(Protocol):
    """Opens a transaction in one organization."""

    def __call__(self, org_id: UUID, now: datetime) -> AbstractAsyncContextManager[Unit]:
        """Open it; commits on a clean exit."""
        ...


class SignIns(Protocol):
    """What signing in reads and writes: across organizations, so it shows as little as that takes."""

    async def account(self, email: str) -> Account | None:
        """Return the account of an address."""
        ...

    async def rehash(self, account_id: UUID, password_hash: str) -> None:
        """Keep a stronger hash of the same password."""
        ...

    async def memberships(self, who: UUID) -> Sequence[Membership]:
        """Return all memberships of an account; of a service account, itself (D4)."""
        ...

    async def service_secret(self, org_id: UUID, member_id: UUID) -> bytes | None:
        """Return the hash of a service account's secret."""
        ...

    async def begin(self, session: Session, token_digest: bytes) -> None:
        """Write a new session with its first refresh token."""
        ...

    async def rotate(
        self, token_digest: bytes, successor_digest: bytes, now: datetime
    ) -> tuple[Use, Session | None]:
        """Use a refresh token; one used long before ends its session for good (S7)."""
        ...

    async def end(self, token_digest: bytes, now: datetime) -> None:
        """End the session of a refresh token, if there is one."""
        ...

    async def attempts(self, keys: Sequence[bytes], now: datetime) -> Attempts:
        """Return the counts of windows that are not over, each with when its window began."""
        ...

    async def count_attempts(
        self, keys: Sequence[bytes], now: datetime, check: Callable[[Attempts], None]
    ) -> None:
        """Add one to each count, unless `check`, told the new counts, refuses: then nothing is written."""
        ...

    async def forgive(self, cleared: bytes, keys: Sequence[bytes]) -> None:
        """Forget the first count, and take one from each other: the attempt was a good one."""
        ...


class Passwords(Protocol):
    """Hashes passwords, slowly, and only a few at a time."""

    @property
    def is_busy(self) -> bool:
        """Whether so many wait already that a stranger had better come again."""
        ...

    async def hash(self, password: str) -> str:
        """Return a hash to keep."""
        ...

    async def verify(self, password: str, password_hash: str | None) -> tuple[bool, str | None]:
        """Tell whether the password is the hashed one; None takes as long, and is never right.

        The second is a stronger hash to keep instead, where the first was made with less effort.
        """
        ...


class Tokens(Protocol):
    """Signs access tokens, and derives refresh tokens."""

    def access(
        self, membership: Membership, *, session_id: UUID | None, now: datetime
    ) -> tuple[str, int]:
        """Return an access token (D2) and how many seconds it is good for."""
        ...

    def successor(self, refresh_token: str) -> str:
        """Return the token that follows: always the same one, and nobody else can tell which."""
        ...

    def device_token(self, email: str, now: datetime) -> str:
        """Return what a device shows at its next sign-in to this account."""
        ...

    def device(self, email: str, device_token: str, now: datetime) -> bytes | None:
        """Return which device shows this, None where it is not of ours, of this account, or too old."""
        ...
