"""The instants and days that the system knows: what every database and every language can hold.

A driver tells an instant outside of them as infinite or without a zone, or cannot tell it at all.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator

START_OF_TIME = datetime(1900, 1, 1, tzinfo=UTC)
"""The earliest instant."""

END_OF_TIME = datetime(9999, 12, 31, tzinfo=UTC)
"""The open end of every interval (D7), and the latest instant."""

FIRST_DAY = START_OF_TIME.date()
LAST_DAY = END_OF_TIME.date() - timedelta(days=1)
"""The latest day that is stored: the driver of PostgreSQL writes Python's last one as infinity."""


def _within(instant: datetime) -> datetime:
    zoned = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return min(max(zoned, START_OF_TIME), END_OF_TIME)


def _day_within(day: date) -> date:
    return min(max(day, FIRST_DAY), LAST_DAY)


# Events of versions that let any instant in are still in outboxes and queues. They are repaired as the
# rows were (kit.database.migrations.keep_finite), so that owner and replicas agree.
Instant = Annotated[datetime, AfterValidator(_within)]
"""An instant in an event, at the nearest bound where it is beyond them."""

Day = Annotated[date, AfterValidator(_day_within)]
"""A day in an event, likewise."""
