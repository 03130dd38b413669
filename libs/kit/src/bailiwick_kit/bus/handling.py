"""Apply events in one transaction with their inbox rows: what a consumer does with what it has fetched."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_contracts.envelope import Event
from bailiwick_kit import crash_points
from bailiwick_kit.bus import inbox
from bailiwick_kit.bus.messages import Envelope
from bailiwick_kit.database.engine import Database


@dataclass(frozen=True)
class Received:
    """An event that was not applied before, with the id that effects are kept by (D14).

    What it causes goes on in the trace of `trace_parent`.
    """

    event: Event
    event_id: UUID
    trace_parent: str | None = None


Handler: TypeAlias = Callable[[AsyncConnection, Sequence[Received]], Awaitable[None]]
"""Applies events of one organization in the open transaction, oldest first as far as is known.

It does for all of them what it would do for each; it may be told the same ones again, if that fails.
"""
SingleHandler: TypeAlias = Callable[[AsyncConnection, Event], Awaitable[None]]
"""Applies one event."""


def one_by_one(handler: SingleHandler) -> Handler:
    """Return what applies events one after the other, for a handler of one."""

    async def handle(connection: AsyncConnection, received: Sequence[Received]) -> None:
        for one in received:
            await handler(connection, one.event)

    return handle


class PoisonError(Exception):
    """An event that no retry will mend: it goes to the dead-letter queue at once."""


@dataclass(frozen=True)
class Applying:
    """Gives events to their handlers: `handlers` maps an event class to its own."""

    database: Database
    inbox: sa.Table
    handlers: Mapping[type[Event], Handler]

    def read(self, envelope: Envelope, trace_parent: str | None = None) -> Received:
        """Return the event in an envelope.

        Raises:
            PoisonError: it is of a type that nobody handles here, or is not as its type must be.
        """
        event_class = next((one for one in self.handlers if one.type == envelope.type), None)
        if event_class is None:
            raise PoisonError(f"unknown type {envelope.type}")
        try:
            event = event_class.model_validate_json(envelope.body)
        except ValidationError as error:
            raise PoisonError(
                f"invalid: {error.error_count()} errors, first {error.errors()[0]['loc']}"
            ) from error
        return Received(event, envelope.event_id, trace_parent)

    async def apply(self, received: Sequence[Received]) -> frozenset[UUID]:
        """Apply events of one organization in one transaction; return which were not applied before."""
        [org_id] = {one.event.org_id for one in received}
        crash_points.reach("consumer.before-transaction")
        async with self.database.writing(org_id) as connection:
            types = {one.event_id: one.event.type for one in received}
            first = await inbox.first_of(connection, self.inbox, types)
            new = {one.event_id: one for one in received if one.event_id in first}
            of_handler: dict[Handler, list[Received]] = {}
            for one in new.values():
                of_handler.setdefault(self.handlers[type(one.event)], []).append(one)
            for handler, its_own in of_handler.items():
                await handler(connection, its_own)
            crash_points.reach("consumer.before-commit")
        crash_points.reach("consumer.after-commit")
        return first
