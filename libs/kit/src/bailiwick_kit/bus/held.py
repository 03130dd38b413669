"""What a consumer has fetched and not acknowledged, bounded in bytes: a broker bounds the number alone.

500 events are half a megabyte, or, of orders of 2,000 lines with the longest names, more than a gigabyte.
Beyond the bound what arrives is let go of, and the session ends: the broker delivers it again, to a session
that fetches no more at a time than fits of the largest that came. Once the queue is empty, it is as before.
"""

from __future__ import annotations

from dataclasses import dataclass

PREFETCH = 500
"""Events that are fetched at most."""
MOST_BYTES = 64 * 1024 * 1024
"""Bytes of their bodies, for one queue: a worker reads a few, within the chart's 512 MiB."""


@dataclass
class Held:
    """Counts the bytes of one consumer's session after the other."""

    prefetch: int = PREFETCH
    size: int = 0
    is_full: bool = False
    _largest: int = 1

    def begin(self) -> None:
        """Begin a session, which holds nothing yet."""
        self.size, self.is_full = 0, False

    def take(self, body: bytes) -> bool:
        """Hold one more; false where there is no room, from then on to the end of the session."""
        self._largest = max(self._largest, len(body))
        if self.is_full or self.size + len(body) > MOST_BYTES:
            self.is_full = True
            self.prefetch = max(1, MOST_BYTES // self._largest)
            return False
        self.size += len(body)
        return True

    def release(self, body: bytes) -> None:
        """Hold one less: it was acknowledged."""
        self.size -= len(body)

    def rest(self) -> None:
        """Fetch as many as ever again: nothing has come for a while."""
        self.prefetch, self._largest = PREFETCH, 1
