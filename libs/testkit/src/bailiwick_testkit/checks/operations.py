"""Every operation that clients are promised, from `contracts/openapi`: so that no route is forgotten."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bailiwick_testkit.checkout import CHECKOUT

_JSON = "application/json"


@dataclass(frozen=True)
class Operation:
    """One method of one path. `takes` are its headers, `schema` is its JSON body's, None: it has none."""

    service: str
    name: str
    method: str
    path: str
    asks_who: bool
    takes: frozenset[str]
    schema: Mapping[str, Any] | None
    most_bytes: int
    """Of its body; 0: it has none."""

    def at(self, **ids: str) -> str:
        """Give the path with these ids in it."""
        return self.path.format(**ids)


def operations() -> tuple[Operation, ...]:
    """Give all operations of all services."""
    return tuple(
        _operation(file.stem, path, method, operation, document)
        for file in sorted((CHECKOUT / "contracts" / "openapi").glob("*.json"))
        if (document := json.loads(file.read_text()))
        for path, item in document["paths"].items()
        for method, operation in item.items()
    )


def _operation(
    service: str, path: str, method: str, operation: Mapping[str, Any], document: Mapping[str, Any]
) -> Operation:
    schema = operation.get("requestBody", {}).get("content", {}).get(_JSON, {}).get("schema")
    if schema is not None and "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    parameters = operation.get("parameters", ())
    return Operation(
        service=service,
        name=operation["operationId"],
        method=method.upper(),
        path=path,
        asks_who="security" in operation,
        takes=frozenset(one["name"] for one in parameters if one["in"] == "header"),
        schema=schema,
        most_bytes=operation.get("requestBody", {}).get("x-most-bytes", 0),
    )
