"""Instants and days: bounded where they enter, so that a database and Python hold every one of them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from pydantic import TypeAdapter, ValidationError

from bailiwick_contracts import instants
from bailiwick_kit.clock import END_OF_TIME, START_OF_TIME, beginning
from bailiwick_kit.web.fields import Day, Instant

SENT: TypeAdapter[datetime] = TypeAdapter(Instant)
SENT_DAY: TypeAdapter[date] = TypeAdapter(Day)
TOLD: TypeAdapter[datetime] = TypeAdapter(instants.Instant)
TOLD_DAY: TypeAdapter[date] = TypeAdapter(instants.Day)


@pytest.mark.parametrize(
    "sent",
    [
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "1899-12-31T23:59:59.999999Z",
        "1900-01-01T00:00:00+00:01",
        "9999-12-31T00:00:00.000001Z",
        "9999-12-31T00:00:00-00:01",
        "9999-12-31T23:59:59.9999999Z",
        "9999-12-31T23:59:59-14:00",
    ],
)
def test_an_instant_beyond_the_bounds_is_refused_with_the_bounds(sent: str) -> None:
    with pytest.raises(ValidationError, match="1900-01-01T00:00:00Z to 9999-12-31T00:00:00Z"):
        SENT.validate_python(sent)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("1900-01-01T00:00:00Z", START_OF_TIME),
        ("1899-12-31T23:00:00-01:00", START_OF_TIME),
        ("9999-12-31T14:00:00+14:00", END_OF_TIME),
        ("9999-12-30T23:59:59.9999999Z", datetime(9999, 12, 30, 23, 59, 59, 999999, tzinfo=UTC)),
    ],
)
def test_an_instant_at_the_bounds_is_taken_whatever_its_offset(sent: str, kept: datetime) -> None:
    assert SENT.validate_python(sent) == kept


def test_a_day_is_bounded_likewise() -> None:
    for day in ("1900-01-01", "9999-12-31"):
        assert SENT_DAY.validate_python(day) == date.fromisoformat(day)
    for day in ("0001-01-01", "1899-12-31"):
        with pytest.raises(ValidationError, match="1900-01-01 to 9999-12-31"):
            SENT_DAY.validate_python(day)


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("0001-01-01T00:00:00", START_OF_TIME),
        ("9999-12-31T23:59:59.999999", END_OF_TIME),
        ("9999-12-31T23:59:59.999999Z", END_OF_TIME),
        ("2026-01-31T12:00:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
    ],
)
def test_an_event_of_an_older_version_is_read_as_its_row_was_repaired(
    told: str, kept: datetime
) -> None:
    assert TOLD.validate_json(f'"{told}"') == kept
    assert TOLD_DAY.validate_json(f'"{told[:10]}"') == min(kept.date(), instants.LAST_DAY)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Europe/Amsterdam", "Pacific/Niue", "UTC"])
def test_a_day_begins_within_the_bounds_in_every_zone(zone: str) -> None:
    for day in (date(1900, 1, 1), date(1900, 1, 2), date(1920, 5, 1), date(2026, 7, 1)):
        begins = beginning(day, ZoneInfo(zone))
        assert START_OF_TIME <= begins <= END_OF_TIME
        assert begins.astimezone(ZoneInfo(zone)).date() == day
        assert SENT.validate_python(begins.isoformat()) == begins
    assert beginning(date(9999, 12, 31), ZoneInfo(zone)) == END_OF_TIME
    with pytest.raises(ValueError, match="bounds"):
        beginning(date(1, 1, 1), ZoneInfo(zone))
