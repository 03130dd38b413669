"""Ids in paths, judged late: who lacks the capability is told so, whatever they name (domain §4)."""

from __future__ import annotations

from typing import Annotated, TypeAlias
from uuid import UUID

from pydantic import ValidationError, ValidatorFunctionWrapHandler, WrapValidator

NOBODYS = UUID(int=0)
"""The id that no record has."""


def _or_nobodys(value: object, read: ValidatorFunctionWrapHandler) -> UUID:
    try:
        found: UUID = read(value)
    except ValidationError:
        return NOBODYS
    return found


def canonical_path(path: str) -> str:
    """Return the path with its ids as they are answered: a record has one path, however its id is written."""
    return "/".join(_canonical(part) for part in path.split("/"))


def _canonical(part: str) -> str:
    try:
        return str(UUID(part))
    except ValueError:
        return part


PathId: TypeAlias = Annotated[UUID, WrapValidator(_or_nobodys)]
"""A route's parameter: `order_id: PathId`. What is no id is the id of nothing: 403 or 404, as any other."""
