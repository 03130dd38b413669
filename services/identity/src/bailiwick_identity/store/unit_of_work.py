"""One transaction over an organization and its members: rows, events and audit, or nothing."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from bailiwick_access.caller import Caller, Callers
from bailiwick_contracts.envelope import Sequenced
from bailiwick_identity.domain.account import Account
from bailiwick_identity.domain.grants import Mode, Role
from bailiwick_identity.domain.member import Member, Status
from bailiwick_identity.domain.organization import Organization
from bailiwick_identity.store import tables
from bailiwick_identity.store.queries import seats
from bailiwick_identity.store.rows import (
    member_event,
    member_row,
    organization_event,
    organization_row,
    to_member,
    to_organization,
)
from bailiwick_kit import crash_points
from bailiwick_kit.bus.outbox import record
from bailiwick_kit.clock import END_OF_TIME, Clock, SystemClock
from bailiwick_kit.database import audit
from bailiwick_kit.database.engine import Database
from bailiwick_kit.errors import Missing
from bailiwick_kit.imports.imported_rows import ImportedRows, Taken
from bailiwick_kit.replication.change_counter import next_numbers
from bailiwick_kit.telemetry.trace import trace_parent
from bailiwick_kit.web.idempotency import Claim, IdempotencyKeys, Replay

_KEYS = IdempotencyKeys(tables.idempotency_keys)
_CALLERS = Callers(tables.members, tables.organizations)


async def _number(connection: AsyncConnection, org_id: UUID) -> int:
    return (await next_numbers(connection, tables.change_counters, org_id)).start


async def _tell(connection: AsyncConnection, event: Sequenced, *, bulk: bool = False) -> None:
    await record(connection, tables.outbox, [event], trace_parent=trace_parent(), bulk=bulk)


class Organizations:
    """The organization of a transaction."""

    def __init__(self, connection: AsyncConnection, org_id: UUID) -> None:
        self._connection = connection
        self._org_id = org_id

    async def locked(self) -> Organization:
        """Return it; whoever changes its members or settings waits until this transaction ends.

        Raises:
            Missing: there is no such organization.
        """
        table = tables.organizations
        found = await self._connection.execute(
            sa.select(table).where(table.c.org_id == self._org_id).with_for_update()
        )
        row = found.mappings().first()
        if row is None:
            raise Missing
        return to_organization(row)

    async def add(self, organization: Organization) -> None:
        """Write a new one and tell the bus."""
        seq = await _number(self._connection, self._org_id)
        row = organization_row(organization)
        await self._connection.execute(tables.organizations.insert().values(**row, seq=seq))
        await _tell(self._connection, organization_event(organization, seq))

    async def save(self, organization: Organization) -> None:
        """Write the changed one and tell the bus."""
        seq = await _number(self._connection, self._org_id)
        table = tables.organizations
        await self._connection.execute(
            table.update()
            .where(table.c.org_id == self._org_id)
            .values(**organization_row(organization), seq=seq)
        )
        await _tell(self._connection, organization_event(organization, seq))


class Members:
    """The members of one organization, in one transaction."""

    def __init__(self, connection: AsyncConnection, org_id: UUID) -> None:
        self._connection = connection
        self._org_id = org_id

    async def one(self, member_id: UUID) -> Member | None:
        """Return a member."""
        return await self._where(tables.members.c.member_id == member_id)

    async def of_account(self, account_id: UUID) -> Member | None:
        """Return the account's membership here."""
        return await self._where(tables.members.c.account_id == account_id)

    async def imported(self, source: str, external_refs: Sequence[str]) -> Mapping[str, UUID]:
        """Return which of the records an earlier import has made members of."""
        table = tables.members
        found = await self._connection.execute(
            sa.select(table.c.external_ref, table.c.member_id).where(
                table.c.org_id == self._org_id,
                table.c.import_source == source,
                table.c.external_ref.in_(external_refs),
            )
        )
        return {row.external_ref: row.member_id for row in found}

    async def add(self, member: Member) -> None:
        """Write a new member and tell the bus."""
        seq = await _number(self._connection, self._org_id)
        await self._connection.execute(
            tables.members.insert().values(**member_row(member), seq=seq)
        )
        is_imported = member.import_source is not None
        await _tell(self._connection, member_event(member, seq), bulk=is_imported)

    async def save(self, member: Member) -> None:
        """Write a changed member and tell the bus."""
        seq = await _number(self._connection, self._org_id)
        await self._update(member.member_id, {**member_row(member), "seq": seq})
        await _tell(self._connection, member_event(member, seq))

    async def before(self, source: str, external_refs: Sequence[str]) -> Mapping[str, Taken]:
        """Return what those of an import's rows said that were taken before."""
        return await self._rows(source).before(self._connection, external_refs)

    async def keep(self, source: str, taken: Mapping[str, Taken]) -> None:
        """Keep what an import's rows said that were taken."""
        await self._rows(source).keep(self._connection, taken)

    def _rows(self, source: str) -> ImportedRows:
        return ImportedRows(tables.imported_rows, self._org_id, source, "member")

    async def link(self, member_id: UUID, source: str, external_ref: str) -> None:
        """Remember that an import's record is this member; nothing that others know changes."""
        await self._update(member_id, {"import_source": source, "external_ref": external_ref})

    async def keep_secret(self, member_id: UUID, digest: bytes) -> None:
        """Keep the hash of a service account's secret."""
        await self._connection.execute(
            tables.service_secrets.insert().values(
                org_id=self._org_id, member_id=member_id, digest=digest
            )
        )

    async def end_sessions(self, member_id: UUID, now: datetime) -> None:
        """End every session of the member, so that no refresh token of theirs works again (S7)."""
        table = tables.sessions
        await self._connection.execute(
            table.update()
            .where(
                table.c.org_id == self._org_id,
                table.c.member_id == member_id,
                table.c.ended_at.is_(None),
            )
            .values(ended_at=now)
        )

    async def seats_used(self, now: datetime) -> int:
        """Return how many seats are taken."""
        return int((await self._connection.execute(seats(self._org_id, now))).scalar_one())

    async def has_other_leader(self, member_id: UUID, now: datetime) -> bool:
        """Tell whether another active brand manager stays for good, as `Member.leads` tells it of one."""
        table = tables.members
        found = await self._connection.execute(
            sa.select(table.c.member_id)
            .where(
                table.c.org_id == self._org_id,
                table.c.member_id != member_id,
                table.c.mode == Mode.ROLE.value,
                table.c.role == Role.BRAND_MANAGER.value,
                table.c.status == Status.ACTIVE.value,
                table.c.valid_from <= now,
                table.c.valid_until >= END_OF_TIME,
            )
            .limit(1)
        )
        return found.first() is not None

    async def _where(self, condition: sa.ColumnElement[bool]) -> Member | None:
        table = tables.members
        found = await self._connection.execute(
            sa.select(table).where(table.c.org_id == self._org_id, condition)
        )
        row = found.mappings().first()
        return None if row is None else to_member(row)

    async def _update(self, member_id: UUID, values: Mapping[str, Any]) -> None:
        table = tables.members
        await self._connection.execute(
            table.update()
            .where(table.c.org_id == self._org_id, table.c.member_id == member_id)
            .values(values)
        )


class Accounts:
    """Accounts belong to no organization."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def of(self, email: str) -> Account | None:
        """Return the account of an address."""
        return await account_of(self._connection, email)

    async def ensure(self, email: str, password_hash: str, now: datetime) -> tuple[UUID, bool]:
        """Return the account of an address and whether it was made just now, with this password.

        The same statements run in either case (D3).
        """
        table = tables.accounts
        statement = insert(table).values(
            account_id=uuid7(), email=email, password_hash=password_hash, created_at=now
        )
        made = await self._connection.execute(
            statement.on_conflict_do_nothing(index_elements=[table.c.email]).returning(
                table.c.account_id
            )
        )
        is_new = made.first() is not None
        found = await self._connection.execute(
            sa.select(table.c.account_id).where(table.c.email == email)
        )
        return found.scalar_one(), is_new


async def account_of(connection: AsyncConnection, email: str) -> Account | None:
    """Return the account of an address."""
    table = tables.accounts
    found = await connection.execute(
        sa.select(table.c.account_id, table.c.password_hash).where(table.c.email == email)
    )
    row = found.first()
    return None if row is None else Account(row.account_id, row.password_hash)


class Unit:
    """One transaction in one organization."""

    def __init__(
        self, connection: AsyncConnection, org_id: UUID, now: datetime, pepper: bytes, clock: Clock
    ) -> None:
        self._connection = connection
        self._org_id = org_id
        self._now = now
        self._clock = clock
        self._pepper = pepper
        self.organizations = Organizations(connection, org_id)
        self.members = Members(connection, org_id)
        self.accounts = Accounts(connection)

    async def again(self, caller: Caller) -> Caller:
        """Return the caller as of now, after a wait for a lock: with the rights that hold now."""
        self._now = self._clock.now()
        return await _CALLERS.again(self._connection, caller, self._now)

    async def earlier(self, claim: Claim | None) -> Replay | None:
        """Return what the same request did before; keeps a second one out until this one ends."""
        if claim is None:
            return None
        return await _KEYS.claim(self._connection, self._peppered(claim), now=self._now)

    async def remember(self, claim: Claim | None, entity_id: UUID) -> None:
        """Keep what this request made, for its repetition."""
        if claim is not None:
            done = Replay(entity_id)
            await _KEYS.record(self._connection, self._peppered(claim), done, now=self._now)

    async def note(
        self,
        action: str,
        member_id: UUID,
        entity_id: UUID,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Add to the audit trail."""
        await audit.note(
            self._connection,
            tables.audit,
            org_id=self._org_id,
            at=self._now,
            member_id=member_id,
            action=action,
            entity_id=entity_id,
            details=details,
        )

    def _peppered(self, claim: Claim) -> Claim:
        # Bodies here hold passwords: a plain hash of one, kept for a day, could be guessed at.
        digest = hmac.digest(self._pepper, claim.fingerprint.encode(), "sha256")
        return replace(claim, fingerprint=digest.hex())


class OpenUnit:
    """Opens transactions on a database. `pepper` is a secret of the service, not kept in the database."""

    def __init__(self, database: Database, pepper: bytes, clock: Clock | None = None) -> None:
        self._database = database
        self._pepper = pepper
        self._clock = clock or SystemClock()

    @asynccontextmanager
    async def __call__(self, org_id: UUID, now: datetime) -> AsyncIterator[Unit]:
        """Open a transaction; it commits on a clean exit."""
        async with self._database.writing(org_id) as connection:
            yield Unit(connection, org_id, now, self._pepper, self._clock)
            crash_points.reach("action.before-commit")
        crash_points.reach("action.after-commit")
