"""What a consumer has fetched and not begun yet, in turn by organization.

Who takes from it takes events of one organization, so that they share a transaction, and of each
organization once before it comes to the first again: one that has much waiting holds up no other.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from aio_pika.abc import AbstractIncomingMessage

from bailiwick_kit.bus.messages import Envelope

MOST_EVENTS = 250
"""Events that are handled in one transaction."""
MOST_BYTES = 2 * 1024 * 1024
"""Bytes of their bodies together, beyond which no further one is added: parsed, they are many times that."""

_ORG_ID = re.compile(rb'\s*\{\s*"org_id"\s*:\s*"([0-9a-fA-F-]{36})"')


@dataclass(frozen=True)
class Delivery:
    """A message that was fetched, with the event in it."""

    message: AbstractIncomingMessage
    envelope: Envelope

    @property
    def organization(self) -> UUID | None:
        """Return what the body begins with, which is the organization in every event of ours.

        None where it does not: this only says what is handled together, and nothing is believed of it.
        """
        found = _ORG_ID.match(self.envelope.body)
        try:
            return UUID(found[1].decode()) if found else None
        except ValueError:
            return None


@dataclass
class Backlog:
    """The deliveries that wait. An organization that was taken from waits until it is `done`."""

    _waiting: dict[UUID | None, deque[Delivery]] = field(default_factory=dict)
    _taken: set[UUID | None] = field(default_factory=set)

    def add(self, delivery: Delivery) -> None:
        """Put it behind what its organization has waiting."""
        self._waiting.setdefault(delivery.organization, deque()).append(delivery)

    def take(self) -> tuple[UUID | None, Sequence[Delivery]] | None:
        """Return the oldest deliveries of the organization whose turn it is, None where none is."""
        free = [one for one in self._waiting if one not in self._taken]
        if not free:
            return None
        whose, waiting = free[0], self._waiting.pop(free[0])
        taken, size = [waiting.popleft()], 0
        while waiting and len(taken) < MOST_EVENTS:
            size += len(taken[-1].envelope.body)
            if size + len(waiting[0].envelope.body) > MOST_BYTES:
                break
            taken.append(waiting.popleft())
        if waiting:
            self._waiting[whose] = waiting  # behind all others
        self._taken.add(whose)
        return whose, taken

    def done(self, whose: UUID | None) -> None:
        """Let what an organization has waiting be taken again."""
        self._taken.discard(whose)
