"""That a member is, or was, a customer's representative."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Stretch:
    """That the member is main or additional within [valid_from, valid_to)."""

    relation: str
    valid_from: datetime
    valid_to: datetime


def represents(facts: Mapping[str, object]) -> bool:
    """Tell whether by these facts the member is main or additional."""
    return facts["main"] is True or facts["additional"] is True
