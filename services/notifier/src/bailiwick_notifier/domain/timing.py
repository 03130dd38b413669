"""When a mail is tried, tried again and given up, and when a day's digest is due."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DIGEST_AT = time(7)
"""In the organization's zone."""
GIVE_UP_AFTER = timedelta(hours=24)
"""Since the first attempt."""
FIRST_PAUSE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(hours=2)
_MOST_DOUBLINGS = 20


def pause_after(attempts: int, first: timedelta = FIRST_PAUSE) -> timedelta:
    """Return how long to wait after so many attempts: 1, 2, 4, … times the first, at most two hours."""
    doublings = min(max(attempts - 1, 0), _MOST_DOUBLINGS)
    return min(first * (1 << doublings), _LONGEST_PAUSE)


def next_attempt(
    attempts: int,
    first_attempt_at: datetime,
    now: datetime,
    first_pause: timedelta = FIRST_PAUSE,
) -> datetime | None:
    """Return when to try again; None once a day has passed, whose end is tried last."""
    end = first_attempt_at + GIVE_UP_AFTER
    return None if now >= end else min(now + pause_after(attempts, first_pause), end)


def next_digest(time_zone: str, now: datetime) -> tuple[date, datetime]:
    """Return the day of the next digest in a zone, and the instant at which it is due."""
    zone = ZoneInfo(time_zone)
    day = now.astimezone(zone).date()
    due = datetime.combine(day, DIGEST_AT, zone)
    if due <= now:
        day += timedelta(days=1)
        due = datetime.combine(day, DIGEST_AT, zone)
    return day, due
