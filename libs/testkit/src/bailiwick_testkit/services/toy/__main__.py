"""Do a job of the service in a process of its own, so that a test can see it end, or die.

`python -m bailiwick_testkit.services.toy relay|consume|change`, with `THINGS` holding where everything is,
and
`… api|worker|serve|migrate`, configured as every service is. It prints what happens to it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import StreamingResponse

from bailiwick_kit.process.service import Service, Work
from bailiwick_kit.settings import ServiceSettings
from bailiwick_kit.web.app import create_app
from bailiwick_launcher.databases import DatabaseUrls
from bailiwick_testkit.services.toy import MIGRATIONS, Things, changed, open_things


def say(line: str) -> None:
    """Tell the test."""
    print(line, flush=True)  # noqa: T201 - that is what it is for


def application(_: ServiceSettings) -> FastAPI:
    """Build an application with a request that takes a while, and one that takes for ever."""
    router = APIRouter()

    @router.get("/slow")
    async def slow(request: Request) -> str:
        say("request begun")
        async with request.state.database.reading(None):
            await asyncio.sleep(1)
        say("request answered")
        return "done"

    @router.get("/endless")
    async def endless() -> StreamingResponse:
        async def drops() -> AsyncIterator[bytes]:
            while True:
                yield b"."
                await asyncio.sleep(0.1)

        return StreamingResponse(drops())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        async with things() as opened:
            say("application open")
            yield {"database": opened.api}
        say("application closed")

    return create_app(title="Things", version="1", routers=[router], lifespan=lifespan)


@asynccontextmanager
async def work(_: ServiceSettings) -> AsyncIterator[Sequence[Work]]:
    """Open what the worker needs."""
    async with things() as opened:
        say("worker open")
        try:
            yield [opened.relay().run, opened.consumer().run]
        finally:
            say("worker closed")


@asynccontextmanager
async def things() -> AsyncIterator[Things]:
    """Open the service that `THINGS` tells."""
    where = json.loads(os.environ["THINGS"])
    urls = DatabaseUrls(where["name"], where["owner"], where["api"], where["worker"])
    async with open_things(urls, where["broker"], where["admin"]) as opened:
        yield opened


async def do(job: str) -> None:
    """Do one job; relaying and consuming go on until somebody ends the process."""
    async with things() as opened:
        match job:
            case "relay":
                await opened.relay().run()
            case "consume":
                await opened.consumer().run()
            case _:
                await opened.change(changed(UUID(int=1), UUID(int=1)))


if sys.argv[1] in {"api", "worker", "serve", "migrate"}:
    Service("things", ServiceSettings, MIGRATIONS, application, work).command_line()()
else:
    asyncio.run(do(sys.argv[1]))
