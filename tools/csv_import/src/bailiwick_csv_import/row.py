"""A row of a file with the record that was made of it, and how a fault says where in it something is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bailiwick_csv_import.fields import Build, Field
from bailiwick_csv_import.files import Row
from bailiwick_csv_import.plan import Section

_LONGEST_SHOWN = 40


@dataclass(frozen=True)
class MappedRow:
    """A row with what was made of it."""

    section: Section
    row: Row
    key: str
    body: dict[str, Any]
    build: Build

    def fault(self, location: tuple[str | int, ...], message: str) -> tuple[str, int, str, str]:
        """Return file, line, column and message for what is wrong at a place in the record."""
        places = self.build.places
        place = places.get(location) or next(
            (one for path, one in places.items() if path[: len(location)] == location and location),
            None,
        )
        named = ".".join(str(part) for part in location)
        key = self.section.key.label if self.section.key else ""
        if place and place.source.columns and location[-1] != "password":
            message = with_text(place.source.text(self.row.cells), message)
        return (
            self.section.table.name,
            self.row.line,
            place.label if place else named or key,
            message,
        )


def with_text(value: object, message: str) -> str:
    """Return the message with what stands there, unless it says so itself."""
    text = str(value or "")
    if not text or repr(text) in message:
        return message
    shown = text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"
    return f"{message} (here: {shown!r})"


def label_in(section: Section, name: str) -> str:
    """Return what a fault calls a field of a section."""
    part = section.fields.members.get(name)
    return part.label if isinstance(part, Field) else name
