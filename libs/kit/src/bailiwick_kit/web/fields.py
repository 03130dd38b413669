"""What crosses the wire: the base of all request and response models, instants, days and exact numbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
    WrapValidator,
)
from pydantic_core import PydanticCustomError, PydanticKnownError

from bailiwick_kit.clock import END_OF_TIME, START_OF_TIME

_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_WHOLE_DIGITS, _PLACES, _FINER_PLACES = 14, 4, 12
_DECIMAL = re.compile(r"-?\d{1,30}(\.\d{1,30})?", re.ASCII)
_CANONICAL = re.compile(rf"-?(0|[1-9]\d{{0,{_WHOLE_DIGITS - 1}}})(\.\d{{1,{_PLACES}}})?", re.ASCII)


class Model(BaseModel):
    """The base of everything on the wire: unknown fields are refused (S8), nothing is coerced.

    In JSON a number never comes from a string, except a decimal; NaN and Infinity are refused.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )


def _without_defaults(schema: dict[str, Any]) -> None:
    for described in schema.get("properties", {}).values():
        described.pop("default", None)


class Edit(Model):
    """Fields to change; what is not sent stays. The defaults in code mean nothing to clients."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)


def _instant(value: Any) -> Any:
    # Parsed here, because pydantic would take "1700000000" as seconds since 1970.
    if not isinstance(value, str):
        return value
    if not _DATE_TIME.fullmatch(value):
        raise PydanticCustomError(
            "instant", "Write an instant as RFC 3339 has it: 2026-01-31T12:00:00Z"
        )
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except OverflowError:
        raise _beyond() from None
    except ValueError:
        raise PydanticCustomError("instant", "Choose an instant that exists") from None


def _beyond() -> PydanticCustomError:
    return PydanticCustomError(
        "instant",
        "Send an instant from {first} to {last}; the last stands for 'without end'",
        {"first": _FIRST, "last": _LAST},
    )


def _within(instant: datetime) -> datetime:
    if not START_OF_TIME <= instant <= END_OF_TIME:
        raise _beyond()
    return instant


_FIRST, _LAST = (f"{one:%Y-%m-%dT%H:%M:%SZ}" for one in (START_OF_TIME, END_OF_TIME))
Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_instant),
    AfterValidator(_within),
    Field(description=f"From {_FIRST} to {_LAST}, which stands for 'without end'"),
]
"""A point in time: RFC 3339 with an offset, within the bounds, kept in UTC."""


def _day(value: Any) -> Any:
    # Parsed here for the same reason.
    if isinstance(value, str):
        if not _DAY.fullmatch(value):
            raise PydanticCustomError("day", "Write a date as 2026-01-31")
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise PydanticCustomError("day", "Choose a date that exists") from None
    return value


def _day_within(day: date) -> date:
    if not START_OF_TIME.date() <= day <= END_OF_TIME.date():
        raise PydanticCustomError("day", _DAYS)
    return day


_DAYS = f"Send a date from {START_OF_TIME.date()} to {END_OF_TIME.date()}"
Day = Annotated[date, BeforeValidator(_day), AfterValidator(_day_within)]
"""A date within the bounds: 2026-01-31."""


def _exact(value: Any) -> Any:
    return _number(value, _PLACES)


def _finer(value: Any) -> Any:
    return _number(value, _FINER_PLACES)


def _number(value: Any, places: int) -> Any:
    # Parsed here, because Decimal takes "1_000" and "1e999999999", which PostgreSQL would not.
    if isinstance(value, Decimal):
        return value
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise PydanticCustomError("decimal", 'Write a decimal in quotes, with a point: "12.30"')
    if not _CANONICAL.fullmatch(value):
        value = _canonical(value, places)
    number = Decimal(value)
    return number or abs(number)  # "-0" is 0


def _canonical(text: str, places: int) -> str:
    """Leave out zeros that say nothing, where there are too many digits with them."""
    sign = "-" if text.startswith("-") else ""
    whole, _, decimals = text.removeprefix("-").partition(".")
    whole = whole.lstrip("0")
    if len(decimals) > places:
        decimals = decimals.rstrip("0")
    if len(whole) > _WHOLE_DIGITS:
        raise PydanticKnownError("decimal_whole_digits", {"whole_digits": _WHOLE_DIGITS})
    if len(decimals) > places:
        raise PydanticKnownError("decimal_max_places", {"decimal_places": places})
    return f"{sign}{whole or 0}.{decimals}" if decimals else f"{sign}{whole or 0}"


Exact = Annotated[
    Decimal,
    Field(max_digits=_WHOLE_DIGITS + _PLACES, decimal_places=_PLACES),
    BeforeValidator(_exact),
    PlainSerializer(lambda value: format(value, "f"), return_type=str, when_used="json"),
    WithJsonSchema(
        {"type": "string", "pattern": rf"^-?\d{{1,{_WHOLE_DIGITS}}}(\.\d{{1,{_PLACES}}})?$"}
    ),
]
"""An exact number with up to four decimals (NUMERIC(18,4), D30): a string in JSON."""

Finer = Annotated[
    Decimal,
    Field(max_digits=_WHOLE_DIGITS + _FINER_PLACES, decimal_places=_FINER_PLACES),
    BeforeValidator(_finer),
]
"""An exact number from elsewhere, with more decimals than are kept: whoever takes it rounds it."""


def id_or(*words: str) -> WrapValidator:
    """Say in one sentence what an id or a word may be, where pydantic would say it of each."""

    def validate(value: Any, known: Callable[[Any], Any]) -> Any:
        try:
            return known(value)
        except ValidationError:
            message = f"Send an id (UUID) as it was given to you, or {' or '.join(words)}"
            raise PydanticCustomError("id_or_word", message) from None

    return WrapValidator(validate)
