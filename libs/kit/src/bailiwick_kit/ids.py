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


PathId: TypeAlias = Annotated[UUID, WrapValidator(_or_nobodys)]
"""A route's parameter: `order_id: PathId`. What is no id is the id of nothing: 403 or 404, as any other."""
