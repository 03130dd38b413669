"""An event's schema as a part of the AsyncAPI document, and the personal data in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]


def personal(schema: Json, root: Json, at: str = "") -> Iterator[str]:
    """Give the path of each member that is marked as personal data; a list's parts are `name[]`."""
    if reference := schema.get("$ref"):
        schema = {**root["$defs"][reference.removeprefix("#/$defs/")], **schema}
    if schema.get("pii"):
        yield at.lstrip(".")
    for name, part in schema.get("properties", {}).items():
        yield from personal(part, root, f"{at}.{name}")
    if isinstance(parts := schema.get("items"), dict):
        yield from personal(parts, root, f"{at}[]")


def embedded(value: Any, name: str) -> Any:
    """Return a schema as a part of the document: what refers to its definitions still finds them.

    AsyncAPI's tools read draft 7, where whatever stands beside a reference is passed over: it is put
    around the reference instead.
    """
    match value:
        case {"$ref": str(reference), **beside}:
            found = {"$ref": f"#/components/schemas/{name}{reference.removeprefix('#')}"}
            return {**beside, "allOf": [found]} if beside else found
        case dict():
            return {
                key: embedded(part, name)
                for key, part in value.items()
                if key not in {"$id", "$schema"}
            }
        case list():
            return [embedded(part, name) for part in value]
        case _:
            return value
