"""What a member wants of mails about new orders: their own word, and nobody else's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class NewOrders(StrEnum):
    """When a member is told of a new order."""

    AT_ONCE = "at_once"
    DAILY = "daily"
    OFF = "off"


@dataclass(frozen=True)
class Preferences:
    """A member's preferences. Without a language it is the membership's."""

    new_orders: NewOrders = NewOrders.AT_ONCE
    language: str | None = None
    version: int = 1

    def changed(self, new_orders: NewOrders, language: str | None) -> Preferences:
        """Return the next version."""
        return replace(self, new_orders=new_orders, language=language, version=self.version + 1)
