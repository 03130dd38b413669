"""What a mapping says, once it is read: which rows of which files become which records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from bailiwick_csv_import.fields import Field, Group, LookUp
from bailiwick_csv_import.files import Table


@dataclass(frozen=True)
class Section:
    """A kind of record: its file, the column or columns that name one, and its fields."""

    table: Table
    key: Field | None
    fields: Group

    def columns(self) -> set[str]:
        """Return every column that is read."""
        fields = [*self.fields.fields(), *([self.key] if self.key else [])]
        return {name for one in fields for name in one.source.columns}

    def look_ups(self) -> Iterator[LookUp]:
        """Give the other files that its fields look into."""
        yield from (one.look_up for one in self.fields.fields() if one.look_up)


@dataclass(frozen=True)
class Organization:
    """Which organization to import into; it is made where there is none of that name."""

    name: str
    time_zone: str
    currency: str

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which a date is a date."""
        return ZoneInfo(self.time_zone)


@dataclass(frozen=True)
class Plan:
    """What a mapping says. `source` and a record's key are what a later run knows it by."""

    file: str
    source: str
    organization: Organization
    members: Section
    customers: Section | None
    assignments: Section | None
    orders: Section | None
    lines: Section | None
