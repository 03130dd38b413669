"""Slows down who guesses passwords, without shutting out who knows one (S4, ADR 21).

Tries are counted for an account from an address, for an address, and for an account from anywhere; a try
that succeeds is taken back. A device that the account has signed in from before has a count of its own:
what others do is nothing to it. A try that is refused writes nothing.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bailiwick_identity.domain.account import WINDOW, Attempts
from bailiwick_identity.domain.errors import TooManyAttempts
from bailiwick_identity.store.sign_ins import StoredSignIns

PER_ACCOUNT_AND_ADDRESS = 10
"""Tries for an account from an address, or from a device that it knows."""
UNDER_ATTACK = 3
"""The same while the account is under attack from many addresses, or the address tries many accounts."""
ATTACKED = 100
"""Failures of one account within a window that count as an attack."""
RESERVE = 100
"""Tries beyond those, for who has made few themselves: most people behind a bad address are none."""
REFILL = timedelta(seconds=5)
"""Once the reserve is used up, there is one more try each time so much of the window has passed."""


@dataclass(frozen=True)
class Source:
    """Where a try comes from: an address (of IPv6 a /64), the network around it (a /48), a known device."""

    address: str
    network: str
    device: bytes | None = None


@dataclass(frozen=True)
class Attempt:
    """What one try is counted as: `own` for this account from here, `shared` with others."""

    own: bytes
    shared: Mapping[bytes, int]
    """How many failures of each are usual within a window."""

    @classmethod
    def of(cls, email: str | None, source: Source, per_address: int) -> Attempt:
        """Return what a try for an account is counted as, whether or not there is such an account."""
        account = email or ""
        if source.device is not None:
            return cls(_key("device", account, source.device.hex()), {})
        usual = {_key("address", source.network): per_address}
        if email is not None:
            usual[_key("account", account)] = ATTACKED
        return cls(_key("pair", account, source.address), usual)

    @property
    def keys(self) -> list[bytes]:
        """All counts that the try adds to."""
        return [self.own, *self.shared]

    def check(self, counts: Attempts, now: datetime) -> None:
        """Refuse the try where the counts, itself included, are above their limits.

        Raises:
            TooManyAttempts: they are; it says when to come again.
        """
        limit = PER_ACCOUNT_AND_ADDRESS
        waits = [timedelta(0)]
        for key, usual in self.shared.items():
            count, since = counts.get(key, (1, now))
            if count > usual:
                limit = UNDER_ATTACK
                due = since + REFILL * (count - usual - RESERVE)
                waits.append(min(due, since + WINDOW) - now)
        count, since = counts.get(self.own, (1, now))
        if count > limit:
            waits.append(since + WINDOW - now)
        if (wait := max(waits)) > timedelta(0):
            refusal = TooManyAttempts("Wait for the seconds in Retry-After.")
            refusal.retry_after = math.ceil(wait.total_seconds())
            raise refusal


@dataclass(frozen=True)
class Throttle:
    """Counts tries before passwords are looked at, so that many at once are many."""

    sign_ins: StoredSignIns
    per_address: int

    async def attempt(self, email: str | None, source: Source, now: datetime) -> Attempt:
        """Count a try, unless it is refused.

        Raises:
            TooManyAttempts: there were too many; the password is not even looked at.
        """
        attempt = Attempt.of(email, source, self.per_address)
        # A look first: who is refused costs a look, no lock and no transaction.
        known = await self.sign_ins.attempts(attempt.keys, now)
        attempt.check({key: (count + 1, since) for key, (count, since) in known.items()}, now)
        await self.sign_ins.count_attempts(
            attempt.keys, now, lambda counts: attempt.check(counts, now)
        )
        return attempt

    async def forgive(self, attempt: Attempt) -> None:
        """Take the try back: it was the right password."""
        await self.sign_ins.forgive(attempt.own, tuple(attempt.shared))


def _key(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
