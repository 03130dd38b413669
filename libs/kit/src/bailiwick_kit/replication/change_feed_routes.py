"""The serving side of the change feed (D1): an authority tells siblings what changed, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Protocol
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from pydantic import SecretStr

from bailiwick_contracts.envelope import Sequenced
from bailiwick_kit.replication.change_feed_client import (
    MOST_BYTES,
    MOST_CHANGES,
    PATH,
    FeedHead,
    FeedHeads,
    change_feed_guard,
)

FIRST_PIECE = 10
"""Changes that are read before their size is known."""
MOST_AT_ONCE = 250
"""Changes that are read and rendered in one go: others are served in between."""


class ChangeSource(Protocol):
    """What an authority can be asked."""

    async def head(self, org_id: UUID) -> int:
        """Return the number of the organization's last change, 0 where there is none."""
        ...

    async def heads(self) -> list[tuple[UUID, int]]:
        """Return every organization with the number of its last change."""
        ...

    async def after(self, org_id: UUID, seq: int, limit: int) -> tuple[list[Sequenced], bool]:
        """Return up to `limit` entities whose last change is later, as they are now, in order.

        And whether that is all; where it is not, there is at least one.
        """
        ...


def change_feed_routes(source: ChangeSource, secrets: Sequence[SecretStr]) -> APIRouter:
    """Return the route; it is in no OpenAPI document, and the gateway never leads to it."""
    router = APIRouter(include_in_schema=False, dependencies=[Depends(change_feed_guard(secrets))])

    @router.get(PATH)
    async def changes(
        org: UUID | None = None,
        after: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=MOST_CHANGES)] = MOST_CHANGES,
    ) -> Response:
        """Tell an organization's changes after a number; without one, all organizations' heads."""
        if org is None:
            heads = [FeedHead(org_id=one, head=head) for one, head in await source.heads()]
            return _json(FeedHeads(heads=heads).model_dump_json().encode())
        # The head first, and nothing above it: of what changes in between, a source that reads one table
        # after another may see the later and miss the earlier, which would then be taken for told.
        head = await source.head(org)
        told, is_all = await _page(source, org, after, limit, head)
        complete = b"true" if is_all else b"false"
        return _json(
            b'{"head":%d,"complete":%b,"changes":[%b]}' % (head, complete, b",".join(told))
        )

    return router


async def _page(
    source: ChangeSource, org_id: UUID, after: int, limit: int, head: int
) -> tuple[list[bytes], bool]:
    """Return changes as JSON, and whether those are all up to the head.

    They are read in pieces that are as large as what is told already lets expect: nobody knows their size
    before, and what is read beyond the page's end is read for nothing.
    """
    told: list[bytes] = []
    size, piece = 0, FIRST_PIECE
    while True:
        found, is_all = await source.after(org_id, after, min(piece, limit - len(told)))
        for event in found:
            if event.seq > head:
                return told, True
            body = event.model_dump_json().encode()
            if told and size + len(body) > MOST_BYTES:
                return told, False
            told.append(
                b'{"seq":%d,"type":"%b","data":%b}' % (event.seq, event.type.encode(), body)
            )
            size, after = size + len(body), event.seq
        if is_all or len(told) >= limit:
            return told, is_all
        piece = max(1, min(MOST_AT_ONCE, (MOST_BYTES - size) * len(told) // max(size, 1)))


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")
