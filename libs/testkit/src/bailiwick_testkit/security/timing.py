"""Whether two requests can be told apart by the time that they take: interleaved pairs, and their ranks."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

Request = Callable[[], Awaitable[object]]
Clock = Callable[[], int]
"""Nanoseconds: `time.process_time_ns` on a machine that others use too, else `time.perf_counter_ns`."""


async def told_apart(first: Request, second: Request, pairs: int, clock: Clock) -> float:
    """Return how often the first takes longer than the second: 0.5 where nothing tells them apart.

    It is the statistic of Mann and Whitney divided by its largest value, the area under the curve (AUC).
    The two are sent in turn, in an order drawn anew for each pair: what slows the machine slows both.
    """
    took: tuple[list[int], list[int]] = ([], [])
    requests = (first, second)
    with _undisturbed():
        for _ in range(pairs):
            for which in random.sample((0, 1), 2):
                began = clock()
                await requests[which]()
                took[which].append(clock() - began)
    return _auc(*took)


def _auc(first: Sequence[int], second: Sequence[int]) -> float:
    ranked = sorted([(value, 0) for value in first] + [(value, 1) for value in second])
    ranks, at = 0.0, 0
    while at < len(ranked):
        end = at
        while end < len(ranked) and ranked[end][0] == ranked[at][0]:
            end += 1
        middle = (at + 1 + end) / 2  # those that are equal share their ranks
        ranks += middle * sum(1 for _, which in ranked[at:end] if which == 0)
        at = end
    least = len(first) * (len(first) + 1) / 2
    return (ranks - least) / (len(first) * len(second))


def burn(nanoseconds: int) -> None:
    """Use the processor for so long: a difference that is to be found."""
    until = time.process_time_ns() + nanoseconds
    while time.process_time_ns() < until:
        pass


@contextmanager
def _undisturbed() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
