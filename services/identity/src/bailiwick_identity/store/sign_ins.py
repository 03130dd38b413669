"""Accounts, sessions and failed sign-ins: what belongs to no organization, read across all of them.

Memberships are listed by the one SECURITY DEFINER function there is (D4); the API's role itself sees one
organization at a time, here as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_identity.domain.account import WINDOW, Account, Attempts, Membership
from bailiwick_identity.domain.member import Kind, Status
from bailiwick_identity.domain.session import Session, Use
from bailiwick_identity.store import tables
from bailiwick_identity.store.unit_of_work import account_of
from bailiwick_kit.database.engine import Database

_MEMBERSHIPS = sa.text(
    "SELECT org_id, member_id, account_id, kind, status, valid_from, valid_until, version,"
    " organization FROM memberships_of(:who)"
).bindparams(sa.bindparam("who", type_=sa.Uuid))


class StoredSignIns:
    """What signing in reads and writes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def account(self, email: str) -> Account | None:
        """Return the account of an address."""
        async with self._database.reading(None) as connection:
            return await account_of(connection, email)

    async def rehash(self, account_id: UUID, password_hash: str) -> None:
        """Keep a stronger hash of the same password."""
        table = tables.accounts
        async with self._database.writing(None) as connection:
            await connection.execute(
                table.update()
                .where(table.c.account_id == account_id)
                .values(password_hash=password_hash)
            )

    async def memberships(self, who: UUID) -> Sequence[Membership]:
        """Return all memberships of an account; of a service account, itself."""
        async with self._database.reading(None) as connection:
            rows = (await connection.execute(_MEMBERSHIPS, {"who": who})).mappings().all()
        return [
            Membership(**{**row, "kind": Kind(row["kind"]), "status": Status(row["status"])})
            for row in rows
        ]

    async def service_secret(self, org_id: UUID, member_id: UUID) -> bytes | None:
        """Return the hash of a service account's secret."""
        table = tables.service_secrets
        statement = sa.select(table.c.digest).where(
            table.c.org_id == org_id, table.c.member_id == member_id
        )
        async with self._database.reading(org_id) as connection:
            return (await connection.execute(statement)).scalar()

    async def begin(self, session: Session, token_digest: bytes) -> None:
        """Write a new session with its first refresh token."""
        async with self._database.writing(None) as connection:
            await connection.execute(tables.sessions.insert().values(**vars(session)))
            await connection.execute(
                tables.refresh_tokens.insert().values(
                    digest=token_digest, session_id=session.session_id, issued_at=session.began_at
                )
            )

    async def rotate(
        self, token_digest: bytes, successor_digest: bytes, now: datetime
    ) -> tuple[Use, Session | None]:
        """Use a refresh token; one used long before ends its session for good."""
        async with self._database.writing(None) as connection:
            session = await _session_of(connection, token_digest)
            if session is None:
                return Use.OVER, None
            tokens = tables.refresh_tokens
            mine = tokens.c.digest == token_digest
            found = await connection.execute(sa.select(tokens.c.rotated_at).where(mine))
            use = session.use(found.scalar_one(), now)
            if use is Use.REUSED:
                await _end(connection, session.session_id, now)
            if use is Use.FIRST:
                await connection.execute(tokens.update().where(mine).values(rotated_at=now))
            if use in {Use.FIRST, Use.REPEATED}:
                successor = insert(tokens).values(
                    digest=successor_digest, session_id=session.session_id, issued_at=now
                )
                await connection.execute(successor.on_conflict_do_nothing())
            return use, session

    async def end(self, token_digest: bytes, now: datetime) -> None:
        """End the session of a refresh token, if there is one."""
        async with self._database.writing(None) as connection:
            session = await _session_of(connection, token_digest)
            if session is not None and session.ended_at is None:
                await _end(connection, session.session_id, now)

    async def attempts(self, keys: Sequence[bytes], now: datetime) -> Attempts:
        """Return the counts of windows that are not over, each with when its window began."""
        table = tables.sign_in_attempts
        statement = sa.select(table).where(table.c.key.in_(keys), table.c.since > now - WINDOW)
        async with self._database.reading(None) as connection:
            rows = (await connection.execute(statement)).all()
        return {bytes(key): (count, since) for key, count, since in rows}

    async def count_attempts(
        self, keys: Sequence[bytes], now: datetime, check: Callable[[Attempts], None]
    ) -> None:
        """Add one to each count, unless `check`, told the new counts, refuses: then nothing is written."""
        table = tables.sign_in_attempts
        # In one order everywhere, so that no two of these wait for each other.
        statement = insert(table).values(
            [{"key": key, "count": 1, "since": now} for key in sorted(keys)]
        )
        over = table.c.since <= now - WINDOW
        counted = statement.on_conflict_do_update(
            index_elements=[table.c.key],
            set_={
                "count": sa.case((over, 1), else_=table.c.count + 1),
                "since": sa.case((over, now), else_=table.c.since),
            },
        ).returning(table.c.key, table.c.count, table.c.since)
        async with self._database.writing(None) as connection:
            rows = (await connection.execute(counted)).all()
            check({bytes(key): (count, since) for key, count, since in rows})

    async def forgive(self, cleared: bytes, keys: Sequence[bytes]) -> None:
        """Forget the first count, and take one from each other."""
        table = tables.sign_in_attempts
        async with self._database.writing(None) as connection:
            for key in sorted([cleared, *keys]):
                count = 0 if key == cleared else sa.func.greatest(table.c.count - 1, 0)
                await connection.execute(
                    table.update().where(table.c.key == key).values(count=count)
                )


async def _session_of(connection: AsyncConnection, token_digest: bytes) -> Session | None:
    """Return the session of a token, locked, so that uses of its tokens follow one another."""
    sessions, tokens = tables.sessions, tables.refresh_tokens
    found = await connection.execute(
        sa.select(sessions)
        .join(tokens, tokens.c.session_id == sessions.c.session_id)
        .where(tokens.c.digest == token_digest)
        .with_for_update(of=sessions)
    )
    row = found.mappings().first()
    return None if row is None else Session(**row)


async def _end(connection: AsyncConnection, session_id: UUID, now: datetime) -> None:
    table = tables.sessions
    await connection.execute(
        table.update().where(table.c.session_id == session_id).values(ended_at=now)
    )
