"""What each organization may publish ahead of bulk: a share that fills up again as time passes.

A token bucket for each (Turner, "New directions in communications", 1986). Kept in memory: after a
restart everybody has a whole share, which costs others half a second of a consumer at most.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

RATE = 100.0
"""Units a second that an organization may publish for good. A consumer applies a thousand and more."""
BURST = 500.0
"""Units that an organization which was quiet may publish at once."""
UNIT = 4096
"""Bytes of an event that count as one unit: a handover of ten thousand customers is no single event."""
_REMEMBERED = 10_000
"""Organizations whose shares are remembered; beyond that, those are forgotten that are whole again."""


def units(size: int) -> int:
    """Return what an event of so many bytes counts as."""
    return 1 + size // UNIT


@dataclass
class Shares:
    """The shares of all organizations. `now` is of a clock that only goes forward, in seconds."""

    rate: float = RATE
    burst: float = BURST
    _left: dict[UUID, tuple[float, float]] = field(default_factory=dict)

    def take(self, org_id: UUID, size: int, now: float) -> bool:
        """Take an event of so many bytes out of a share; false, and nothing is taken, if it is too much."""
        left, wanted = self._filled(org_id, now), units(size)
        is_enough = wanted <= left
        self._left[org_id] = (left - wanted if is_enough else left, now)
        if len(self._left) > _REMEMBERED:
            self._left = {
                one: kept for one, kept in self._left.items() if self._filled(one, now) < self.burst
            }
        return is_enough

    def _filled(self, org_id: UUID, now: float) -> float:
        left, at = self._left.get(org_id, (self.burst, now))
        return min(left + (now - at) * self.rate, self.burst)
