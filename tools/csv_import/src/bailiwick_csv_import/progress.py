"""Tells how far a long step is, every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

_EVERY = 3.0


@dataclass
class Progress:
    """Counts steps, and reports a line now and then; a quick one says nothing until it is done."""

    report: Callable[[str], None]
    what: str = ""
    count: int = 0
    _next: float = field(default_factory=lambda: time.monotonic() + _EVERY)

    def step(self, what: str) -> None:
        """Count one more."""
        self.what = what
        self.count += 1
        if not self.count % 256 and time.monotonic() >= self._next:
            self.report(f"{what:<32} {self.count:>9,} …")
            self._next = time.monotonic() + _EVERY

    def done(self) -> None:
        """Tell how many there were, and begin anew."""
        if self.what:
            self.report(f"{self.what:<32} {self.count:>9,}")
        self.what, self.count = "", 0
        self._next = time.monotonic() + _EVERY
