"""Fix who is told of an order that came in, only by what is at least as new as the order (D21).

Once; and anew each time that everybody who was told was told in vain (domain §3). It ends, for nobody is told
twice.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import structlog

from bailiwick_access.authorizer import Gate
from bailiwick_access.representatives import counts_as_one
from bailiwick_contracts.identity import Settings
from bailiwick_kit.clock import Clock
from bailiwick_kit.errors import PolicyUnavailable, Unavailable
from bailiwick_kit.telemetry import metrics, trace
from bailiwick_notifier.domain.notice import Notice
from bailiwick_notifier.store.members import Person
from bailiwick_notifier.store.notices import StoredNotices


class Authority(Protocol):
    """The replica of an authority: how far it is, and what makes it whole."""

    async def position(self, org_id: UUID) -> int:
        """Return up to which change everything has been applied."""

    async def catch_up(self, org_id: UUID) -> bool:
        """Ask the authority itself for the rest, as much as comes at once; say whether that was all.

        Raises:
            Unavailable: it does not answer.
        """


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

    notices: StoredNotices
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
        if notice.told:
            notice = notice.represented_by(*await desk.notices.representatives(notice, now))
        settings, named = await _named(desk, notice, now)
        counting = await _counting(desk.gate, named)
        managers = (
            await _managers(desk, notice.org_id, now) if notice.needs_managers(counting) else ()
        )
    except Unavailable as error:
        level = log.warning if isinstance(error, PolicyUnavailable) else log.error
        level("notice.waits", event_id=str(notice.event_id), error=error.code)
        trace.failed(error)
        await desk.notices.postpone(notice, _later(notice, now))
        return
    chosen = notice.recipients(
        counting=counting, notify_additional=settings.notify_additional, managers=managers
    )
    if await desk.notices.fix(notice, chosen, now):
        _say(notice, len(chosen))


def _say(notice: Notice, recipients: int) -> None:
    trace.note("recipients", recipients)
    counts = {"recipients": recipients, "told_in_vain": len(notice.told)}
    log.info("notice.fixed", event_id=str(notice.event_id), **counts)
    if notice.told and not recipients:
        metrics.NOTICES_IN_VAIN.inc()
        log.error("notice.in_vain", event_id=str(notice.event_id), told_in_vain=len(notice.told))


async def _counting(gate: Gate, named: Collection[Person]) -> set[UUID]:
    """Return those whose assignments count: in force, and allowed to hold a portfolio (domain §3)."""
    return {
        one.caller.member_id
        for one in named
        if one.is_active and await counts_as_one(gate, one.caller, one.caller.subject)
    }


def _later(notice: Notice, now: datetime) -> datetime:
    return now + min(max(LATER, (now - notice.taken_at) / 10), LATEST)


async def _caught_up(desk: Desk, notice: Notice) -> bool:
    """Ask customers for what its events did not bring in time; say whether that was enough."""
    try:
        is_all = await desk.customers.catch_up(notice.org_id)
        reached = await desk.customers.position(notice.org_id)
    except Unavailable:
        is_all, reached = True, -1
    if is_all and reached < notice.assignment_seq:
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
        if not await desk.identity.catch_up(org_id):
            raise Unavailable
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
