"""The mapping: which file, which column and which constant becomes what (D27).

YAML, read by `safe_load`; a name that is not known here is refused with the nearest one that is.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from bailiwick_csv_import import schema
from bailiwick_csv_import.decimals import SEPARATORS
from bailiwick_csv_import.faults import Faults, UnreadableError
from bailiwick_csv_import.fields import (
    Column,
    Constant,
    Field,
    Group,
    Kind,
    LookUp,
    Part,
    Source,
    Template,
)
from bailiwick_csv_import.files import Table
from bailiwick_csv_import.plan import Organization, Plan, Section
from bailiwick_csv_import.schema import Schema
from bailiwick_kit.text.iso import CURRENCIES

_LARGEST = 1_000_000
_SOURCES = ("column", "constant", "template")
_TEXTS = ("otherwise", "date_format", "decimal_mark", "thousands_separator", "separator")
_FIELD = (*_SOURCES, "values", "look_up", *_TEXTS)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}")


def read(path: Path, directory: Path, faults: Faults) -> Plan:
    """Read a mapping of files in the directory.

    Raises:
        UnreadableError: something is wrong with it; every fault is noted.
    """
    document = _load(path, faults)
    made = _Reader(path.name, directory, faults).mapping(document)
    if faults.count or made is None:
        raise UnreadableError
    return made


def _load(path: Path, faults: Faults) -> Any:
    try:
        text = path.read_bytes()
        if len(text) > _LARGEST:
            faults.add(path.name, None, "", f"A mapping has at most {_LARGEST:,} bytes")
            raise UnreadableError
        return yaml.safe_load(text)
    except OSError as error:
        faults.add(path.name, None, "", f"The file cannot be read: {error.strerror}")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        faults.add(path.name, mark.line + 1 if mark else None, "", f"not YAML: {error.problem}")
    except yaml.YAMLError as error:
        faults.add(path.name, None, "", f"not YAML: {error}")
    raise UnreadableError


@dataclass(frozen=True)
class _Reader:
    file: str
    directory: Path
    faults: Faults

    def mapping(self, document: Any) -> Plan | None:
        known = ("source", "organization", "members", "customers", "assignments", "orders")
        top = self._object("", document, known, required=("source", "organization", "members"))
        if not top:
            return None
        source = self._text("source", top.get("source"))
        if source and not _NAME.fullmatch(source):
            self._fault("source", "Use small letters, digits, and . _ - between them")
        organization = self._organization(top.get("organization"))
        members = self._section("members", top.get("members"), schema.MEMBER)
        if members and not {"role", "permissions", "mode"} & members.fields.members.keys():
            self._fault("members.fields", "Add role or permissions")
        customers = self._optional("customers", top, schema.CUSTOMER)
        assignments = self._optional("assignments", top, schema.ASSIGNMENT, with_key=False)
        orders = self._optional("orders", top, schema.ORDER, more=("lines",))
        lines = None
        if orders:
            section = top["orders"].get("lines")
            lines = self._section("orders.lines", section, schema.LINE, key="order")
        for name, section in (("assignments", assignments), ("orders", orders)):
            if section and not customers:
                self._fault(name, "They are about customers: add a section customers")
        if not organization or not members:
            return None
        return Plan(self.file, source, organization, members, customers, assignments, orders, lines)

    def _organization(self, value: Any) -> Organization | None:
        names = ("name", "time_zone", "currency")
        found = self._object("organization", value, names, required=names)
        texts = {name: self._text(f"organization.{name}", found.get(name)) for name in names}
        if not all(texts.values()):
            return None
        if not _is_zone(texts["time_zone"]):
            self._fault(
                "organization.time_zone", "Write a zone of the IANA database: Europe/Madrid"
            )
        if texts["currency"] not in CURRENCIES:
            self._fault("organization.currency", "Write a currency as ISO 4217: EUR")
        return Organization(**texts)

    def _optional(
        self,
        name: str,
        top: Mapping[str, Any],
        shape: Schema,
        *,
        with_key: bool = True,
        more: tuple[str, ...] = (),
    ) -> Section | None:
        if name not in top:
            return None
        return self._section(name, top[name], shape, key="key" if with_key else None, more=more)

    def _section(
        self,
        path: str,
        value: Any,
        shape: Schema,
        *,
        key: str | None = "key",
        more: tuple[str, ...] = (),
    ) -> Section | None:
        needed = ("file", "fields", *([key] if key else []), *more)
        found = self._object(path, value, (*needed, "delimiter"), required=needed)
        table = self._table(path, found)
        group = self._group(f"{path}.fields", found.get("fields"), shape)
        key_field = None
        if key and key in found:
            key_field = self._field(f"{path}.{key}", found[key], Kind.TEXT)
        return Section(table, key_field, group) if table else None

    def _table(self, path: str, found: Mapping[str, Any]) -> Table | None:
        name = self._text(f"{path}.file", found.get("file")) if "file" in found else ""
        delimiter = found.get("delimiter", ",")
        if not isinstance(delimiter, str) or len(delimiter) != 1:
            self._fault(f"{path}.delimiter", 'Write one character, in quotes: ";"')
            return None
        if not name:
            return None
        target = (self.directory / name).resolve()
        if not target.is_relative_to(self.directory.resolve()):
            self._fault(f"{path}.file", "Name a file inside the directory")
            return None
        return Table(name, target, delimiter)

    def _group(self, path: str, value: Any, shape: Schema) -> Group:
        found = self._object(path, value, tuple(shape.fields), required=sorted(shape.required))
        members: dict[str, Part] = {}
        for name, one in found.items():
            kind = shape.fields[name]
            part: Part | None
            if isinstance(kind, Kind):
                part = self._field(f"{path}.{name}", one, kind)
            elif kind.many:
                part = tuple(self._groups(f"{path}.{name}", one, kind))
            else:
                part = self._group(f"{path}.{name}", one, kind)
            if part is not None:
                members[name] = part
        return Group(members)

    def _groups(self, path: str, value: Any, shape: Schema) -> Iterator[Group]:
        if not isinstance(value, list):
            self._fault(path, "Write a list: each of its lines begins with a hyphen")
            return
        for number, one in enumerate(value):
            yield self._group(f"{path}[{number}]", one, shape)

    def _field(self, path: str, value: Any, kind: Kind) -> Field | None:
        if not isinstance(value, dict | list):
            text = self._text(path, value)
            return Field(path, kind, Column(text)) if text else None
        found = self._object(
            path, value, _FIELD, "a column's name, or column, constant or template"
        )
        named = [name for name in _SOURCES if name in found]
        if not found or len(named) != 1:
            if found:
                self._fault(path, f"Name exactly one of {', '.join(_SOURCES)}")
            return None
        texts = {
            name: self._text(f"{path}.{name}", found[name])
            for name in (*_TEXTS, *named)
            if name in found
        }
        if texts.get("decimal_mark", ",") not in {".", ","}:
            self._fault(f"{path}.decimal_mark", 'Write "," or "."')
        thousands = texts.get("thousands_separator")
        if thousands and thousands not in SEPARATORS - {texts.get("decimal_mark", ".")}:
            message = "Write one of , . ' or a space, and another than the decimal_mark"
            self._fault(f"{path}.thousands_separator", message)
        return Field(
            path=path,
            kind=kind,
            source=self._source(f"{path}.{named[0]}", named[0], texts[named[0]]),
            values=self._values(f"{path}.values", found.get("values", {})),
            otherwise=texts.get("otherwise"),
            look_up=self._look_up(path, found["look_up"]) if "look_up" in found else None,
            date_format=texts.get("date_format"),
            decimal_mark=texts.get("decimal_mark", "."),
            thousands_separator=thousands or None,
            separator=texts.get("separator") or ",",
        )

    def _source(self, path: str, name: str, text: str) -> Source:
        if name == "template":
            template = Template(text)
            for message in template.faults():
                self._fault(path, message)
            return template
        return Column(text) if name == "column" else Constant(text)

    def _values(self, path: str, value: Any) -> dict[str, str]:
        if not isinstance(value, dict):
            self._fault(path, "Write pairs: what stands in the file, a colon, what it means")
            return {}
        return {
            self._text(path, key, empty=True): self._text(f"{path}.{key}", one, empty=True)
            for key, one in value.items()
        }

    def _look_up(self, path: str, value: Any) -> LookUp | None:
        needed = ("file", "key", "column")
        found = self._object(f"{path}.look_up", value, (*needed, "delimiter"), required=needed)
        table = self._table(f"{path}.look_up", found)
        if table is None or not {"key", "column"} <= found.keys():
            return None
        key, column = (self._text(f"{path}.look_up.{name}", found[name]) for name in needed[1:])
        return LookUp(table, key, column)

    def _object(
        self,
        path: str,
        value: Any,
        known: tuple[str, ...],
        what: str = "",
        *,
        required: Iterable[str] = (),
    ) -> dict[str, Any]:
        """Return the pairs whose names are known, noting the others and those that are missing."""
        if not isinstance(value, dict):
            self._fault(path, f"Write {what or 'pairs of name and value: ' + ', '.join(known)}")
            return {}
        for name in value:
            if name not in known:
                near = difflib.get_close_matches(str(name), known, 1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
                self._fault(f"{path}.{name}".lstrip("."), f"This is not known here; {hint}")
        for name in required:
            if name not in value:
                self._fault(f"{path}.{name}".lstrip("."), "This is missing")
        return {name: one for name, one in value.items() if name in known}

    def _text(self, path: str, value: object, *, empty: bool = False) -> str:
        # YAML takes NO for false and 01 for 1: what is meant as text has to say so.
        if not isinstance(value, str):
            self._fault(path, f"Write {value!r} in quotes, so that YAML takes it as text")
            return ""
        if not value and not empty:
            self._fault(path, "This is empty")
        return value

    def _fault(self, path: str, message: str) -> None:
        self.faults.add(self.file, None, path, message)


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # not found is a KeyError, a folder an OSError
        return False
    return True
