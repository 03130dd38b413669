"""Reads what the policy engine answers, and takes nothing but exactly the right answer (F13).

Used by `kit.policy.client` alone. Whatever is not an answer raises `WrongAnswer`; that becomes *unavailable*,
never *denied* and never *allowed* (T9).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any as Json
from typing import Final, NoReturn, TypeAlias

from bailiwick_contracts.reasons import Reason
from bailiwick_kit.policy.scope import (
    All,
    Any,
    Compare,
    Condition,
    Everybody,
    Nobody,
    Not,
    Operator,
    Scalar,
    Scope,
    Where,
)

Masks: TypeAlias = Mapping[str, Mapping[str, Mapping[str, Mapping[str, Scalar]]]]
"""What to show less of: `masks["order"]["customer"]["replace"]["value"]`. Empty: nothing."""

_DECISION: Final = {"capable", "visible", "allow", "reasons", "masks", "revision"}
_PRECEDENCE: Final = {reason.value: place for place, reason in enumerate(Reason)}
_OPERATORS: Final[Mapping[str, Operator]] = {
    "eq": "eq",
    "ne": "ne",
    "lt": "lt",
    "lte": "le",
    "gt": "gt",
    "gte": "ge",
    "in": "in",
    "startswith": "startswith",
}
_FACT: Final = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_ID: Final = re.compile(r"[\w-]{0,64}", re.ASCII)
_DEEPEST = 32
_MOST_PARTS = 1000


class WrongAnswer(Exception):  # noqa: N818 - it is what it says; the engine erred, not the caller
    """The engine said something else than it should. `kind` names what, without any data."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass(frozen=True)
class Decision:
    """What the caller may do with one row (D9).

    `capable` is about the caller alone, `visible` and `allow` about the row as well. `reasons` are
    codes, the most telling first; empty where it is allowed.
    """

    capable: bool
    visible: bool
    allow: bool
    reasons: tuple[str, ...] = ()
    masks: Masks = field(default_factory=dict)
    id: str = field(default="", compare=False)
    """What the engine's decision log calls it; empty where it keeps none."""


@dataclass(frozen=True)
class Filter:
    """Which rows the caller may do something with, and what of them is shown less of."""

    scope: Scope
    masks: Masks = field(default_factory=dict)


def read_json(body: bytes) -> Json:
    """Return what the body says: JSON as RFC 8259 has it, no name twice, no NaN.

    Raises:
        WrongAnswer: it is anything else.
    """
    try:
        return json.loads(body, object_pairs_hook=_no_name_twice, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise WrongAnswer("not-json") from None


def read_decision(answer: Json, expected_revision: str | None) -> Decision:
    """Return the decision that the answer of `/v1/data/<package>/decision` holds.

    Raises:
        WrongAnswer: it holds none, contradicts itself, or comes from another revision.
    """
    result = _result(answer)
    if not isinstance(result, dict) or result.keys() != _DECISION:
        raise WrongAnswer("shape")
    _require_revision(result["revision"], expected_revision)
    decision = Decision(
        capable=_boolean(result["capable"]),
        visible=_boolean(result["visible"]),
        allow=_boolean(result["allow"]),
        reasons=_reasons(result["reasons"]),
        masks=_masks(result["masks"]),
        id=_decision_id(answer),
    )
    if decision.allow:
        consistent = decision.capable and decision.visible and not decision.reasons
    else:
        unexplained = not decision.capable or decision.visible
        consistent = bool(decision.reasons) or not unexplained
    if not consistent:
        raise WrongAnswer("inconsistent")
    return decision


def read_filter(answer: Json, resource: str, expected_revision: str | None) -> Filter:
    """Return the filter that the answer of `/v1/compile/<package>/include` holds.

    `{}` is nobody, an empty query everybody, and there is no other way to say either. Masks carry the
    revision of the bundle that made the filter. A nobody carries nothing and so proves nothing: an
    engine without any policy says the same.

    Raises:
        WrongAnswer: it holds no filter, one that cannot be honoured, or comes from another revision.
    """
    if answer == {}:
        return Filter(Nobody())
    result = _result(answer)
    if not isinstance(result, dict) or not {"query"} <= result.keys() <= {"query", "masks"}:
        raise WrongAnswer("shape")
    masks = result.get("masks", {})
    if not isinstance(masks, dict):
        raise WrongAnswer("shape")
    if expected_revision is not None:
        _require_revision(masks.get("revision"), expected_revision)
    shown = _masks({name: mask for name, mask in masks.items() if name != "revision"})
    query = result["query"]
    if query == {}:
        return Filter(Everybody(), shown)
    return Filter(Where(_Parser(resource).condition(query)), shown)


def read_revision(answer: Json, expected_revision: str | None) -> str:
    """Return the revision that the sentinel names.

    Raises:
        WrongAnswer: it names none, or another than expected.
    """
    return _require_revision(_result(answer), expected_revision)


class _Parser:
    """Reads a UCAST tree, counting its parts."""

    def __init__(self, resource: str) -> None:
        self._prefix = f"{resource}."
        self._parts = 0

    def condition(self, node: Json, depth: int = 0) -> Condition:
        """Return the condition at this node, or raise WrongAnswer."""
        self._parts += 1
        if depth > _DEEPEST or self._parts > _MOST_PARTS or not isinstance(node, dict):
            raise WrongAnswer("filter")
        match node:
            case {"type": "compound", "operator": str(operator), "value": list(nodes)} if (
                len(node) == len(("type", "operator", "value")) and nodes
            ):
                return self._compound(operator, nodes, depth)
            case {
                "type": "field",
                "operator": str(operator),
                "field": str(name),
                "value": value,
            } if len(node) == len(("type", "operator", "field", "value")):
                return self._comparison(operator, name, value)
        raise WrongAnswer("filter")

    def _compound(self, operator: str, nodes: list[Json], depth: int) -> Condition:
        parts = tuple(self.condition(node, depth + 1) for node in nodes)
        match operator, parts:
            case "and", _:
                return All(parts)
            case "or", _:
                return Any(parts)
            case "not", (part,):
                return Not(part)
            case _:
                raise WrongAnswer("filter")

    def _comparison(self, name: str, field_name: str, value: Json) -> Compare:
        operator = _OPERATORS.get(name)
        fact = field_name.removeprefix(self._prefix)
        if operator is None or fact == field_name or not _FACT.fullmatch(fact):
            raise WrongAnswer("filter")
        if operator == "in":
            # Scalars only: a {"field": ...} smuggled into the list would select every row.
            if not isinstance(value, list) or not all(map(_is_scalar, value)):
                raise WrongAnswer("filter")
            return Compare(field_name, operator, tuple(value))
        if not _is_scalar(value) or (operator == "startswith" and not isinstance(value, str)):
            raise WrongAnswer("filter")
        return Compare(field_name, operator, value)


def _is_scalar(value: Json) -> bool:
    return value is None or isinstance(value, str | int | float)


def _result(answer: Json) -> Json:
    """Unwrap `{"result": ...}`; a decision id is there where decisions are logged."""
    if not isinstance(answer, dict) or not {"result"} <= answer.keys() <= {"result", "decision_id"}:
        raise WrongAnswer("shape")
    return answer["result"]


def _decision_id(answer: Mapping[str, Json]) -> str:
    """Return the decision's id; nothing but an id may come into our logs by this way."""
    found = answer.get("decision_id", "")
    if not isinstance(found, str) or not _ID.fullmatch(found):
        raise WrongAnswer("shape")
    return found


def _boolean(value: Json) -> bool:
    if not isinstance(value, bool):
        raise WrongAnswer("shape")
    return value


def _require_revision(value: Json, expected: str | None) -> str:
    if not isinstance(value, str) or not value:
        raise WrongAnswer("shape")
    if expected is not None and value != expected:
        raise WrongAnswer("revision")
    return value


def _reasons(value: Json) -> tuple[str, ...]:
    """Known codes, none twice, in order of precedence."""
    if not isinstance(value, list) or not all(isinstance(code, str) for code in value):
        raise WrongAnswer("shape")
    if any(code not in _PRECEDENCE for code in value):
        raise WrongAnswer("unknown-reason")
    if value != sorted(set(value), key=_PRECEDENCE.__getitem__):
        raise WrongAnswer("inconsistent")
    return tuple(value)


def _masks(value: Json) -> Masks:
    if not isinstance(value, dict):
        raise WrongAnswer("shape")
    for columns in value.values():
        if not isinstance(columns, dict):
            raise WrongAnswer("shape")
        for mask in columns.values():
            match mask:
                case {"replace": {"value": str(), **inner}, **outer} if not inner and not outer:
                    continue
            raise WrongAnswer("shape")
    return value


def _no_name_twice(pairs: Iterable[tuple[str, Json]]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(name)
        found[name] = value
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
