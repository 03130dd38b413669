"""Turns a condition of policy into SQL: bound values, listed columns, and no third truth value.

Used by every store that lists. It guarantees that a row is selected exactly where policy's two-valued
logic allows it, NULLs included (T12), and that the statement differs only in bound values as long as
the condition has the same shape, so that SQLAlchemy's cache and PostgreSQL's plans are found again.
What it cannot honour to the letter is `PolicyUnavailable`: an error is a refusal.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any as Value
from typing import Final, TypeAlias
from uuid import UUID

from sqlalchemy import ColumnElement, and_, false, func, not_, or_, true

from bailiwick_kit.errors import PolicyUnavailable
from bailiwick_kit.policy.scope import All, Any, Compare, Condition, Not, Scalar, fields

Columns: TypeAlias = Mapping[str, ColumnElement[Value]]
"""Which column or expression holds which fact: `{"order.main": …, "order.state": orders.c.state}`."""

_COMPARED: Final[Mapping[str, Callable[[Value, Value], ColumnElement[bool]]]] = {
    "eq": operator.eq,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}


def to_sql(condition: Condition, columns: Columns) -> ColumnElement[bool]:
    """Return the condition as a WHERE (or HAVING) clause.

    Raises:
        PolicyUnavailable: it reads a fact that is not listed, compares it with a value of another type,
            or in a way for which SQL and policy differ.
    """
    match condition:
        case All(parts):
            return and_(true(), *(to_sql(part, columns) for part in parts))
        case Any(parts):
            return or_(false(), *(to_sql(part, columns) for part in parts))
        case Not(part):
            # NULL is not true: its negation is.
            return not_(func.coalesce(to_sql(part, columns), false()))
        case Compare():
            return _comparison(condition, columns)


def reads_facts(condition: Condition, facts: frozenset[str]) -> bool:
    """Say where a list must read from: true, from the rows that hold the facts; false, from the resource.

    True where no row without one of these facts can meet the condition, so that the visibility table
    holds all of them (D11); false where the condition does not name the facts at all.

    Raises:
        PolicyUnavailable: some rows would be found by one way only, some by the other.
    """
    if not fields(condition) & facts:
        return False
    if requires_a_fact(condition, facts):
        return True
    raise PolicyUnavailable(
        "The filter mixes rows that are found in different ways.", retry_after=1
    )


def requires_a_fact(condition: Condition, facts: frozenset[str]) -> bool:
    """Tell whether no row without one of these facts can meet the condition."""
    match condition:
        case Compare():
            holds = condition.operator == "eq" and condition.value is True
            return holds and condition.field in facts
        case All(parts):
            return any(requires_a_fact(part, facts) for part in parts)
        case Any(parts):
            return all(requires_a_fact(part, facts) for part in parts)
        case Not():
            return False


def _comparison(compare: Compare, columns: Columns) -> ColumnElement[bool]:
    column = columns.get(compare.field)
    if column is None:
        raise _unknown(compare)
    match compare.operator, compare.value:
        case "in", tuple(values):
            return _among(column, values, compare)
        case "startswith", str(beginning):
            return column.startswith(_typed(column, beginning, compare), autoescape=True)
        case (("eq" | "ne"), (str() | int() | float() | None) as value):
            return _equal(column, value, compare)
        case (("lt" | "le" | "gt" | "ge"), (int() | float()) as value):
            return _ordered(column, value, compare)
        case _:
            raise _unknown(compare)


def _equal(column: ColumnElement[Value], value: Scalar, compare: Compare) -> ColumnElement[bool]:
    """Compare for being the same; null is something else than any value."""
    negative = compare.operator == "ne"
    if value is None:
        return column.is_not(None) if negative else column.is_(None)
    typed = _typed(column, value, compare)
    if negative:
        return column.is_distinct_from(typed)
    return column.is_(typed) if isinstance(typed, bool) else _COMPARED["eq"](column, typed)


def _among(
    column: ColumnElement[Value], values: tuple[Scalar, ...], compare: Compare
) -> ColumnElement[bool]:
    """Compare with several values at once; none of them: false."""
    known = [_typed(column, value, compare) for value in values if value is not None]
    found = column.in_(known)
    return or_(found, column.is_(None)) if None in values else found


def _ordered(column: ColumnElement[Value], value: float, compare: Compare) -> ColumnElement[bool]:
    """Compare numbers. In policy null is less than any of them. Text is not compared: collations differ."""
    typed = _typed(column, value, compare)
    if isinstance(typed, bool):
        raise _unknown(compare)
    compared = _COMPARED[compare.operator](column, typed)
    return or_(compared, column.is_(None)) if compare.operator in {"lt", "le"} else compared


def _typed(column: ColumnElement[Value], value: Scalar, compare: Compare) -> Value:
    """Return the value as the column's type has it; policy knows ids as text."""
    wanted = _python_type(column)
    if wanted is UUID and isinstance(value, str):
        try:
            return UUID(value)
        except ValueError:
            raise _unknown(compare) from None
    if type(value) is wanted or (wanted is float and type(value) is int):
        return value
    raise _unknown(compare)


def _python_type(column: ColumnElement[Value]) -> type[object] | None:
    try:
        return column.type.python_type
    except NotImplementedError:
        return None


def _unknown(compare: Compare) -> PolicyUnavailable:
    return PolicyUnavailable(
        f"The filter cannot be honoured: {compare.field} {compare.operator}.", retry_after=1
    )
