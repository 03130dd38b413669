"""Two things side by side: interleaved A B A B, in rounds, as ratios. Absolute times are never judged."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

Ask = Callable[[], Awaitable[None]]
"""Sends one request and reads its whole answer; raises where it is not the expected one."""
Timed = Callable[[], Awaitable[float]]
"""Does one thing and returns the seconds that count of it."""
Turn = Callable[[], Awaitable[float]]
"""Does one thing for a while, many at a time, and returns how many a second."""

WARM_UP = 30
PAIRS = 150
ROUNDS = 3
CONCURRENCY = 16
SECONDS = 2.0


@dataclass(frozen=True)
class Compared:
    """What A costs in terms of B: the median over rounds of each ratio; None where it was not measured."""

    name: str
    p50: float | None = None
    p99: float | None = None
    throughput: float | None = None
    a_ms: float | None = None
    b_ms: float | None = None


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which the share of all values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def compare(
    name: str, a: Ask, b: Ask, *, throughput: bool = True, pairs: int = PAIRS
) -> Compared:
    """Measure request A against request B."""
    rates = [await _rates(_burst(a), _burst(b)) for _ in range(ROUNDS)] if throughput else None
    return await compare_times(name, _timed(a), _timed(b), rates, pairs=pairs)


async def compare_times(
    name: str, a: Timed, b: Timed, rates: Sequence[float] | None = None, *, pairs: int = PAIRS
) -> Compared:
    """Measure how long A takes in terms of B."""
    for _ in range(min(WARM_UP, pairs)):
        await a()
        await b()
    rounds = [await _round(a, b, pairs) for _ in range(ROUNDS)]
    return Compared(
        name=name,
        p50=statistics.median(percentile(x, 0.5) / percentile(y, 0.5) for x, y in rounds),
        p99=statistics.median(percentile(x, 0.99) / percentile(y, 0.99) for x, y in rounds),
        throughput=statistics.median(rates) if rates else None,
        a_ms=1000 * statistics.median(percentile(x, 0.5) for x, _ in rounds),
        b_ms=1000 * statistics.median(percentile(y, 0.5) for _, y in rounds),
    )


async def compare_rates(name: str, a: Turn, b: Turn) -> Compared:
    """Measure how much A gets done in terms of B."""
    return Compared(name, throughput=statistics.median([await _rates(a, b) for _ in range(ROUNDS)]))


async def _round(a: Timed, b: Timed, pairs: int) -> tuple[list[float], list[float]]:
    """Do pairs one after the other; which of the two goes first alternates."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(pairs):
        for which in (0, 1) if number % 2 else (1, 0):
            times[which].append(await (a, b)[which]())
    return times


async def _rates(a: Turn, b: Turn) -> float:
    """Return A's rate over B's, in short turns: A B B A."""
    done = [0.0, 0.0]
    for which in (0, 1, 1, 0):
        done[which] += await (a, b)[which]()
    return done[0] / done[1]


def _timed(ask: Ask) -> Timed:
    async def timed() -> float:
        began = time.perf_counter()
        await ask()
        return time.perf_counter() - began

    return timed


def _burst(ask: Ask) -> Turn:
    async def turn() -> float:
        return await burst(ask)

    return turn


async def burst(ask: Ask) -> float:
    """Ask as fast as can be, many at a time, and return how many a second were answered."""
    began = time.perf_counter()
    until = began + SECONDS / 2
    counts = [0] * CONCURRENCY

    async def one(number: int) -> None:
        while time.perf_counter() < until:
            await ask()
            counts[number] += 1

    await asyncio.gather(*(one(number) for number in range(CONCURRENCY)))
    return sum(counts) / (time.perf_counter() - began)
