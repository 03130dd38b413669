"""How a value comes out of a row: a column, a constant or a template, mapped and converted."""

from __future__ import annotations

import re
import unicodedata
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from bailiwick_csv_import.decimals import decimal
from bailiwick_csv_import.faults import FieldError
from bailiwick_csv_import.files import Table
from bailiwick_kit.clock import END_OF_TIME, START_OF_TIME, beginning

_PLACEHOLDER = re.compile(r"\{([^{}|]+)(?:\|([a-z]+))?\}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_LETTERS = str.maketrans(
    {"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}
)
"""Letters that are no letter with an accent."""
_NOT_IN_A_WORD = re.compile(r"[^a-z0-9]+")


class Kind(StrEnum):
    """What a field holds."""

    TEXT = "text"
    DECIMAL = "decimal"
    DATE = "date"
    INSTANT = "instant"
    LIST = "list"


def plain(text: str) -> str:
    """Return the text in lower-case ASCII letters and digits, words joined by hyphens."""
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    letters = decomposed.encode("ascii", "ignore").decode()
    return _NOT_IN_A_WORD.sub("-", letters).strip("-")


FILTERS = {"plain": plain, "lower": str.lower, "upper": str.upper}
"""What a template may do to a column: `{last_name|plain}`."""


class Source(Protocol):
    """Where a text comes from."""

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The columns that it is made of."""

    def text(self, cells: Mapping[str, str]) -> str:
        """Return the text in a row."""
        ...


@dataclass(frozen=True)
class Column:
    """The cell of one column."""

    name: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.name,)

    def text(self, cells: Mapping[str, str]) -> str:
        """Return the cell."""
        return cells[self.name]


@dataclass(frozen=True)
class Constant:
    """The same in every row."""

    value: str

    @property
    def columns(self) -> tuple[str, ...]:
        """None."""
        return ()

    def text(self, _: Mapping[str, str]) -> str:
        """Return the value."""
        return self.value


@dataclass(frozen=True)
class Template:
    """A text with columns in braces; empty where all of them are."""

    pattern: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns in braces."""
        return tuple(match[1] for match in _PLACEHOLDER.finditer(self.pattern))

    def faults(self) -> Iterator[str]:
        """Tell what is wrong with the pattern itself."""
        if not self.columns:
            yield "A template names columns in braces: {first_name}"
        for match in _PLACEHOLDER.finditer(self.pattern):
            if match[2] and match[2] not in FILTERS:
                yield f"{match[2]} is not known; after | comes one of: {', '.join(FILTERS)}"
        if set(_PLACEHOLDER.sub("", self.pattern)) & set("{}"):
            yield "A brace is left over"

    def text(self, cells: Mapping[str, str]) -> str:
        """Return the pattern, filled in."""
        if not any(cells[name] for name in self.columns):
            return ""
        return _PLACEHOLDER.sub(
            lambda match: FILTERS.get(match[2], str)(cells[match[1]]), self.pattern
        )


@dataclass(frozen=True)
class LookUp:
    """A value of another file, found by a key; `found` is filled before rows are read."""

    table: Table
    key: str
    column: str
    found: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Field:
    """A field of a record: `path` is its name in the mapping."""

    path: str
    kind: Kind
    source: Source
    values: Mapping[str, str] = field(default_factory=dict)
    otherwise: str | None = None
    look_up: LookUp | None = None
    date_format: str | None = None
    decimal_mark: str = "."
    thousands_separator: str | None = None
    separator: str = ","

    @property
    def label(self) -> str:
        """What a fault calls the place: its columns, else that the mapping says so."""
        return "+".join(self.source.columns) or f"(constant {self.path.rpartition('.')[2]})"

    def read(self, cells: Mapping[str, str], zone: ZoneInfo) -> Any:
        """Return the value for JSON, None where there is none.

        Raises:
            FieldError: the text is not what the field holds.
        """
        text = self.source.text(cells)
        if self.look_up is not None and text:
            if text not in self.look_up.found:
                raise FieldError(f"{text!r} is not in {self.look_up.table.name}")
            text = self.look_up.found[text]
        if text in self.values:
            text = self.values[text]
        elif text and self.otherwise is not None:
            text = self.otherwise
        return self._converted(text, zone) if text else None

    def _converted(self, text: str, zone: ZoneInfo) -> Any:
        match self.kind:
            case Kind.DECIMAL:
                return decimal(text, self.decimal_mark, self.thousands_separator)
            case Kind.DATE:
                return self._date(text).isoformat()
            case Kind.INSTANT if self.date_format or "T" not in text:
                return self._beginning(text, zone).isoformat()
            case Kind.LIST:
                return [part for one in text.split(self.separator) if (part := one.strip())]
            case _:
                return text

    def _beginning(self, text: str, zone: ZoneInfo) -> datetime:
        try:
            return beginning(self._date(text), zone)
        except ValueError:
            bounds = f"from {START_OF_TIME.date()} to {END_OF_TIME.date()}"
            raise FieldError(f"{text!r} is too early; choose a date {bounds}") from None

    def _date(self, text: str) -> date:
        try:
            if self.date_format:
                return datetime.strptime(text, self.date_format).date()  # noqa: DTZ007 - a date
            if _DATE.fullmatch(text):
                return date.fromisoformat(text)
        except ValueError:
            pass
        wanted = self.date_format or "2026-01-31, or name its date_format in the mapping"
        raise FieldError(f"{text!r} is not a date; write it as {wanted}")


@dataclass(frozen=True)
class Group:
    """Fields that belong together: a record, an address. Empty where all its columns are."""

    members: Mapping[str, Part]

    def fields(self) -> Iterator[Field]:
        """Give all fields in it, however deep."""
        for part in self.members.values():
            for one in part if isinstance(part, tuple) else (part,):
                if isinstance(one, Field):
                    yield one
                else:
                    yield from one.fields()


Part = Field | Group | tuple[Group, ...]
"""A field, a group of them, or several groups (the addresses of a customer)."""


@dataclass
class Build:
    """Makes a record of one row; afterwards `places` has each value's field, `errors` what is wrong."""

    cells: Mapping[str, str]
    zone: ZoneInfo
    places: dict[tuple[str | int, ...], Field] = field(default_factory=dict)
    errors: list[tuple[Field, str]] = field(default_factory=list)

    def record(self, group: Group, path: tuple[str | int, ...] = ()) -> dict[str, Any]:
        """Return the group's values by name, without those that are empty."""
        made: dict[str, Any] = {}
        for name, part in group.members.items():
            value: Any
            if isinstance(part, Field):
                self.places[*path, name] = part
                value = self._value(part)
            elif isinstance(part, Group):
                value = self.record(part, (*path, name)) if self._is_filled(part) else None
            else:
                filled = [one for one in part if self._is_filled(one)]
                value = [self.record(one, (*path, name, i)) for i, one in enumerate(filled)]
            if value is not None:
                made[name] = value
        return made

    def _value(self, part: Field) -> Any:
        try:
            return part.read(self.cells, self.zone)
        except FieldError as error:
            self.errors.append((part, str(error)))
            return None

    def _is_filled(self, group: Group) -> bool:
        return any(self.cells[name] for part in group.fields() for name in part.source.columns)
