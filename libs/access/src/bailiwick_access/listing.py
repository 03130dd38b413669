"""Answers lists page by page: what is the same in every service once it knows what may be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Protocol, TypeAlias, TypeVar
from uuid import UUID

from fastapi import Depends, Request, Response

from bailiwick_access.context import Listing, Reads, application_of
from bailiwick_kit.web.bodies import SentQuery
from bailiwick_kit.web.fields import Model
from bailiwick_kit.web.pages import Cursors, Key, Page, PageQuery

RowT = TypeVar("RowT")
RowT_co = TypeVar("RowT_co", covariant=True)
ItemT = TypeVar("ItemT", bound=Model)

MOST_BYTES = 1024 * 1024
"""Bytes of records in a page. What comes after goes to the next page; a single record is never cut."""


class ReadsRows(Protocol[RowT_co]):
    """Reads up to `limit` rows of a list, after the row with this key: `queries.page` of a service."""

    async def __call__(
        self, *, limit: int, after: tuple[datetime, UUID] | None
    ) -> Sequence[RowT_co]:
        """Read them, in the order of the list."""
        ...


@dataclass(frozen=True)
class Pages:
    """Cuts pages for one caller, and says in the answer how to go on."""

    cursors: Cursors
    member_id: UUID
    response: Response

    async def of(
        self,
        sent: SentQuery[PageQuery],
        read: ReadsRows[RowT],
        *,
        key: Callable[[RowT], Key],
        item: Callable[[RowT], ItemT],
    ) -> Page[ItemT]:
        """Read the page that was asked for, with `Link` where there is a next one (D13: no totals).

        It has fewer records than it might where they are heavy.

        Raises:
            CursorInvalid: the cursor is not this caller's for this list with these filters.
            Invalid: the query has faults.
        """
        limit, after = sent.read().limit, self.cursors.after(sent, self.member_id)
        found = await read(limit=limit + 1, after=(after.listed_at, after.id) if after else None)
        items = tuple(_fitting(item(row) for row in found[:limit]))
        cut = self.cursors.slice(sent, self.member_id, found, key, most=len(items))
        if cut.link:
            self.response.headers["Link"] = cut.link
        return Page(items=items, next_cursor=cut.next_cursor)


def _fitting(items: Iterable[ItemT]) -> Iterator[ItemT]:
    """Yield as many as fit a page, and at least one."""
    room = MOST_BYTES
    for number, one in enumerate(items):
        room -= len(one.model_dump_json().encode())
        if room < 0 and number:
            return
        yield one


async def _pages(request: Request, response: Response, reading: Reads) -> Pages:
    cursors = application_of(request, Listing).cursors
    return Pages(cursors, reading.caller.member_id, response)


Paged: TypeAlias = Annotated[Pages, Depends(_pages)]
"""A route's parameter: `pages: Paged`."""
