"""How a request comes in: token, position, caller; and, for reads, the connection that goes with them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller, Callers, MembershipNotHereYet
from bailiwick_kit.clock import Clock
from bailiwick_kit.database.engine import Database
from bailiwick_kit.replication.replica import ask_to_pull
from bailiwick_kit.tokens.access_tokens import TokenVerifier, bearer_token
from bailiwick_kit.web.bodies import SentBody
from bailiwick_kit.web.fields import Model
from bailiwick_kit.web.idempotency import Claim, SentKey
from bailiwick_kit.web.path_ids import canonical_path
from bailiwick_kit.web.read_your_writes import Position, Positions

_PATIENCE = 0.5
"""Seconds that a request waits for the replica of its own membership, and as long once it is pulled (D2)."""
_ACCEPTED_WITHIN = 0.2
"""Seconds that an invited member's request waits for an acceptance that the replica may lack still. It is
pulled at once, which takes some hundredths; whoever has not accepted pays this with every request."""
_PAUSE = 0.05


@dataclass(frozen=True)
class Reading:
    """A caller with a connection for reads that sees the caller's organization only."""

    caller: Caller
    connection: AsyncConnection


@dataclass(frozen=True)
class Entrance:
    """What every request of a service goes through."""

    database: Database
    tokens: TokenVerifier
    callers: Callers
    gate: Gate
    positions: Positions
    clock: Clock
    is_authority: bool = False
    """The members here are identity's own, and no copy that may be late."""
    monotonic: Callable[[], float] = field(default=time.monotonic, repr=False)
    pause: Callable[[float], Awaitable[None]] = field(default=asyncio.sleep, repr=False)

    @asynccontextmanager
    async def reading(
        self, authorization: str | None, after: tuple[Position, ...]
    ) -> AsyncIterator[Reading]:
        """Let a request in and lend it a connection. A membership that is late is waited for, then pulled.

        An invitation may have been accepted this moment, under the same token, by who sends no position.

        Raises:
            Unauthenticated: nobody we know is calling.
            Unavailable: the replicas do not have what the caller has seen elsewhere.
        """
        claims = await self.tokens.verify(bearer_token(authorization))
        await self.positions.wait(claims.org_id, after)
        since: float | None = None
        is_pulled = False
        while True:
            is_patient = since is None or self.monotonic() - since < _ACCEPTED_WITHIN
            # Nobody waits with a connection in hand: some callers' wait would be everybody's.
            # What most requests ask is found by keys: one plan does for all of them. What is not, says so.
            async with self.database.reading(
                claims.org_id, plans="force_generic_plan"
            ) as connection:
                caller = await self.callers.resolve(connection, claims, self.clock.now())
                is_late = caller is not None and caller.is_invited and not self.is_authority
                if caller is not None and not (is_late and is_patient):
                    yield Reading(caller, connection)
                    return
            if is_late and not is_pulled:
                await ask_to_pull(self.database, "identity", claims.org_id)
                since, is_pulled = self.monotonic(), True
            if since is None:  # from the first look on, which may have had to wait for a connection
                since = self.monotonic()
            if self.monotonic() - since < (_ACCEPTED_WITHIN if is_late else _PATIENCE):
                await self.pause(_PAUSE)
            elif not is_pulled:
                await ask_to_pull(self.database, "identity", claims.org_id)
                since, is_pulled = self.monotonic(), True
            elif caller is None:
                raise MembershipNotHereYet("Try again in a second.", retry_after=1)

    async def until(self, instant: datetime | None) -> None:
        """Return when the instant has passed: what an act took is then taken everywhere (D18)."""
        if instant is not None:
            remaining = (instant - self.clock.now()).total_seconds()
            if remaining > 0:
                await asyncio.sleep(remaining)


@dataclass(frozen=True)
class Act:
    """A POST that may be sent twice: judged when its turn comes, not before (domain §4, D23)."""

    caller: Caller
    method: str
    path: str
    key: SentKey
    body: SentBody[Model]

    def claim(self) -> Claim | None:
        """Return what to claim, None where the caller sent no key.

        Raises:
            Invalid: the key is not one.
            Malformed: the body is not JSON.
        """
        key = self.key.read()
        if key is None:
            return None
        return Claim(
            org_id=self.caller.org_id,
            caller=self.caller.member_id,
            method=self.method,
            path=canonical_path(self.path),
            key=key,
            fingerprint=self.body.fingerprint(),
        )
