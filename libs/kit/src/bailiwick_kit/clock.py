"""Time as a value: *now* is read once a request and handed on (D7). No SQL and no Rego reads a clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

END_OF_TIME = datetime(9999, 12, 31, tzinfo=UTC)
"""The open end of every interval (D7)."""


class Clock(Protocol):
    """Tells the time, in UTC."""

    def now(self) -> datetime:
        """Return the current instant, aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current instant, aware, in UTC."""
        return datetime.now(UTC)


@dataclass
class FixedClock:
    """A clock for tests: it stands still."""

    instant: datetime = field(default_factory=lambda: datetime(2026, 1, 15, 12, tzinfo=UTC))

    def now(self) -> datetime:
        """Return the instant it stands at."""
        return self.instant
