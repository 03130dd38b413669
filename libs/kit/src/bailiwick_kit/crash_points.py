"""Named crash points: places where a test kills the process to see that nothing is lost or doubled.

Not armed, a point costs one set look-up. `BAILIWICK_CRASH_AT` arms them: names separated by commas.
"""

from __future__ import annotations

import os
import signal

POINTS = frozenset(
    {
        "relay.before-publish",
        "relay.after-publish",
        "relay.after-mark",
        "consumer.before-transaction",
        "consumer.before-commit",
        "consumer.after-commit",
        "consumer.after-ack",
        "action.before-commit",
        "action.after-commit",
        "dispatch.before-begin",
        "dispatch.before-send",
        "dispatch.after-send",
        "dispatch.after-finish",
    }
)
"""Every point there is; a test fires each."""

_armed = frozenset(filter(None, os.environ.get("BAILIWICK_CRASH_AT", "").split(",")))
if _armed - POINTS:
    msg = f"BAILIWICK_CRASH_AT names unknown points: {', '.join(sorted(_armed - POINTS))}"
    raise ValueError(msg)


def reach(point: str) -> None:
    """Die here, as by `kill -9`, if the point is armed."""
    if point in _armed:
        os.kill(os.getpid(), signal.SIGKILL)
