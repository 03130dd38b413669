"""How a member stands to a customer at an instant, as policy is told: the same in every service (D10).

`relation_state` in `assignments` is the same in SQL.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol


class AssignmentPeriod(Protocol):
    """That the member is main or additional within [valid_from, valid_to)."""

    @property
    def relation(self) -> str:
        """`main` or `additional`."""
        ...

    @property
    def valid_from(self) -> datetime:
        """From when."""
        ...

    @property
    def valid_to(self) -> datetime:
        """Until when; where that is its beginning, it was cancelled and never was."""
        ...


def relation_facts(periods: Iterable[AssignmentPeriod], now: datetime) -> dict[str, object]:
    """Return the facts of a member's assignments to one customer.

    `cover` is a relation that comes with covers; until then nobody has it.
    """
    mine = [one for one in periods if one.valid_from < one.valid_to]
    held = {one.relation for one in mine if one.valid_from <= now < one.valid_to}
    if held:
        state = "current"
    elif any(one.valid_to <= now for one in mine):
        state = "ended"
    else:
        state = "future" if mine else "none"
    return {
        "main": "main" in held,
        "additional": "additional" in held,
        "cover": False,
        "relation_state": state,
    }
