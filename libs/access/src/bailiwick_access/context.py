"""What a route is given, with types: the application it runs in, its caller, and how a write is answered.

Routes ask for `SignedIn` (a caller), for a `ReadContext` (a caller with a connection that sees one
organization) or for a `WriteContext`; all settle 401 before anything of the request is judged. Nothing else
reads `request.state`.

What a write is answered with is made before the commit, in the transaction that writes, from the decision
that let the caller write. So nothing that happens after the commit can turn the answer into a refusal
(ADR 23).
"""

# No `from __future__ import annotations`: FastAPI could not resolve those of a function made in a function.

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeAlias, TypeVar
from uuid import UUID

from fastapi import Depends, Request, Response
from fastapi.security import OAuth2PasswordBearer

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.requests import Act, Entrance, Reading
from bailiwick_access.write_responses import Repeated, Versioned, Written
from bailiwick_kit.web.bodies import SentBody
from bailiwick_kit.web.etags import etag
from bailiwick_kit.web.fields import Model
from bailiwick_kit.web.idempotency import SentKey
from bailiwick_kit.web.pages import Cursors
from bailiwick_kit.web.read_your_writes import After, Position

_scheme = OAuth2PasswordBearer(tokenUrl="/v1/auth/token", auto_error=False)


@dataclass(frozen=True, kw_only=True)
class Application:
    """What all requests of a service use; each service's own class adds its queries and what else it has."""

    service: str
    entrance: Entrance

    @property
    def state(self) -> Mapping[str, object]:
        """What the lifespan of a FastAPI application yields."""
        return {"application": self}


@dataclass(frozen=True, kw_only=True)
class Listing(Application):
    """An application that answers lists page by page."""

    cursors: Cursors


AppT = TypeVar("AppT", bound=Application)
KindT = TypeVar("KindT")
BodyT = TypeVar("BodyT", bound=Model)
SeenT = TypeVar("SeenT", bound=Versioned)


def application_of(request: Request, kind: type[KindT]) -> KindT:
    """Return the application that a request runs in.

    Raises:
        TypeError: it is of another kind, so its lifespan is put together wrongly.
    """
    application = request.state.application
    if not isinstance(application, kind):
        message = f"the lifespan yields {type(application).__name__}, a route needs {kind.__name__}"
        raise TypeError(message)
    return application


def application(kind: type[KindT]) -> Any:
    """Declare a parameter that is the route's application.

    AnOrdersApp = Annotated[OrdersApp, application(OrdersApp)]
    """

    async def found(request: Request) -> KindT:
        return application_of(request, kind)

    return Depends(found)


@dataclass(frozen=True)
class ReadContext(Reading, Generic[AppT]):
    """One request that reads: its caller, its connection, and its application."""

    app: AppT

    @property
    def gate(self) -> Gate:
        """What asks policy."""
        return self.app.entrance.gate


Again: TypeAlias = Callable[[ReadContext[AppT], UUID], Awaitable[SeenT]]
"""Reads an entity as the caller may see it; or refuses."""


@dataclass(frozen=True)
class WriteContext(Generic[AppT]):
    """One request that writes: its caller, its application, and its answer."""

    caller: Caller
    app: AppT
    request: Request
    response: Response

    @property
    def gate(self) -> Gate:
        """What asks policy."""
        return self.app.entrance.gate

    def act(self, key: SentKey, body: SentBody[BodyT]) -> Act:
        """Return the request as one that may be sent twice."""
        return Act(self.caller, self.request.method, self.request.url.path, key, body)

    async def answer(self, act: Written[SeenT] | Repeated, again: Again[AppT, SeenT]) -> SeenT:
        """Return what was written, as `seen` does, and give the answer its ETag."""
        seen = await self.seen(act, again)
        self.response.headers["ETag"] = etag(seen.version)
        return seen

    async def seen(self, act: Written[SeenT] | Repeated, again: Again[AppT, SeenT]) -> SeenT:
        """Wait until what was written holds, and tell of it. A repetition gets what a read would now (D23).

        Raises:
            Missing: the caller repeats a request, and may not view what it wrote, or not any more.
        """
        entrance = self.app.entrance
        match act:
            case Written():
                self.tell(act.positions)
                await entrance.until(act.effective_at)
                return act.seen
            case Repeated():
                authorization = self.request.headers.get("authorization")
                async with entrance.reading(authorization, ()) as reading:
                    context = ReadContext(reading.caller, reading.connection, self.app)
                    return await again(context, act.entity_id)

    def tell(self, written: Sequence[tuple[UUID, int]]) -> None:
        """Say in the answer where replicas must get to for this write to show (D6)."""
        positions = (Position(self.app.service, entity, version) for entity, version in written)
        seal = self.app.entrance.positions.seal
        self.response.headers.update(seal.written(self.caller.org_id, *positions))


async def _reading(
    request: Request, after: After, _: Annotated[str | None, Depends(_scheme)]
) -> AsyncIterator[Reading]:
    entrance = application_of(request, Application).entrance
    async with entrance.reading(request.headers.get("authorization"), after) as reading:
        yield reading


async def _signed_in(
    request: Request, after: After, _: Annotated[str | None, Depends(_scheme)]
) -> Caller:
    # The connection goes back before an action takes its own: two a request would starve the pool.
    entrance = application_of(request, Application).entrance
    async with entrance.reading(request.headers.get("authorization"), after) as reading:
        return reading.caller


Reads: TypeAlias = Annotated[Reading, Depends(_reading, scope="function")]
"""A parameter: a caller with a connection; the connection is returned before the answer goes out."""

SignedIn: TypeAlias = Annotated[Caller, Depends(_signed_in)]
"""A parameter: `caller: SignedIn`."""


def reads(kind: type[AppT]) -> Any:
    """Declare the context of routes that read.

    Reads = Annotated[ReadContext[OrdersApp], reads(OrdersApp)]
    """

    async def context(request: Request, reading: Reads) -> ReadContext[AppT]:
        return ReadContext(reading.caller, reading.connection, application_of(request, kind))

    return Depends(context)


def writes(kind: type[AppT]) -> Any:
    """Declare the context of routes that write.

    Writes = Annotated[WriteContext[OrdersApp], writes(OrdersApp)]
    """

    async def context(request: Request, response: Response, caller: SignedIn) -> WriteContext[AppT]:
        return WriteContext(caller, application_of(request, kind), request, response)

    return Depends(context)
