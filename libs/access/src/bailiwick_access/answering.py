"""Answers writes: where replicas must get to, and what was written as its writer may now see it."""

# No `from __future__ import annotations`: FastAPI could not resolve those of a function made in `answering`.

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, Protocol, Self, TypeAlias, TypeVar
from uuid import UUID

from fastapi import Depends, Request, Response

from bailiwick_access.caller import Caller
from bailiwick_access.requests import AtEntrance, Entrance, Reading
from bailiwick_kit.etags import etag
from bailiwick_kit.position import Position


@dataclass(frozen=True)
class Written:
    """What an action wrote: the entity to show, and every (id, version) that a reader may wait for.

    None of those where it wrote nothing new: a repetition. `effective_at` is set where the act takes
    something from somebody a moment from now: its call answers when that instant has passed (D18).
    """

    entity_id: UUID
    positions: Sequence[tuple[UUID, int]] = ()
    effective_at: datetime | None = None

    @classmethod
    def one(cls, entity_id: UUID, version: int) -> Self:
        """Return that this version of the entity was written, and nothing else."""
        return cls(entity_id, [(entity_id, version)])


class Versioned(Protocol):
    """What is shown of an entity says which version it is."""

    @property
    def version(self) -> int:
        """The entity's version."""
        ...


ShownT = TypeVar("ShownT", bound=Versioned)
Show: TypeAlias = Callable[[Reading, Written], Awaitable[ShownT]]
"""Reads what was written, as the caller may see it; or refuses."""


@dataclass(frozen=True)
class Answer(Generic[ShownT]):
    """Answers one request that writes."""

    service: str
    request: Request
    response: Response
    entrance: Entrance
    show: Show[ShownT]

    async def to(self, act: Written) -> ShownT:
        """Return what was written, as `shown` does, with its ETag."""
        shown = await self.shown(act)
        self.response.headers["ETag"] = etag(shown.version)
        return shown

    async def shown(self, act: Written) -> ShownT:
        """Wait until what was written holds, read it under the caller's present scope, and tell of it.

        A repetition of an act is answered the same way, 404 included (D23).

        Raises:
            Missing: the caller may not view it, or not any more.
        """
        await self.entrance.until(act.effective_at)
        authorization = self.request.headers.get("authorization")
        async with self.entrance.reading(authorization, ()) as reading:
            told(self.response, self.entrance, reading.caller, self.service, act)
            return await self.show(reading, act)


def told(
    response: Response, entrance: Entrance, caller: Caller, service: str, act: Written
) -> None:
    """Say in the answer where replicas must get to for this write to show (D6)."""
    if act.positions:
        positions = (Position(service, entity, version) for entity, version in act.positions)
        response.headers.update(entrance.positions.seal.written(caller.org_id, *positions))


def answering(service: str, showing: Callable[..., Awaitable[Show[ShownT]]]) -> Any:
    """Declare how a service's writes are answered.

    `showing` is a dependency that gives what reads an entity again:

        Answering = Annotated[Answer[OrderBody], answering("orders", _showing)]
    """

    async def answer(
        request: Request,
        response: Response,
        entrance: AtEntrance,
        show: Annotated[Show[ShownT], Depends(showing)],
    ) -> Answer[ShownT]:
        return Answer(service, request, response, entrance, show)

    return Depends(answer)
