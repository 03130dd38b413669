"""How a member stands to a customer at an instant, as policy is told of its orders (D10)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Stretch:
    """That the member is main or additional within [valid_from, valid_to)."""

    relation: str
    valid_from: datetime
    valid_to: datetime


def facts(stretches: Iterable[Stretch], now: datetime) -> dict[str, object]:
    """Return the facts. `cover` is a relation that comes with covers; until then nobody has it."""
    mine = [one for one in stretches if one.valid_from < one.valid_to]
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


def represents(facts: Mapping[str, object]) -> bool:
    """Tell whether by these facts the member is main or additional."""
    return facts["main"] is True or facts["additional"] is True
