"""What a caller may see of a resource: nobody's rows, everybody's, or those that meet a condition.

Pure. A condition is a tree over named facts; `answers` parses it and `scope_sql` translates it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Scalar: TypeAlias = str | int | float | bool | None
Operator: TypeAlias = Literal["eq", "ne", "lt", "le", "gt", "ge", "in", "startswith"]


@dataclass(frozen=True)
class Compare:
    """One comparison of a field (`order.main`) with a known value; `in` has a tuple of scalars."""

    field: str
    operator: Operator
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True)
class All:
    """Every part holds. Empty: true."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Any:
    """At least one part holds. Empty: false."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Not:
    """The part does not hold."""

    part: Condition


Condition: TypeAlias = Compare | All | Any | Not


@dataclass(frozen=True)
class Nobody:
    """No row."""


@dataclass(frozen=True)
class Everybody:
    """Every row (of the organization: row-level security still stands behind it)."""


@dataclass(frozen=True)
class Where:
    """The rows that meet the condition."""

    condition: Condition


Scope: TypeAlias = Nobody | Everybody | Where


def fields(condition: Condition) -> frozenset[str]:
    """Return the names of all fields that the condition reads."""
    match condition:
        case Compare():
            return frozenset({condition.field})
        case Not():
            return fields(condition.part)
        case All() | Any():
            return frozenset().union(*(fields(part) for part in condition.parts))


def settled(condition: Condition, known: frozenset[str], *, at_least: bool) -> Condition:
    """Return what is left of a condition for who reads the known fields alone.

    `at_least`: a condition that holds only where the whole does, whatever the other fields are. Otherwise
    one that holds wherever the whole could.
    """
    match condition:
        case Compare():
            if condition.field in known:
                return condition
            return Any(()) if at_least else All(())
        case All(parts):
            return All(tuple(settled(part, known, at_least=at_least) for part in parts))
        case Any(parts):
            return Any(tuple(settled(part, known, at_least=at_least) for part in parts))
        case Not(part):
            return Not(settled(part, known, at_least=not at_least))
