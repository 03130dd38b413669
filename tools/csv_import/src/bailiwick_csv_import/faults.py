"""What is wrong with files and mapping: collected, so that everything can be mended at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

MOST_SHOWN = 200


class UnreadableError(Exception):
    """A file or the mapping cannot be read on; the fault is noted already."""


class FieldError(Exception):
    """A cell cannot be what the mapping takes it for; the message says what to write."""


@dataclass
class Faults:
    """Counts faults and keeps the first of them, as `file:line:column: message`."""

    shown: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, file: str, line: int | None, column: str, message: str) -> None:
        """Note one; without a line it is about the file, or about the mapping."""
        self.count += 1
        if len(self.shown) < MOST_SHOWN:
            place = ":".join(str(part) for part in (file, line, column) if part not in {None, ""})
            self.shown.append(f"{place}: {message}")

    def tell(self, report: Callable[[str], None]) -> None:
        """Print them, and how many more there are."""
        for line in self._lines():
            report(line)

    def _lines(self) -> Iterator[str]:
        yield from self.shown
        if more := self.count - len(self.shown):
            yield f"… and {more:,} more"
