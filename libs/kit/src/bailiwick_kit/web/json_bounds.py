"""How many JSON values a body may have: derived from its model, and counted before anything is parsed.

A megabyte of `[0,0,…` costs seconds once each wrong item has become an error. A body that fits its model
has a number of values that the model's own bounds give, so whatever has more is refused unparsed. How
deep they nest is bounded by the parser (200 levels) and by their number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

SPARE = 100
"""Values beyond what the model takes: a client's mistake in a small body is named field by field."""

TOO_LONG = 100
"""Digits of a number that no model takes: Python needs the square of their number to read them."""

_TOKEN = re.compile(rb'"[^"]*+"?|[,\[{]|[0-9]{%d}' % TOO_LONG)
"""A text without escapes, closed or not; what comes before a value; a number that is too long."""
_DIGITS = bytes.maketrans(b"123456789", b"000000000")


def most_values(model: type[BaseModel]) -> int:
    """Return how many values a body of this model may have: objects, lists and what is in them.

    Raises:
        TypeError: a list or a map in it has no `max_length`, so that there is no such number.
    """
    schema = model.model_json_schema(mode="validation")
    return SPARE + _values(schema, schema.get("$defs", {}))


def _values(schema: Mapping[str, Any], models: Mapping[str, Any]) -> int:
    match schema:
        case {"$ref": str(name)}:
            return _values(models[name.rpartition("/")[2]], models)
        case {"anyOf": options} | {"oneOf": options}:
            return max(_values(option, models) for option in options)
        case {"type": "array"}:
            return 1 + _bound(schema, "maxItems") * _values(schema["items"], models)
        case {"type": "object", "properties": properties}:
            return 1 + sum(_values(part, models) for part in properties.values())
        case {"type": "object", "additionalProperties": dict(value)}:
            return 1 + _bound(schema, "maxProperties") * _values(value, models)
        case _:
            return 1


def _bound(schema: Mapping[str, Any], name: str) -> int:
    if name not in schema:
        msg = f"give {schema.get('title', 'this list')} a max_length: {dict(schema)}"
        raise TypeError(msg)
    return int(schema[name])


def is_heavier(raw: bytes, most: int) -> bool:
    """Tell whether JSON has more than so many values, or a number that is too long; broken JSON may have.

    At once where commas and brackets are fewer, strings included; else it reads on from token to token,
    and no further than `most` values go.
    """
    may_have_more = 1 + raw.count(b",") + raw.count(b"[") + raw.count(b"{") > most
    if not may_have_more and b"0" * TOO_LONG not in raw.translate(_DIGITS):
        return False
    values = 1
    unescaped = raw.replace(rb"\\", b"").replace(rb"\"", b"")
    for number, token in enumerate(_TOKEN.finditer(unescaped)):
        first = unescaped[token.start() : token.start() + 1]
        values += first != b'"'
        # A value has at most a key, a text and what comes before it; strings alone are no JSON.
        if values > most or number > 3 * most or first.isdigit():
            return True
    return False
