"""An organization: who sells here, and how they have chosen to work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal
from uuid import UUID


@dataclass(frozen=True)
class Settings:
    """How an organization works where the sources leave a choice; defaults as in domain §3."""

    assignment_model: Literal["main_plus_additional", "single"] = "main_plus_additional"
    creator_keeps_access: bool = False
    rep_customers_need_approval: bool = False
    author_keeps_order_view: bool = True
    additional_full_rights: bool = False
    notify_additional: bool = False


_WIDENING = ("creator_keeps_access", "author_keeps_order_view", "additional_full_rights")
"""Switched on, these let somebody view or edit more; the audit trail says so."""


@dataclass(frozen=True)
class Organization:
    """An organization as it stands. `seat_limit` None: the package does not limit seats."""

    org_id: UUID
    name: str
    time_zone: str
    currency: str
    package: str = "standard"
    seat_limit: int | None = None
    settings: Settings = field(default_factory=Settings)
    version: int = 1

    def changed(self, *, name: str | None, settings: Mapping[str, Any]) -> Organization:
        """Return it with another name and other settings; what is not named stays."""
        return replace(
            self,
            name=name if name is not None else self.name,
            settings=replace(self.settings, **settings),
            version=self.version + 1,
        )


@dataclass(frozen=True)
class Administered:
    """An organization as who administers it sees it."""

    organization: Organization
    seats_used: int

    @property
    def version(self) -> int:
        """The organization's version; the seats taken are no part of it: they change with the members."""
        return self.organization.version


def changed_settings(before: Settings, after: Settings) -> dict[str, Any]:
    """Return the settings that differ, as they are now."""
    return {
        one.name: getattr(after, one.name)
        for one in fields(Settings)
        if getattr(before, one.name) != getattr(after, one.name)
    }


def widening(changed: Mapping[str, Any]) -> list[str]:
    """Name the changed settings that widen what somebody may view or do."""
    return [name for name in _WIDENING if changed.get(name) is True]
