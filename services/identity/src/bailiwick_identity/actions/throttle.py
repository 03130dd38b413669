"""Slows down who guesses passwords, without shutting out who knows one (S4).

Failures are counted for an account from an address, for an address, and for an account from anywhere.
The last never refuses by itself, since anybody could shut anybody out with it: it only leaves fewer
tries to each address. A window ends by itself, however many tries there were in it.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from bailiwick_identity.actions.ports import SignIns
from bailiwick_identity.domain.errors import TooManyAttempts

WINDOW = timedelta(minutes=15)
PER_ACCOUNT_AND_ADDRESS = 10
UNDER_ATTACK = 3
"""Tries left to each address while an account is under attack from many."""
ATTACKED = 100
"""Failures of one account within a window that count as an attack."""


@dataclass(frozen=True)
class Attempt:
    """What one try was counted as."""

    pair: bytes
    others: tuple[bytes, ...]


@dataclass(frozen=True)
class Throttle:
    """Counts tries before passwords are looked at, so that many at once are many."""

    sign_ins: SignIns
    per_address: int

    async def attempt(self, email: str | None, address: str, now: datetime) -> Attempt:
        """Count a try.

        Raises:
            TooManyAttempts: there were too many; the password is not even looked at.
        """
        pair = _key("pair", email or "", address)
        by_address, by_account = _key("address", address), _key("account", email or "")
        counts = await self.sign_ins.count_attempts([pair, by_address, by_account], now)
        attacked = counts[by_account][0] > ATTACKED and email is not None
        limits = {
            pair: UNDER_ATTACK if attacked else PER_ACCOUNT_AND_ADDRESS,
            by_address: self.per_address,
        }
        for key, limit in limits.items():
            count, since = counts[key]
            if count > limit:
                refusal = TooManyAttempts("Wait for the seconds in Retry-After.")
                refusal.retry_after = max(1, math.ceil((since + WINDOW - now).total_seconds()))
                raise refusal
        return Attempt(pair, (by_address, by_account))

    async def forgive(self, attempt: Attempt) -> None:
        """Take the try back: it was the right password."""
        await self.sign_ins.forgive(attempt.pair, attempt.others)


def _key(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
