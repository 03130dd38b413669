"""A service's HTTP application in the test's own process, on a real database and a real OPA."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from aiohttp import web
from aiohttp.test_utils import TestServer
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from bailiwick_kit.settings import ServiceSettings
from bailiwick_launcher.databases import DatabaseUrls
from bailiwick_testkit.fakes.people import DOOR_SECRET, ISSUER, Person


def settings_for(
    kind: type[ServiceSettings],
    database: DatabaseUrls,
    *,
    policy_url: str = "http://127.0.0.1:9",
    broker_url: str = "amqp://nobody@127.0.0.1:9/",
    identity_url: str = "http://127.0.0.1:9",
    customers_url: str = "http://127.0.0.1:9",
    **more: Any,
) -> Any:
    """Return a service's settings; what a test does not name leads nowhere."""
    return kind(
        database_owner_url=SecretStr(database.owner),
        database_api_url=SecretStr(database.api),
        database_worker_url=SecretStr(database.worker),
        broker_url=SecretStr(broker_url),
        policy_url=policy_url,
        listen="127.0.0.1:0",
        identity_url=identity_url,
        customers_url=customers_url,
        door_secret=SecretStr(DOOR_SECRET),
        cursor_secret=SecretStr("a-cursor-secret-for-tests"),
        issuer=ISSUER,
        **more,
    )


@dataclass(frozen=True)
class Api:
    """A client of an application: `await api.get(ana, "/v1/customers")`."""

    client: httpx2.AsyncClient

    async def send(
        self,
        who: Person | None,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> httpx2.Response:
        """Send a request as somebody, or as nobody."""
        own = who.headers if who else {}
        return await self.client.request(method, path, headers={**own, **(headers or {})}, **more)

    async def get(self, who: Person | None, path: str, **more: Any) -> httpx2.Response:
        """Send a GET."""
        return await self.send(who, "GET", path, **more)

    async def post(
        self, who: Person | None, path: str, json: Any = None, **more: Any
    ) -> httpx2.Response:
        """Send a POST with a JSON body, if any."""
        if json is not None:
            more["json"] = json
        return await self.send(who, "POST", path, **more)

    async def patch(
        self, who: Person | None, path: str, json: Any, etag: str | None
    ) -> httpx2.Response:
        """Send a PATCH against a version."""
        headers = {"If-Match": etag} if etag else {}
        return await self.send(who, "PATCH", path, json=json, headers=headers)


@asynccontextmanager
async def in_process(app: FastAPI) -> AsyncIterator[Api]:
    """Start the application without a socket, and give a client of it."""
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(state or {})}, receive, send)

        wrapped: ASGIApp = with_state
        transport = httpx2.ASGITransport(wrapped, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url=ISSUER) as client:
            yield Api(client)


@asynccontextmanager
async def served(*applications: web.Application) -> AsyncIterator[Sequence[str]]:
    """Serve small stand-in applications on loopback, and give their addresses."""
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(TestServer(app)) for app in applications]
        yield [str(server.make_url("")).rstrip("/") for server in servers]
