"""Policy in bulk: many decisions in one call, and a filter applied to rows in plain Python."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any as Json
from typing import Final, Self
from urllib.parse import urlsplit

import aiohttp

from bailiwick_kit.policy.scope import (
    All,
    Any,
    Compare,
    Condition,
    Everybody,
    Nobody,
    Not,
    Scope,
    Where,
)

MOST_AT_ONCE: Final = 50
"""Documents a call: `with input as` copies, so more of them at once are slower, not faster."""

_BATCH: Final = """package batch

decisions := [decision |
    resource := input.resource
    some document in input.documents
    decision := data.bailiwick[resource].decision with input as document
]
"""

_COMPARED: Final[Mapping[str, Callable[[Json, Json], bool]]] = {
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}


class Engine:
    """An engine of one's own (`opa.extra()`), given a rule beside the bundle that decides in bulk."""

    def __init__(self, url: str) -> None:
        self._path = urlsplit(url).path
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.UnixConnector(self._path) if self._path else None
        self._session = aiohttp.ClientSession("http://localhost", connector=connector)
        async with self._session.put("/v1/policies/batch", data=_BATCH) as answer:
            answer.raise_for_status()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections back."""
        if self._session is not None:
            await self._session.close()

    async def decide_all(
        self, resource: str, documents: Sequence[Mapping[str, object]]
    ) -> list[dict[str, Json]]:
        """Return a raw decision for each document, all of them about one resource."""
        assert self._session is not None, "open it first"  # noqa: S101 - for tests only
        found: list[dict[str, Json]] = []
        for start in range(0, len(documents), MOST_AT_ONCE):
            some = documents[start : start + MOST_AT_ONCE]
            question = {"input": {"resource": resource, "documents": some}}
            async with self._session.post("/v1/data/batch/decisions", json=question) as answer:
                answer.raise_for_status()
                found += (await answer.json())["result"]
        if len(found) != len(documents):
            msg = "a decision was undefined"
            raise ValueError(msg)
        return found


def includes(scope: Scope, entity: str, row: Mapping[str, Json]) -> bool:
    """Tell whether a scope holds a row, with policy's own logic: two values, null equal to null."""
    match scope:
        case Nobody():
            return False
        case Everybody():
            return True
        case Where(condition):
            return meets(condition, {f"{entity}.{name}": value for name, value in row.items()})


def meets(condition: Condition, facts: Mapping[str, Json]) -> bool:
    """Tell whether facts (`order.main`) meet a condition."""
    match condition:
        case All(parts):
            return all(meets(part, facts) for part in parts)
        case Any(parts):
            return any(meets(part, facts) for part in parts)
        case Not(part):
            return not meets(part, facts)
        case Compare(name, how, value):
            return _compares(facts[name], how, value)


def _compares(fact: Json, how: str, value: Json) -> bool:
    match how:
        case "eq":
            return _same(fact, value)
        case "ne":
            return not _same(fact, value)
        case "in":
            return any(_same(fact, each) for each in value)
        case "startswith":
            return isinstance(fact, str) and fact.startswith(value)
        case _ if fact is None:  # null is less than any number
            return how in {"lt", "le"}
        case _:
            return _COMPARED[how](fact, value)


def _same(fact: Json, value: Json) -> bool:
    """Unlike Python, policy tells 1 from true."""
    return bool(fact == value) and isinstance(fact, bool) == isinstance(value, bool)
