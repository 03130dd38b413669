"""The broker's management API, as far as it is needed to let others read a queue each (D15).

AMQP cannot make users. Nothing that serves requests or handles events needs this: an operator's command does.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import quote, unquote, urlsplit

import aiohttp

DEADLINE = 10.0
"""Seconds for each request."""

_CREATED, _MISSING, _FAILED, _DONE = 201, 404, 500, 2
_NOTHING = "^$"
"""The pattern of permissions that no name matches."""
_TRIES, _PAUSE = 5, 0.2
"""How often connections are tried to be closed, and the seconds between."""


class ManagementError(Exception):
    """The management API refuses, or does not answer; says what it said, and shows no credentials.

    `status` is that of the refusal; None if nothing that could be read came back.
    """

    def __init__(self, why: str, status: int | None = None) -> None:
        super().__init__(why)
        self.status = status


@dataclass
class Management:
    """One virtual host of a broker; an asynchronous context manager. Names are taken as they are.

    `url` is http(s)://user:password@host:port, of a user with the tag `administrator`; `broker_url` names
    the virtual host as AMQP addresses do.
    """

    url: str = field(repr=False)
    broker_url: str = field(repr=False)
    _session: aiohttp.ClientSession | None = field(default=None, init=False, repr=False)

    @property
    def virtual_host(self) -> str:
        """The virtual host's name."""
        return unquote(urlsplit(self.broker_url).path.removeprefix("/")) or "/"

    async def __aenter__(self) -> Self:
        """Open the pool of connections; nothing is sent yet."""
        parts = urlsplit(self.url)
        known = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Basic {base64.b64encode(known.encode()).decode()}"},
            timeout=aiohttp.ClientTimeout(total=DEADLINE),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        if self._session is not None:
            await self._session.close()

    async def declare_queue(self, queue: str, arguments: Mapping[str, object]) -> bool:
        """Declare a durable queue; say whether it is new."""
        body = {"durable": True, "arguments": dict(arguments)}
        status, _ = await self._ask("PUT", self._path("queues", queue), body)
        return status == _CREATED

    async def queues(self, prefix: str) -> list[dict[str, Any]]:
        """Return what is known of each queue whose name begins so: name, messages, consumers.

        Both counts are some seconds late, and absent of a queue that is younger.
        """
        _, listed = await self._ask(
            "GET", f"{self._path('queues')}?columns=name,messages,consumers"
        )
        return [dict(queue) for queue in listed if queue["name"].startswith(prefix)]

    async def drop_queue(self, queue: str) -> bool:
        """Delete a queue with all that is in it; say whether there was one."""
        status, _ = await self._ask("DELETE", self._path("queues", queue), missing=True)
        return status != _MISSING

    async def bindings(self, exchange: str, queue: str) -> set[str]:
        """Return the keys by which a queue is bound to an exchange."""
        _, bound = await self._ask("GET", self._bindings(exchange, queue))
        return {str(one["routing_key"]) for one in bound}

    async def bind(self, exchange: str, queue: str, key: str) -> None:
        """Bind a queue; repeating it changes nothing."""
        await self._ask("POST", self._bindings(exchange, queue), {"routing_key": key})

    async def unbind(self, exchange: str, queue: str, key: str) -> None:
        """Remove a binding that has no arguments."""
        address = f"{self._bindings(exchange, queue)}/{_quoted(key)}"
        await self._ask("DELETE", address, missing=True)

    async def import_definitions(self, definitions: Mapping[str, object]) -> None:
        """Bring users and permissions to what is given, in RabbitMQ's format; what else there is stays."""
        await self._ask("POST", "/definitions", dict(definitions))

    async def has_user(self, user: str) -> bool:
        """Say whether there is such a user."""
        status, _ = await self._ask("GET", f"/users/{_quoted(user)}", missing=True)
        return status != _MISSING

    async def put_user(self, user: str, password: str) -> None:
        """Make a user without tags, which may not even ask this API; or give one another password."""
        await self._ask("PUT", f"/users/{_quoted(user)}", {"password": password, "tags": ""})

    async def allow_reading(self, user: str, pattern: str) -> None:
        """Let a user read the queues whose names match, and do nothing else in this virtual host."""
        allowed = {"configure": _NOTHING, "write": _NOTHING, "read": pattern}
        await self._ask("PUT", self._path("permissions", user), allowed)

    async def limit_user(self, user: str, limits: Mapping[str, int]) -> None:
        """Set a user's limits: `max-connections`, `max-channels`."""
        for name, value in limits.items():
            await self._ask("PUT", f"/user-limits/{_quoted(user)}/{name}", {"value": value})

    async def close_connections(self, user: str) -> None:
        """Close every open connection of a user.

        The broker answers 500 if one ends by itself meanwhile, as after its user was deleted, and leaves
        the others: so it is asked again. Nothing else that goes wrong is repeated.
        """
        for left in reversed(range(_TRIES)):
            try:
                await self._ask("DELETE", f"/connections/username/{_quoted(user)}", missing=True)
            except ManagementError as error:
                if error.status != _FAILED or not left:
                    raise
                await asyncio.sleep(_PAUSE)
            else:
                return

    async def drop_user(self, user: str) -> bool:
        """Delete a user with its permissions; say whether there was one."""
        status, _ = await self._ask("DELETE", f"/users/{_quoted(user)}", missing=True)
        return status != _MISSING

    def _path(self, kind: str, name: str = "") -> str:
        return f"/{kind}/{_quoted(self.virtual_host)}" + (f"/{_quoted(name)}" if name else "")

    def _bindings(self, exchange: str, queue: str) -> str:
        return f"{self._path('bindings')}/e/{_quoted(exchange)}/q/{_quoted(queue)}"

    async def _ask(
        self, method: str, path: str, body: object = None, *, missing: bool = False
    ) -> tuple[int, Any]:
        """Send a request; return status and JSON. 404 is an answer where `missing` says so.

        Raises:
            ManagementError: it is refused or not answered.
        """
        if self._session is None:
            msg = "use Management as an asynchronous context manager"
            raise RuntimeError(msg)
        parts = urlsplit(self.url)
        address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}/api"
        try:
            async with self._session.request(
                method, address + path, json=body, allow_redirects=False
            ) as answer:
                content = await answer.text()
                is_done = answer.status // 100 == _DONE  # aiohttp's `ok` is a redirect too
                if is_done or (missing and answer.status == _MISSING):
                    return answer.status, await answer.json() if content and is_done else None
                why = f"{method} {path}: {answer.status} {content[:300]}"
                raise ManagementError(why, answer.status)
        except (aiohttp.ClientError, OSError, ValueError) as error:  # a TimeoutError is an OSError
            raise ManagementError(f"{method} {path}: {type(error).__name__}") from None


def _quoted(name: str) -> str:
    return quote(name, safe="")
