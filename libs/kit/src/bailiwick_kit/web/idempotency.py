"""Idempotency keys (D23): the same POST twice has one effect and the same answer.

A key is scoped to (organization, caller, method, path) and kept for 24 hours. Its row commits with
the effect; a repeat is told which entity it made and reads that again under its present scope.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, TypeAlias
from uuid import UUID

from fastapi import Depends, Header
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
    bindparam,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_kit.errors import Conflict, Fault, Invalid

KEPT = timedelta(hours=24)
_VISIBLE = re.compile(r"[\x21-\x7e]{1,200}", re.ASCII)


class KeyInFlight(Conflict):
    """A request with this key is still being worked on."""

    code = "idempotency-key-in-flight"
    title = "A request with this key is still under way"


class KeyReused(Invalid):
    """The key was used for something else."""

    code = "idempotency-key-reused"
    title = "This key was used with another body"


@dataclass(frozen=True)
class Replay:
    """What the first request with this key did."""

    entity_id: UUID
    version: int = 1
    status: int = 201


@dataclass(frozen=True)
class SentKey:
    """The header Idempotency-Key as it came; judged when claimed, not before (domain §4)."""

    header: str | None

    def read(self) -> str | None:
        """Return the key, None if there is none.

        Raises:
            Invalid: it is not 1 to 200 visible ASCII characters.
        """
        if self.header is None:
            return None
        if not _VISIBLE.fullmatch(self.header):
            message = "Send 1 to 200 visible ASCII characters, a UUID for instance"
            fault = Fault("Idempotency-Key", "not-allowed", message)
            raise Invalid(faults=(fault,))
        return self.header


async def _sent_key(
    idempotency_key: Annotated[
        str | None, Header(description="Your own id of this act: a repeat has no second effect")
    ] = None,
) -> SentKey:
    return SentKey(idempotency_key)


IdempotencyKey: TypeAlias = Annotated[SentKey, Depends(_sent_key)]
"""A route's parameter: `key: IdempotencyKey`."""


@dataclass(frozen=True)
class Claim:
    """One act: who does what where under which key, and a hash of the body."""

    org_id: UUID
    caller: UUID
    method: str
    path: str
    key: str
    fingerprint: str

    def lock(self) -> int:
        """Return the 64-bit number of its advisory lock."""
        parts = (str(self.org_id), str(self.caller), self.method, self.path, self.key)
        digest = hashlib.sha256("\0".join(("idempotency", *parts)).encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=True)


def idempotency_keys(metadata: MetaData) -> Table:
    """Define the table, for a service's own metadata and migrations."""
    return Table(
        "idempotency_keys",
        metadata,
        Column("org_id", Uuid, primary_key=True),
        Column("caller", Uuid, primary_key=True),
        Column("method", Text, primary_key=True),
        Column("path", Text, primary_key=True),
        Column("key", Text, primary_key=True),
        Column("fingerprint", Text, nullable=False),
        Column("entity_id", Uuid, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("status", SmallInteger, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False, index=True),
    )


class IdempotencyKeys:
    """Claims and records keys in a service's table, always in the action's own transaction."""

    def __init__(self, table: Table) -> None:
        self._table = table
        columns = ("org_id", "caller", "method", "path", "key")
        same = [table.c[name] == bindparam(name) for name in columns]
        self._lock = select(func.pg_try_advisory_xact_lock(bindparam("lock", type_=BigInteger)))
        self._find = select(
            table.c.fingerprint, table.c.entity_id, table.c.version, table.c.status
        ).where(*same, table.c.created_at > bindparam("since"))

    async def claim(
        self, connection: AsyncConnection, claim: Claim, *, now: datetime
    ) -> Replay | None:
        """Take the key for this transaction; return what an earlier request with it did, if any.

        Raises:
            KeyInFlight: another transaction holds it.
            KeyReused: it was used with another body.
        """
        if not await connection.scalar(self._lock, {"lock": claim.lock()}):
            raise KeyInFlight(detail="Wait for its answer, or repeat this in a second.")
        # The lock first: under READ COMMITTED the next statement then sees what its holder committed.
        found = await connection.execute(self._find, {**_columns(claim), "since": now - KEPT})
        row = found.one_or_none()
        if row is None:
            return None
        if row.fingerprint != claim.fingerprint:
            raise KeyReused(detail="Use a new key for a new act.")
        return Replay(row.entity_id, row.version, row.status)

    async def record(
        self, connection: AsyncConnection, claim: Claim, done: Replay, *, now: datetime
    ) -> None:
        """Store what was done, in the same transaction; an expired row of the same key gives way."""
        values = {
            "fingerprint": claim.fingerprint,
            "entity_id": done.entity_id,
            "version": done.version,
            "status": done.status,
            "created_at": now,
        }
        statement = insert(self._table).values(**_columns(claim), **values)
        await connection.execute(
            statement.on_conflict_do_update(index_elements=self._table.primary_key, set_=values)
        )


def _columns(claim: Claim) -> dict[str, object]:
    return {
        "org_id": claim.org_id,
        "caller": claim.caller,
        "method": claim.method,
        "path": claim.path,
        "key": claim.key,
    }
