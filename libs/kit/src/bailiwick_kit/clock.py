"""Time as a value: *now* is read once a request and handed on (D7). No SQL and no Rego reads a clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, tzinfo
from typing import Protocol

from bailiwick_contracts.instants import END_OF_TIME, START_OF_TIME

__all__ = [
    "END_OF_TIME",
    "START_OF_TIME",
    "Clock",
    "FixedClock",
    "SystemClock",
    "beginning",
]


def beginning(day: date, zone: tzinfo) -> datetime:
    """Return the instant at which a day begins in a zone, in UTC; the last day means the open end.

    Raises:
        ValueError: there is no such instant from START_OF_TIME to END_OF_TIME.
    """
    if day >= END_OF_TIME.date():
        return END_OF_TIME
    if day < START_OF_TIME.date():
        msg = f"no instant of {day} is within the bounds"
        raise ValueError(msg)
    # East of Greenwich the first day begins before the first instant.
    return max(datetime.combine(day, time(), zone).astimezone(UTC), START_OF_TIME)


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
