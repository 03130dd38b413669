"""The serving side of the door (D1): an authority tells siblings what changed, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Protocol
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import SecretStr

from bailiwick_contracts.envelope import Sequenced
from bailiwick_kit.door import MOST_CHANGES, PATH, Change, Changes, Head, Heads, door_guard


class ChangeSource(Protocol):
    """What an authority can be asked."""

    async def head(self, org_id: UUID) -> int:
        """Return the number of the organization's last change, 0 where there is none."""
        ...

    async def heads(self) -> list[tuple[UUID, int]]:
        """Return every organization with the number of its last change."""
        ...

    async def after(self, org_id: UUID, seq: int, limit: int) -> list[Sequenced]:
        """Return up to `limit` entities whose last change is later, as they are now, in order."""
        ...


def door_routes(source: ChangeSource, secrets: Sequence[SecretStr]) -> APIRouter:
    """Return the route; it is in no OpenAPI document, and the gateway never leads to it."""
    router = APIRouter(include_in_schema=False, dependencies=[Depends(door_guard(secrets))])

    @router.get(PATH)
    async def changes(
        org: UUID | None = None,
        after: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=MOST_CHANGES)] = MOST_CHANGES,
    ) -> Changes | Heads:
        """Tell an organization's changes after a number; without one, all organizations' heads."""
        if org is None:
            return Heads(heads=[Head(org_id=one, head=head) for one, head in await source.heads()])
        # The head first, and nothing above it: of what changes in between, a source that reads one table
        # after another may see the later and miss the earlier, which would then be taken for told.
        head = await source.head(org)
        found = [event for event in await source.after(org, after, limit) if event.seq <= head]
        return Changes(
            head=head,
            complete=len(found) < limit,
            changes=[
                Change(
                    seq=event.seq, type=event.type, data=event.model_dump(mode="json")
                ).model_dump()
                for event in found
            ],
        )

    return router
