"""Fix who is told of an order that came in: once, and only by what is at least as new as the order (D21)."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from bailiwick_access.gate import Gate
from bailiwick_contracts.identity import Settings
from bailiwick_kit import trace
from bailiwick_kit.clock import Clock
from bailiwick_kit.errors import PolicyUnavailable, Unavailable
from bailiwick_notifier.actions.ports import Authority, Notices, Person
from bailiwick_notifier.domain.notice import Notice

log = structlog.get_logger(__name__)

PATIENCE = timedelta(seconds=30)
"""For so long events are waited for, before customers itself is asked (D21)."""
SOON = timedelta(milliseconds=200)
LATER = timedelta(seconds=5)
LATEST = timedelta(minutes=1)
"""An order that has waited for long is looked at, and raises its alarm, more rarely."""


@dataclass(frozen=True)
class Desk:
    """What it takes."""

    notices: Notices
    customers: Authority
    identity: Authority
    gate: Gate
    clock: Clock


async def fix_recipients(desk: Desk, notice: Notice) -> None:
    """Fix them, or look at the order again later; it is never given up."""
    now = desk.clock.now()
    if await desk.customers.position(notice.org_id) < notice.assignment_seq:
        if now < notice.taken_at + PATIENCE:
            await desk.notices.postpone(notice, now + SOON)
            return
        if not await _caught_up(desk, notice):
            await desk.notices.postpone(notice, _later(notice, now))
            return
    with trace.span("fix recipients", parent=notice.trace_parent):
        await _fix(desk, notice, now)


async def _fix(desk: Desk, notice: Notice, now: datetime) -> None:
    try:
        settings, named = await _named(desk, notice, now)
        active = {one.caller.member_id for one in named if one.is_active}
        managers = (
            () if notice.has_active_main(active) else await _managers(desk, notice.org_id, now)
        )
    except Unavailable as error:
        level = log.warning if isinstance(error, PolicyUnavailable) else log.error
        level("notice.waits", event_id=str(notice.event_id), error=error.code)
        trace.failed(error)
        await desk.notices.postpone(notice, _later(notice, now))
        return
    told = notice.recipients(
        active=active, notify_additional=settings.notify_additional, managers=managers
    )
    if await desk.notices.fix(notice, told, now):
        trace.note("recipients", len(told))
        log.info("notice.fixed", event_id=str(notice.event_id), recipients=len(told))


def _later(notice: Notice, now: datetime) -> datetime:
    return now + min(max(LATER, (now - notice.taken_at) / 10), LATEST)


async def _caught_up(desk: Desk, notice: Notice) -> bool:
    """Ask customers for what its events did not bring in time; say whether that was enough."""
    try:
        await desk.customers.pull(notice.org_id)
        reached = await desk.customers.position(notice.org_id)
    except Unavailable:
        reached = -1
    if reached < notice.assignment_seq:
        log.error("notice.replica_behind", event_id=str(notice.event_id), source="customers")
    return reached >= notice.assignment_seq


async def _named(desk: Desk, notice: Notice, now: datetime) -> tuple[Settings, Collection[Person]]:
    """Return the settings, and the representatives as we know them now.

    Who is unknown here is not inactive: identity is asked first.
    """
    org_id, wanted = notice.org_id, notice.representatives
    settings = await desk.notices.settings(org_id)
    people = await desk.notices.people(org_id, now, wanted)
    if settings is None or wanted - people.keys():
        await desk.identity.pull(org_id)
        settings = await desk.notices.settings(org_id)
        people = await desk.notices.people(org_id, now, wanted)
    if settings is None:
        raise Unavailable
    return settings, list(people.values())


async def _managers(desk: Desk, org_id: UUID, now: datetime) -> list[UUID]:
    """Return who watches over what nobody represents; policy is asked once for each set of rights."""
    known: dict[str, bool] = {}
    watching = []
    for member_id, person in (await desk.notices.people(org_id, now)).items():
        caller = person.caller
        rights = {name: value for name, value in caller.subject.items() if name != "member_id"}
        key = json.dumps(rights, sort_keys=True)
        if key not in known:
            known[key] = await desk.gate.is_capable(caller, caller.subject, "orders", "watch")
        if known[key]:
            watching.append(member_id)
    return watching
