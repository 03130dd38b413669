"""Say what one wants of mails about new orders."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_kit.web.etags import Expected
from bailiwick_kit.web.submitted import Submitted
from bailiwick_notifier.domain.preferences import NewOrders, Preferences
from bailiwick_notifier.store.unit_of_work import OpenUnit


def facts_of(org_id: UUID) -> Mapping[str, object]:
    """Return what policy is told of a caller's own preferences."""
    return {"org_id": str(org_id), "recipient": True}


async def change_preferences(
    open_unit: OpenUnit,
    gate: Gate,
    caller: Caller,
    expected: Expected,
    submitted: Submitted[tuple[NewOrders, str | None]],
) -> Preferences:
    """Replace the caller's own preferences.

    Raises:
        Forbidden: the caller has none: a storefront reads no mail.
        PreconditionRequired, Stale: the version is not named, or not the present one.
        Invalid: a field is wrong.
    """
    async with open_unit(caller.org_id) as unit:
        before = await unit.preferences(caller.member_id)
        await gate.decide(caller, "preferences", "edit", preference=facts_of(caller.org_id))
        expected.check(before.version)
        after = before.changed(*submitted.read())
        await unit.save(caller.member_id, after, caller.now)
    return after
