"""Keyset pages: `?limit&cursor`, `next_cursor` and a `Link` header (D13: no totals).

A cursor is signed and bound to the member, the path and the filters, so that it shows nothing of
another caller's list and cannot be made up (S19). Its key is (listed_at, id), newest first or
however the query orders it: all here is the same for every order.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from pydantic import Field

from bailiwick_kit.errors import Fault, Invalid
from bailiwick_kit.web.bodies import SentQuery
from bailiwick_kit.web.fields import Model

RowT = TypeVar("RowT")
ItemT = TypeVar("ItemT")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEY = struct.Struct(">q16s")
_SIGNATURE = 16
_PAGING = frozenset({"limit", "cursor"})


class CursorInvalid(Invalid):
    """The cursor is not one that this caller got for this list with these filters."""

    code = "cursor-invalid"
    title = "The cursor does not belong to this list"


class PageQuery(Model):
    """The base of every list's query: subclass it and add the filters."""

    limit: int = Field(default=50, ge=1, le=200, description="How many to return at most")
    cursor: str | None = Field(
        default=None, max_length=200, description="next_cursor of the page before"
    )


class Page(Model, Generic[ItemT]):
    """One page of a list. Heavy records are fewer than were asked for: go on by `next_cursor`."""

    items: tuple[ItemT, ...]
    next_cursor: str | None = Field(default=None, description="Absent on the last page")


class Count(Model):
    """How many there are, exactly, within what the caller may see (D13)."""

    count: int


@dataclass(frozen=True, order=True)
class Key:
    """Where a row stands in its list."""

    listed_at: datetime
    id: UUID


@dataclass(frozen=True)
class Slice(Generic[RowT]):
    """The rows of one page, and how to go on."""

    rows: Sequence[RowT]
    next_cursor: str | None
    link: str | None
    """The value of the header Link, if there is a next page."""


class Cursors:
    """Makes and reads cursors under one secret, which all replicas of a service share."""

    def __init__(self, secret: str) -> None:
        self._secret = hashlib.sha256(b"bailiwick cursor:" + secret.encode()).digest()

    def after(self, query: SentQuery[PageQuery], member_id: UUID) -> Key | None:
        """Return the key after which the page begins, None for the first page.

        Raises:
            CursorInvalid: it was altered, or made for another member, path or filters.
            Invalid: the query itself has faults.
        """
        text = query.read().cursor
        if text is None:
            return None
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            packed, signature = raw[: _KEY.size], raw[_KEY.size :]
            microseconds, id_bytes = _KEY.unpack(packed)
        except (binascii.Error, ValueError, struct.error):
            raise self._refusal() from None
        if not hmac.compare_digest(signature, self._sign(packed, query, member_id)):
            raise self._refusal()
        return Key(_EPOCH + timedelta(microseconds=microseconds), UUID(bytes=id_bytes))

    def slice(
        self,
        query: SentQuery[PageQuery],
        member_id: UUID,
        rows: Sequence[RowT],
        key: Callable[[RowT], Key],
        *,
        most: int,
    ) -> Slice[RowT]:
        """Cut a page of at most so many from rows that were read with one more than the limit."""
        if len(rows) <= most:
            return Slice(rows, None, None)
        cursor = self._write(key(rows[most - 1]), query, member_id)
        pairs = [(name, value) for name, value in query.pairs if name != "cursor"]
        link = f'<{query.path}?{urlencode([*pairs, ("cursor", cursor)])}>; rel="next"'
        return Slice(rows[:most], cursor, link)

    def _write(self, key: Key, query: SentQuery[PageQuery], member_id: UUID) -> str:
        microseconds = (key.listed_at - _EPOCH) // timedelta(microseconds=1)
        packed = _KEY.pack(microseconds, key.id.bytes)
        signed = packed + self._sign(packed, query, member_id)
        return base64.urlsafe_b64encode(signed).rstrip(b"=").decode()

    def _sign(self, packed: bytes, query: SentQuery[PageQuery], member_id: UUID) -> bytes:
        filters = sorted(pair for pair in query.pairs if pair[0] not in _PAGING)
        bound = f"{query.path}?{urlencode(filters)}".encode("utf-8", "surrogatepass")
        message = member_id.bytes + packed + bound
        return hmac.digest(self._secret, message, "sha256")[:_SIGNATURE]

    @staticmethod
    def _refusal() -> CursorInvalid:
        fault = Fault("cursor", "cursor-invalid", "Start again without a cursor")
        return CursorInvalid(faults=(fault,))
