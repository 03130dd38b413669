"""Answers writes: what was written as its writer may see it, and where replicas must get to.

What is answered is made before the commit, in the transaction that writes, from the decision that let
the caller write. So nothing that happens after the commit can turn the answer into a refusal (ADR 23).
"""

# No `from __future__ import annotations`: FastAPI could not resolve those of a function made in `answering`.

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, Protocol, Self, TypeAlias, TypeVar
from uuid import UUID

from fastapi import Depends, Request, Response

from bailiwick_access.caller import Caller
from bailiwick_access.requests import AtEntrance, Entrance, Reading, SignedIn
from bailiwick_kit.web.etags import etag
from bailiwick_kit.web.read_your_writes import Position


class Versioned(Protocol):
    """What is shown of an entity says which version it is."""

    @property
    def version(self) -> int:
        """The entity's version."""
        ...


SeenT = TypeVar("SeenT", bound=Versioned)


@dataclass(frozen=True)
class Written(Generic[SeenT]):
    """What an action wrote, as its writer sees it, and every (id, version) that a reader may wait for.

    `effective_at` is set where the act takes something from somebody a moment from now: its call
    answers when that instant has passed (D18).
    """

    entity_id: UUID
    seen: SeenT
    positions: Sequence[tuple[UUID, int]]
    effective_at: datetime | None = None

    @classmethod
    def one(cls, entity_id: UUID, seen: SeenT) -> Self:
        """Return that this version of the entity was written, and nothing else."""
        return cls(entity_id, seen, [(entity_id, seen.version)])


@dataclass(frozen=True)
class Repeated:
    """What an earlier request with the same key wrote. This one wrote nothing (D23)."""

    entity_id: UUID


Again: TypeAlias = Callable[[Reading, UUID], Awaitable[SeenT]]
"""Reads an entity as the caller may see it; or refuses."""


@dataclass(frozen=True)
class Answer(Generic[SeenT]):
    """Answers one request that writes."""

    service: str
    request: Request
    response: Response
    caller: Caller
    entrance: Entrance
    again: Again[SeenT]

    async def to(self, act: Written[SeenT] | Repeated) -> SeenT:
        """Return what was written, as `seen` does, and give the answer its ETag."""
        seen = await self.seen(act)
        self.response.headers["ETag"] = etag(seen.version)
        return seen

    async def seen(self, act: Written[SeenT] | Repeated) -> SeenT:
        """Wait until what was written holds, and tell of it. A repetition gets what a read would now (D23).

        Raises:
            Missing: the caller repeats a request, and may not view what it wrote, or not any more.
        """
        match act:
            case Written():
                told(self.response, self.entrance, self.caller, self.service, act.positions)
                await self.entrance.until(act.effective_at)
                return act.seen
            case Repeated():
                authorization = self.request.headers.get("authorization")
                async with self.entrance.reading(authorization, ()) as reading:
                    return await self.again(reading, act.entity_id)


def told(
    response: Response,
    entrance: Entrance,
    caller: Caller,
    service: str,
    written: Sequence[tuple[UUID, int]],
) -> None:
    """Say in the answer where replicas must get to for this write to show (D6)."""
    positions = (Position(service, entity, version) for entity, version in written)
    response.headers.update(entrance.positions.seal.written(caller.org_id, *positions))


def answering(service: str, reading_again: Callable[..., Awaitable[Again[SeenT]]]) -> Any:
    """Declare how a service's writes are answered.

    `reading_again` is a dependency that gives what reads an entity again:

        Answering = Annotated[Answer[Viewed], answering("orders", _reading_again)]
    """

    async def answer(
        request: Request,
        response: Response,
        caller: SignedIn,
        entrance: AtEntrance,
        again: Annotated[Again[SeenT], Depends(reading_again)],
    ) -> Answer[SeenT]:
        return Answer(service, request, response, caller, entrance, again)

    return Depends(answer)
