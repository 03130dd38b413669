"""The worst accepted body: how long the write operations hold the event loop to read one."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from functools import partial

from measure import ROUNDS, Compared
from pydantic import BaseModel
from rich.console import Console

from bailiwick_kit.errors import Refusal
from bailiwick_kit.web.bodies import SentBody
from bailiwick_kit.web.middleware import MIB
from bailiwick_kit.web.problems import TooLarge
from bailiwick_testkit.security.heavy_bodies import readers, sent, shapes

NAME = "the worst accepted body / a megabyte of zeros"
_PLAIN = b"[" + b"0," * (MIB // 2 - 1) + b"0]"
"""What it is told in terms of: read by the standard library."""


def measured(console: Console) -> Compared:
    """Read every shape of body that each operation lets in; print the worst of each, return the worst."""
    plain = _seconds(lambda: json.loads(_PLAIN))
    worst = 0.0
    for operation, reader in sorted(readers().items()):
        found = {name: _seconds(partial(_read, sent(reader, raw))) for name, raw in shapes(reader)}
        name = max(found, key=lambda one: found[one])
        console.print(f"{operation}: {1000 * found[name]:.1f} ms for {name}")
        worst = max(worst, found[name])
    return Compared(NAME, p50=worst / plain, a_ms=1000 * worst, b_ms=1000 * plain)


def _read(body: SentBody[BaseModel]) -> None:
    """Do all that is done to a body without a pause: its fingerprint, then its reading."""
    for work in (body.fingerprint, body.read):
        with contextlib.suppress(Refusal, TooLarge):
            work()


def _seconds(work: Callable[[], object]) -> float:
    """Return the processor time of the fastest of some rounds: what the loop is held at least."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.thread_time()
        work()
        best = min(best, time.thread_time() - began)
    return best
