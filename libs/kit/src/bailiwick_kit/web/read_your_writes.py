"""The position token (D6): a caller who has just changed something must see it everywhere.

An answer to a write names what it wrote, `Bailiwick-Position: customers:<id>:<version>:<proof>`; the
client sends all it has collected as `Bailiwick-After`, and a service waits until its replicas are there.
Only what a service of the same organization gave out is waited for (ADR 11): whoever could ask for any
id and version would learn of records that they may not see.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeAlias
from uuid import UUID

import sqlalchemy as sa
from fastapi import Depends, Header
from typing_extensions import override

from bailiwick_kit.database.engine import Database
from bailiwick_kit.errors import Malformed, Unavailable

HEADER = "Bailiwick-Position"
MOST_ENTRIES = 20
_ENTRY = re.compile(
    r"([a-z][a-z-]{0,30}):([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):([1-9][0-9]{0,17}):([\w-]{22})",
    re.ASCII,
)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.010, 0.050


class PositionNotReached(Unavailable):
    """The replicas here have not caught up with what the caller wrote elsewhere."""

    code = "position-not-reached"
    title = "Your last change has not arrived here yet"


@dataclass(frozen=True)
class Position:
    """A version of an entity that a service has written; with a proof where a client brings it back."""

    service: str
    entity_id: UUID
    version: int
    proof: str = ""

    @override
    def __str__(self) -> str:
        return f"{self.service}:{self.entity_id}:{self.version}"


class Seal:
    """Proves that a position was given out, in an organization. All services have the same secret."""

    def __init__(self, secret: str) -> None:
        self._key = hmac.digest(secret.encode(), b"bailiwick position", hashlib.sha256)

    def written(self, org_id: UUID, *positions: Position) -> dict[str, str]:
        """Return the header that tells the caller what was written."""
        return {HEADER: ",".join(f"{one}:{self._proof(org_id, one)}" for one in positions)}

    def proves(self, org_id: UUID, position: Position) -> bool:
        """Tell whether this very position was given out in the organization."""
        return hmac.compare_digest(self._proof(org_id, position), position.proof)

    def _proof(self, org_id: UUID, position: Position) -> str:
        digest = hmac.digest(self._key, f"{org_id}:{position}".encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()


def parse(header: str | None) -> tuple[Position, ...]:
    """Read the header Bailiwick-After.

    Raises:
        Malformed: it is not a list of positions, or too long a one.
    """
    if header is None or not header.strip():
        return ()
    entries = header.split(",", MOST_ENTRIES)
    if len(entries) > MOST_ENTRIES:
        raise Malformed(f"Send at most {MOST_ENTRIES} positions in Bailiwick-After.")
    return tuple(_position(entry.strip()) for entry in entries)


def _position(entry: str) -> Position:
    match = _ENTRY.fullmatch(entry)
    if match is None:
        raise _not_ours()
    return Position(match[1], UUID(match[2]), int(match[3]), match[4])


def _not_ours() -> Malformed:
    return Malformed(f"Send Bailiwick-After as you got it from {HEADER}.")


async def _after(
    bailiwick_after: Annotated[
        str | None, Header(description=f"What {HEADER} said, joined by commas")
    ] = None,
) -> tuple[Position, ...]:
    return parse(bailiwick_after)


After: TypeAlias = Annotated[tuple[Position, ...], Depends(_after)]
"""A route's parameter: `after: After`."""

Lookup: TypeAlias = Callable[[UUID, UUID], Awaitable[int | None]]
"""(org_id, entity_id) → the version that the replica here has, None if it knows no such entity."""


def versions_in(
    database: Database, *ids: sa.Column[Any], late: sa.Column[Any] | None = None
) -> Lookup:
    """Return the look-up of one service's entities, told by the id columns of the tables they are in.

    What is named in the column `late` is not there yet: not all that follows from it has been written.
    """
    org_id, entity_id = (sa.bindparam(name, type_=sa.Uuid) for name in ("org_id", "entity_id"))
    statement = sa.union_all(
        *(
            sa.select(one.table.c.version).where(
                one.table.c.org_id == org_id, one == entity_id, *_is_whole(late, org_id, entity_id)
            )
            for one in ids
        )
    )

    async def version(org_id: UUID, entity_id: UUID) -> int | None:
        async with database.reading(org_id) as connection:
            bound = {"org_id": org_id, "entity_id": entity_id}
            return (await connection.execute(statement, bound)).scalar()

    return version


def _is_whole(
    late: sa.Column[Any] | None, org_id: sa.ColumnElement[Any], entity_id: sa.ColumnElement[Any]
) -> tuple[sa.ColumnElement[bool], ...]:
    if late is None:
        return ()
    return (~sa.exists().where(late.table.c.org_id == org_id, late == entity_id),)


Nudge: TypeAlias = Callable[[str, UUID], Awaitable[None]]
"""(service, org_id): pull that service's changes now instead of waiting for its events."""


@dataclass(frozen=True)
class Positions:
    """Waits for replicas. `lookups` has one look-up for each service that is replicated here."""

    lookups: Mapping[str, Lookup]
    seal: Seal
    nudge: Nudge | None = None
    patience: float = 2.0
    nudge_after: float = 0.5
    monotonic: Callable[[], float] = field(default=time.monotonic, repr=False)
    pause: Callable[[float], Awaitable[None]] = field(default=asyncio.sleep, repr=False)

    async def wait(self, org_id: UUID, after: Sequence[Position]) -> None:
        """Return once every position is reached here; services unknown here are ignored.

        After `nudge_after` seconds each late service is nudged, once.

        Raises:
            Malformed: a position was not given out in this organization.
            PositionNotReached: not within `patience` seconds, the nudges included.
        """
        open_positions = [one for one in after if one.service in self.lookups]
        if not all(self.seal.proves(org_id, one) for one in open_positions):
            raise _not_ours()
        if not open_positions:
            return
        try:
            async with asyncio.timeout(self.patience):
                await self._poll(org_id, open_positions)
        except TimeoutError:
            raise self._refusal() from None

    async def _poll(self, org_id: UUID, late: list[Position]) -> None:
        started = self.monotonic()
        pause, nudged = _FIRST_PAUSE, self.nudge is None
        while late := [one for one in late if not await self._reached(org_id, one)]:
            waited = self.monotonic() - started
            if waited >= self.patience:
                raise self._refusal()
            if not nudged and self.nudge is not None and waited >= self.nudge_after:
                nudged = True
                for service in sorted({one.service for one in late}):
                    with suppress(Unavailable):  # its events may still arrive in time
                        await self.nudge(service, org_id)
                continue
            await self.pause(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    async def _reached(self, org_id: UUID, position: Position) -> bool:
        version = await self.lookups[position.service](org_id, position.entity_id)
        return version is not None and version >= position.version

    @staticmethod
    def _refusal() -> PositionNotReached:
        return PositionNotReached(retry_after=1)
