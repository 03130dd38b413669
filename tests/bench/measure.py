"""Two requests side by side: interleaved A B A B, in rounds, as ratios. Absolute times are never judged."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

Ask = Callable[[], Awaitable[None]]
"""Sends one request and reads its whole answer; raises where it is not the expected one."""

WARM_UP = 30
PAIRS = 150
ROUNDS = 3
CONCURRENCY = 16
SECONDS = 2.0


@dataclass(frozen=True)
class Compared:
    """What A costs in terms of B: the median over rounds of each ratio."""

    name: str
    p50: float
    p99: float
    throughput: float
    a_ms: float
    b_ms: float


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which the share of all values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def compare(name: str, a: Ask, b: Ask, *, throughput: bool = True) -> Compared:
    """Measure A against B."""
    for _ in range(WARM_UP):
        await a()
        await b()
    rounds = [await _round(a, b) for _ in range(ROUNDS)]
    rates = [await _rates(a, b) for _ in range(ROUNDS)] if throughput else [1.0]
    return Compared(
        name=name,
        p50=statistics.median(percentile(x, 0.5) / percentile(y, 0.5) for x, y in rounds),
        p99=statistics.median(percentile(x, 0.99) / percentile(y, 0.99) for x, y in rounds),
        throughput=statistics.median(rates),
        a_ms=1000 * statistics.median(percentile(x, 0.5) for x, _ in rounds),
        b_ms=1000 * statistics.median(percentile(y, 0.5) for _, y in rounds),
    )


async def _round(a: Ask, b: Ask) -> tuple[list[float], list[float]]:
    """Send pairs one after the other; which of the two goes first alternates."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(PAIRS):
        for which in (0, 1) if number % 2 else (1, 0):
            began = time.perf_counter()
            await (a, b)[which]()
            times[which].append(time.perf_counter() - began)
    return times


async def _rates(a: Ask, b: Ask) -> float:
    """Return A's requests a second over B's, many at a time, in short turns: A B B A."""
    done = [0, 0]
    for which in (0, 1, 1, 0):
        done[which] += await _burst((a, b)[which])
    return done[0] / done[1]


async def _burst(ask: Ask) -> int:
    until = time.perf_counter() + SECONDS / 2
    counts = [0] * CONCURRENCY

    async def one(number: int) -> None:
        while time.perf_counter() < until:
            await ask()
            counts[number] += 1

    await asyncio.gather(*(one(number) for number in range(CONCURRENCY)))
    return sum(counts)
