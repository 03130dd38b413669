"""Whether a schema may replace another under the same version: it only grows optional members.

Both directions count: what was written before must be read by the new one, and what is written from now
on by who knows only the old one. Anything else is a `v2` beside the `v1`. What was always so may be told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bailiwick_contracts.envelope import DECIMAL

Schema = Mapping[str, Any]

_INNER = ("items", "additionalProperties", "propertyNames")
_APART = {"properties", "required", "anyOf", "default", "pii", *_INNER}
_WORDS = {"title", "description", "examples", "$id", "$schema", "$defs"}
"""For people; these may change at any time."""

SO_FROM_THE_FIRST = {
    DECIMAL: frozenset(
        (
            "data.net",
            "data.terms.discount",
            *(f"data.lines[].{name}" for name in ("quantity", "unit_price", "discount", "net")),
        )
    )
}
"""Patterns that a schema did not tell, where no event ever published is otherwise (ADR 27).

Telling one there refuses nothing that was written before, nor what an older publisher writes from now on.
"""


def breaks(stored: Schema, rendered: Schema) -> list[str]:
    """Return what the rendered schema would break for those who rely on the stored one."""
    return list(_compared(stored, rendered, stored, rendered, "data"))


def _compared(old: Schema, new: Schema, stored: Schema, rendered: Schema, at: str) -> Iterator[str]:
    old, new = _resolved(old, stored), _resolved(new, rendered)
    yield from _members(old, new, stored, rendered, at)
    for key in _INNER:
        yield from _inner(old.get(key), new.get(key), stored, rendered, f"{at}[]")
    yield from _choices(old, new, stored, rendered, at)
    for key in sorted((old.keys() | new.keys()) - _APART - _WORDS):
        is_told_at_last = key == "pattern" and key not in old
        if is_told_at_last and at in SO_FROM_THE_FIRST.get(new[key], ()):
            continue
        if old.get(key) != new.get(key):
            yield f"{at}: {key} was {old.get(key)!r} and would be {new.get(key)!r}"
    if not _has_grown(old.get("default", ...), new.get("default", ...)):
        yield f"{at}: its default would change, and with it what its absence means"
    if old.get("pii") and not new.get("pii"):
        yield f"{at}: would no longer be marked as personal data"


def _members(old: Schema, new: Schema, stored: Schema, rendered: Schema, at: str) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in sorted(before.keys() - after.keys()):
        yield f"{at}.{name}: would be gone"
    required, will_be = set(old.get("required", ())), set(new.get("required", ()))
    for name in sorted(will_be - required):
        yield f"{at}.{name}: would be required, and what was written before lacks it"
    for name in sorted((required - will_be) & after.keys()):
        yield f"{at}.{name}: would be optional, and readers rely on it"
    for name in sorted(before.keys() & after.keys()):
        yield from _compared(before[name], after[name], stored, rendered, f"{at}.{name}")


def _inner(old: Any, new: Any, stored: Schema, rendered: Schema, at: str) -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _compared(old, new, stored, rendered, at)
    elif old != new:
        yield f"{at}: was {old!r} and would be {new!r}"


def _choices(old: Schema, new: Schema, stored: Schema, rendered: Schema, at: str) -> Iterator[str]:
    before, after = old.get("anyOf", ()), new.get("anyOf", ())
    if len(before) != len(after):
        yield f"{at}: would have {len(after)} forms, and had {len(before)}"
        return
    for one, other in zip(before, after, strict=True):
        yield from _compared(one, other, stored, rendered, at)


def _resolved(schema: Schema, root: Schema) -> Schema:
    """Return the schema with what it refers to in place of the reference."""
    reference = schema.get("$ref")
    if reference is None:
        return schema
    definition: Schema = root["$defs"][str(reference).removeprefix("#/$defs/")]
    return {**definition, **{key: value for key, value in schema.items() if key != "$ref"}}


def _has_grown(old: Any, new: Any) -> bool:
    """Tell whether a default is the same but for members that are new."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return all(name in new and _has_grown(value, new[name]) for name, value in old.items())
    return bool(old == new)
