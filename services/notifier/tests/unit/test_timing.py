"""When mails are tried and digests are due."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick_notifier.domain.timing import (
    DIGEST_AT,
    GIVE_UP_AFTER,
    next_attempt,
    next_digest,
    pause_after,
)

ZONES = ["Europe/Madrid", "Pacific/Apia", "America/St_Johns", "Asia/Kathmandu", "UTC"]
INSTANTS = st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def test_pauses_double_up_to_two_hours() -> None:
    minutes = [pause_after(attempts) // timedelta(minutes=1) for attempts in range(1, 11)]
    assert minutes == [1, 2, 4, 8, 16, 32, 64, 120, 120, 120]
    assert pause_after(10**9) == timedelta(hours=2)
    soon = timedelta(seconds=1)
    assert [pause_after(attempts, soon) // soon for attempts in (1, 2, 5)] == [1, 2, 16]
    assert pause_after(10**9, soon) == timedelta(hours=2)


def test_the_end_of_the_day_is_tried_and_nothing_after_it() -> None:
    first = datetime(2026, 3, 1, 12, tzinfo=UTC)
    end = first + GIVE_UP_AFTER
    assert next_attempt(9, first, end - timedelta(minutes=5)) == end
    assert next_attempt(9, first, end) is None
    assert next_attempt(1, first, first) == first + timedelta(minutes=1)
    assert next_attempt(2, first, first, timedelta(seconds=5)) == first + timedelta(seconds=10)


@pytest.mark.parametrize(
    ("now", "day"),
    [
        (datetime(2026, 3, 28, 5, 59, 59, tzinfo=UTC), date(2026, 3, 28)),
        (datetime(2026, 3, 28, 6, 0, tzinfo=UTC), date(2026, 3, 29)),
        (datetime(2026, 3, 29, 4, 59, 59, tzinfo=UTC), date(2026, 3, 29)),  # summer time began
        (datetime(2026, 3, 29, 5, 0, tzinfo=UTC), date(2026, 3, 30)),
        (datetime(2026, 3, 28, 23, 30, tzinfo=UTC), date(2026, 3, 29)),  # past midnight there
    ],
)
def test_a_digest_is_due_at_seven_by_the_clock_on_the_wall(now: datetime, day: date) -> None:
    found, due = next_digest("Europe/Madrid", now)
    assert found == day
    assert due.astimezone(ZoneInfo("Europe/Madrid")).time() == DIGEST_AT


@given(INSTANTS, st.sampled_from(ZONES))
def test_the_next_digest_is_ahead_and_no_more_than_a_day_and_a_shift_away(
    now: datetime, zone: str
) -> None:
    day, due = next_digest(zone, now)
    assert now < due <= now + timedelta(hours=49)  # Apia once left out a day
    assert due.astimezone(ZoneInfo(zone)).date() == day
    assert next_digest(zone, due.astimezone(UTC))[0] > day
