"""Turns what pydantic found wrong into faults: where, code, and what to do about it.

The values that were sent are never repeated: they may be passwords, and they may be huge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from bailiwick_kit.errors import Fault, Invalid, Malformed, Refusal

MOST_FAULTS = 50
_LONGEST_NAME = 64

_DECIMAL = re.compile(r"Decimal\('([^']*)'\)")
"""How pydantic names a bound that is a Decimal."""

_CODES = {
    "extra_forbidden": "unknown-field",
    "string_too_short": "too-short",
    "text_too_short": "too-short",
    "too_short": "too-short",
    "string_too_long": "too-long",
    "text_too_long": "too-long",
    "too_long": "too-long",
    "value_error": "not-allowed",
    "assertion_error": "not-allowed",
}
_MESSAGES = {
    "missing": "Add this field",
    "extra_forbidden": "Remove this field: it is not known here, or not yours to set",
    "string_type": "Send a string",
    "int_type": "Send a whole number, not in quotes",
    "int_parsing": "Send a whole number",
    "int_parsing_size": "Send a smaller number",
    "int_from_float": "Send a whole number",
    "float_type": "Send a number, not in quotes",
    "bool_type": "Send true or false, not in quotes",
    "finite_number": "Send a finite number",
    "decimal_type": "Send a decimal number",
    "decimal_parsing": "Send a decimal number",
    "uuid_type": "Send an id (UUID) in quotes",
    "uuid_parsing": "Send an id (UUID) as it was given to you",
    "datetime_type": "Send an instant in quotes: 2026-01-31T12:00:00Z",
    "timezone_aware": "Add the offset from UTC: 2026-01-31T12:00:00Z",
    "date_type": "Send a date in quotes: 2026-01-31",
    "tuple_type": "Send a list",
    "list_type": "Send a list",
    "model_type": "Send an object",
}


def where(location: Sequence[int | str]) -> str:
    """Name a place in a document: `lines[0].quantity`."""
    name = ""
    for part in location:
        if isinstance(part, int):
            name += f"[{part}]"
        else:
            shown = part if len(part) <= _LONGEST_NAME else part[:_LONGEST_NAME] + "…"
            shown = shown.encode("utf-8", "replace").decode()
            name += f".{shown}" if name else shown
    return name


def fault_of(error: Mapping[str, Any], *, drop: int = 0) -> Fault:
    """Return the fault for one of pydantic's errors; `drop` leaves out the first parts of its place."""
    kind = str(error["type"])
    message = _MESSAGES.get(kind) or _plain(str(error["msg"]))
    code = _CODES.get(kind, kind.replace("_", "-"))
    return Fault(where=where(error["loc"][drop:]), code=code, message=message)


def _plain(message: str) -> str:
    return _DECIMAL.sub(r"\1", message.removeprefix("Value error, "))


def faults_of(errors: Iterable[Mapping[str, Any]], *, drop: int = 0) -> tuple[Fault, ...]:
    """Return the first faults, so that an answer stays readable whatever was sent."""
    own = own_errors(list(errors))
    return tuple(fault_of(error, drop=drop) for error in islice(own, MOST_FAULTS))


def own_errors(errors: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield the errors that stand for themselves.

    A list is judged up to its first wrong item, and then found too short: that is the item's fault alone.
    """
    places = [error["loc"] for error in errors]
    for error in errors:
        place = error["loc"]
        if error["type"] == "too_short" and any(
            one[: len(place)] == place and len(one) > len(place) for one in places
        ):
            continue
        yield error


def refusal_of(errors: Sequence[Mapping[str, Any]]) -> Refusal:
    """Return what a body with these errors is refused with: Malformed if it is no JSON object."""
    for error in errors:
        if error["type"] == "json_invalid":
            return _unreadable(str(error["msg"]))
        if error["type"] == "model_type" and not error["loc"]:
            return Malformed("Send a JSON object.")
    return Invalid("Correct what `errors` names and send it again.", faults=faults_of(errors))


def _unreadable(message: str) -> Refusal:
    # A lone surrogate is JSON by the letter of RFC 8259, but no text that anything can keep.
    if "surrogate" in message or "unexpected end of hex escape" in message:
        fault = Fault("", "text-not-allowed", "Remove lone surrogates (\\ud800 to \\udfff)")
        return Invalid("Correct what `errors` names and send it again.", faults=(fault,))
    return Malformed(f"Send valid JSON. {message.removeprefix('Invalid JSON: ')}.")
