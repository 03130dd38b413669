"""Two lanes for events: what people do now, and beside it bulk, each with a consumer of its own (ADR 15)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from bailiwick_contracts.envelope import bulk
from bailiwick_kit.bus.consumer import Consumer


def in_both_lanes(consumer: Consumer) -> list[Callable[[], Awaitable[None]]]:
    """Return what runs a consumer, and what runs the same one on the queue for bulk."""
    return [consumer.run, replace(consumer, queue=bulk(consumer.queue)).run]
