"""Change an organization's name and settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.write_responses import Written
from bailiwick_identity.domain.organization import Administered, changed_settings, widening
from bailiwick_identity.store.unit_of_work import OpenUnit
from bailiwick_kit.web.etags import Expected
from bailiwick_kit.web.submitted import Submitted


def facts_of(org_id: UUID) -> Mapping[str, object]:
    """Return what policy is told of an organization's row."""
    return {"org_id": str(org_id)}


async def change_organization(
    open_unit: OpenUnit,
    gate: Gate,
    caller: Caller,
    expected: Expected,
    submitted: Submitted[Mapping[str, Any]],
) -> Written[Administered]:
    """Change what was sent: `name`, and of `settings` those that are named.

    Raises:
        Forbidden: the caller may not.
        PreconditionRequired, Stale: the version is not named, or not the present one.
        Invalid: a field is wrong.
    """
    async with open_unit(caller.org_id, caller.now) as unit:
        before = await unit.organizations.locked()
        caller = await unit.again(
            caller
        )  # their rights may have gone while this waited for the lock
        await gate.decide(caller, "organizations", "edit", organization=facts_of(caller.org_id))
        expected.check(before.version)
        changes = submitted.read()
        after = before.changed(name=changes.get("name"), settings=changes.get("settings", {}))
        await unit.organizations.save(after)
        settings = changed_settings(before.settings, after.settings)
        await unit.note(
            "organization.change",
            caller.member_id,
            caller.org_id,
            {"fields": sorted(changes), "settings": settings, "widens": widening(settings)},
        )
        seen = Administered(after, await unit.members.seats_used(caller.now))
    return Written.one(caller.org_id, seen)
