"""The heaviest bodies that each operation reads: bad ones of every shape, and one that fills its model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from bailiwick_kit.web.bodies import BodyReader, SentBody
from bailiwick_testkit.checkout import SERVICES
from bailiwick_testkit.checks import introspection

_DIGITS = 4300
"""Python reads no longer number."""
_TEXTS = {
    "email": "somebody@wines.example",
    "country": "ES",
    "subdivision": "ES-LE",
    "currency": "EUR",
    "main_id": "00000000-0000-7000-8000-000000000001",
}


def readers() -> dict[str, BodyReader[Any]]:
    """Return what reads the body of each operation, by service, method and path."""
    return {
        f"{service} {one.method} {one.path}": asked
        for service in SERVICES
        for one in introspection.served(service)
        for asked in one.asks
        if isinstance(asked, BodyReader)
    }


def sent(reader: BodyReader[Any], raw: bytes) -> SentBody[Any]:
    """Return the bytes as the operation takes them from a request."""
    assert len(raw) <= reader.most_bytes  # noqa: S101
    return SentBody(reader.model, raw, most_values=reader.most_values)


def shapes(reader: BodyReader[Any]) -> Iterator[tuple[str, bytes]]:
    """Give bodies as heavy as the operation lets in, by what is heavy in them."""
    most = reader.most_bytes - 200
    schema = reader.model.model_json_schema(mode="validation")
    lists = [name for name, part in schema["properties"].items() if "maxItems" in json.dumps(part)]
    for name in (*lists, "unknown"):
        start = b'{"%s":[' % name.encode()
        for what, item in (("zeros", b"0"), ("objects", b"{}"), ("texts", b'""'), ("lists", b"[]")):
            for count in (most // (len(item) + 1), reader.most_values - 20, 50):
                fitting = min(count, most // (len(item) + 1))
                yield f"{fitting} {what} in {name}", start + b",".join([item] * fitting) + b"]}"
        yield f"nested lists in {name}", start + b"[" * most
    for count in (most // 11, reader.most_values - 20):
        unknown = b",".join(b'"%06d":0' % n for n in range(min(count, most // 11)))
        yield f"{count} unknown members", b"{" + unknown + b"}"
    yield "one member again and again", b"{" + b",".join([b'"name":0'] * (most // 9)) + b"}"
    numbers = b",".join([b"9" * _DIGITS] * (most // (_DIGITS + 1)))
    yield "huge numbers", b'{"unknown":[' + numbers + b"]}"
    yield "a long text", b'{"name":"' + b"x" * (most - 20) + b'"}'
    yield "a long text of escapes", b'{"note":"' + rb"\u00e9" * ((most - 20) // 6) + b'"}'
    yield "commas in a text", b'{"note":"' + b"," * (most - 20) + b'"}'
    yield "a text without an end", b'{"note":"' + b'\\",' * ((most - 20) // 3)
    yield "all that its model takes", _full(schema, most)


def _full(schema: Mapping[str, Any], most: int) -> bytes:
    """Return a body with everything in it, its texts as long as there is room for."""
    for length in (200, 150, 100, 60, 30, 10):
        body = _value(schema, schema.get("$defs", {}), "", length)
        raw = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        if len(raw) <= most:
            return raw
    message = "a full body does not fit into what the operation lets in"
    raise AssertionError(message)


def _value(schema: Mapping[str, Any], models: Mapping[str, Any], name: str, length: int) -> Any:
    found = schema
    while "$ref" in found or "anyOf" in found:
        found = found["anyOf"][0] if "anyOf" in found else models[found["$ref"].rpartition("/")[2]]
    match found:
        case {"enum": [value, *_]} | {"const": value}:
            return value
        case {"type": "array", "items": item, "maxItems": int(most)}:
            return [_value(item, models, name, length)] * most
        case {"type": "object"}:
            parts = found.get("properties", {}).items()
            return {key: _value(part, models, key, length) for key, part in parts}
        case {"type": "boolean"}:
            return False
        case _:
            return _text(found, name, length)


def _text(schema: Mapping[str, Any], name: str, length: int) -> str:
    formats = {"uuid": _TEXTS["main_id"], "date-time": "2999-01-01T00:00:00Z"}
    if "pattern" in schema:
        return "0.1234"
    text = "é" * min(length, schema.get("maxLength", length))
    return _TEXTS.get(name) or formats.get(schema.get("format", "")) or text
