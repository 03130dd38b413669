"""Where records wait until all are checked: a throw-away SQLite file, so that memory is bounded."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE records (
    position INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, line INTEGER NOT NULL,
    body TEXT NOT NULL, UNIQUE (kind, key));
CREATE TABLE order_lines (
    position INTEGER PRIMARY KEY, order_key TEXT NOT NULL, line INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE emails (email TEXT PRIMARY KEY, line INTEGER NOT NULL);
CREATE TABLE spans (
    position INTEGER PRIMARY KEY, customer TEXT NOT NULL, member TEXT NOT NULL, main INTEGER NOT NULL,
    valid_from TEXT NOT NULL, valid_to TEXT NOT NULL, line INTEGER NOT NULL);
CREATE TABLE ids (kind TEXT NOT NULL, key TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (kind, key));
"""
_INDEXES = {
    "order_lines": "CREATE INDEX order_lines_order ON order_lines (order_key)",
    "spans": "CREATE INDEX spans_customer ON spans (customer)",
}


@dataclass(frozen=True)
class Span:
    """When an assignment holds; the instants are UTC in one format, so that they compare as text."""

    customer: str
    member: str
    main: bool
    valid_from: str
    valid_to: str


@dataclass(frozen=True)
class Staged:
    """A checked record, with the line of its file that it begins on."""

    key: str
    line: int
    body: dict[str, Any]


class Staging:
    """Records of all files, each under its kind and key. Close it and remove the file at the end."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _SCHEMA
        )
        self._database.execute("BEGIN")

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def index(self, table: str) -> None:
        """Make a table that has been filled quick to search."""
        self._database.execute(_INDEXES[table])

    def add(self, kind: str, key: str, line: int, body: Mapping[str, Any]) -> int | None:
        """Keep a record; where the key is there already, return the line that has it."""
        return self._once(
            "INSERT INTO records (kind, key, line, body) VALUES (?, ?, ?, ?)",
            (kind, key, line, json.dumps(body)),
            "SELECT line FROM records WHERE kind = ? AND key = ?",
            (kind, key),
        )

    def add_email(self, email: str, line: int) -> int | None:
        """Keep a member's address; where somebody has it already, return the line."""
        return self._once(
            "INSERT INTO emails VALUES (?, ?)",
            (email, line),
            "SELECT line FROM emails WHERE email = ?",
            (email,),
        )

    def add_line(self, order_key: str, line: int, body: Mapping[str, Any]) -> None:
        """Keep a line of an order."""
        self._database.execute(
            "INSERT INTO order_lines (order_key, line, body) VALUES (?, ?, ?)",
            (order_key, line, json.dumps(body)),
        )

    def add_span(self, span: Span, line: int) -> None:
        """Keep when an assignment holds."""
        self._database.execute(
            "INSERT INTO spans (customer, member, main, valid_from, valid_to, line)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (span.customer, span.member, span.main, span.valid_from, span.valid_to, line),
        )

    def get(self, kind: str, key: str) -> Staged | None:
        """Return a record."""
        found = self._database.execute(
            "SELECT line, body FROM records WHERE kind = ? AND key = ?", (kind, key)
        ).fetchone()
        return None if found is None else Staged(key, found[0], json.loads(found[1]))

    def has(self, kind: str, key: str) -> bool:
        """Tell whether there is such a record, right or wrong."""
        sql = "SELECT 1 FROM records WHERE kind = ? AND key = ?"
        return self._database.execute(sql, (kind, key)).fetchone() is not None

    def all(self, kind: str) -> Iterator[Staged]:
        """Give all records of a kind, in the order of their file."""
        found = self._database.execute(
            "SELECT key, line, body FROM records WHERE kind = ? ORDER BY position", (kind,)
        )
        for key, line, body in found:
            yield Staged(key, line, json.loads(body))

    def line_of(self, kind: str, number: int) -> int | None:
        """Return on which line of its file the record of that number stands, from 1."""
        found = self._database.execute(
            "SELECT line FROM records WHERE kind = ? ORDER BY position LIMIT 1 OFFSET ?",
            (kind, number - 1),
        ).fetchone()
        return None if found is None else int(found[0])

    def count(self, kind: str) -> int:
        """Return how many records of a kind there are."""
        sql = "SELECT count(*) FROM records WHERE kind = ?"
        return int(self._database.execute(sql, (kind,)).fetchone()[0])

    def lines(self, order_key: str) -> list[Staged]:
        """Return an order's lines, in the order of their file."""
        found = self._database.execute(
            "SELECT line, body FROM order_lines WHERE order_key = ? ORDER BY position", (order_key,)
        )
        return [Staged(order_key, line, json.loads(body)) for line, body in found]

    def lines_without_order(self) -> Iterator[tuple[int, str]]:
        """Give the lines, with what they name, that belong to no order."""
        yield from self._database.execute(
            "SELECT line, order_key FROM order_lines WHERE order_key NOT IN"
            " (SELECT key FROM records WHERE kind = 'orders') ORDER BY position"
        )

    def clashes(self) -> Iterator[tuple[int, int, bool]]:
        """Give pairs of lines, the later one first, whose assignments cannot both hold.

        The third says that both are mains; otherwise one member has two relations to the customer.
        """
        found = self._database.execute(
            "SELECT later.line, earlier.line, earlier.main AND later.main"
            " FROM spans AS earlier JOIN spans AS later ON later.customer = earlier.customer"
            " AND later.position > earlier.position"
            " AND (earlier.main AND later.main OR earlier.member = later.member)"
            " AND earlier.valid_from < later.valid_to AND later.valid_from < earlier.valid_to"
            " ORDER BY later.position"
        )
        for later, earlier, mains in found:
            yield later, earlier, bool(mains)

    def keep_ids(self, kind: str, found: Iterable[tuple[str, str]]) -> None:
        """Remember what records have become."""
        self._database.executemany(
            "INSERT OR REPLACE INTO ids VALUES (?, ?, ?)",
            ((kind, key, entity_id) for key, entity_id in found),
        )

    def id_of(self, kind: str, key: str) -> str:
        """Return what a record has become."""
        sql = "SELECT id FROM ids WHERE kind = ? AND key = ?"
        return str(self._database.execute(sql, (kind, key)).fetchone()[0])

    def _once(
        self, insert: str, row: tuple[object, ...], find: str, key: tuple[object, ...]
    ) -> int | None:
        try:
            self._database.execute(insert, row)
        except sqlite3.IntegrityError:
            return int(self._database.execute(find, key).fetchone()[0])
        return None
