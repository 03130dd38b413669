"""The internal change feed between services (D1): an authority's numbered changes, asked for and served.

`GET /internal/v1/changes?org=&after=` → `{head, complete, changes: [{seq, type, data}]}`, and without
`org` the organizations and their heads. The gateway never routes it; a shared secret guards it.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Self
from uuid import UUID

import aiohttp
from fastapi import Header
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from bailiwick_kit.errors import Unauthenticated
from bailiwick_kit.sibling_http import fetch_json, unavailable
from bailiwick_kit.tokens.access_tokens import bearer_token

PATH = "/internal/v1/changes"
MOST_CHANGES = 1000
MOST_BYTES = 1024 * 1024
"""Bytes of JSON of a page of changes: it ends before a change that would exceed them, if it has any."""
_MOST_BYTES = 8 * 1024 * 1024
"""Bytes that are read of an answer: more than any page, for a single change may be a large handover (D18)."""


class Change(BaseModel):
    """One numbered change: the event that tells it, with its number."""

    model_config = ConfigDict(strict=True, frozen=True)

    seq: int
    type: str
    data: dict[str, Any]


class Changes(BaseModel):
    """Changes after a number. `complete`: nothing up to `head` is left out after the last one."""

    model_config = ConfigDict(frozen=True)

    head: int
    complete: bool
    changes: list[dict[str, Any]]


class FeedHead(BaseModel):
    """How far an organization's changes have come."""

    model_config = ConfigDict(frozen=True)

    org_id: UUID
    head: int


class FeedHeads(BaseModel):
    """Every organization's head."""

    model_config = ConfigDict(frozen=True)

    heads: list[FeedHead]


@dataclass
class ChangeFeedClient:
    """A sibling's change feed, seen from outside. Use as an asynchronous context manager."""

    base_url: str
    secret: SecretStr
    deadline: float = 5.0
    _session: aiohttp.ClientSession | None = field(default=None, init=False, repr=False)

    async def __aenter__(self) -> Self:
        """Open the pool of connections; nothing is sent yet."""
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def changes(self, org_id: UUID, after: int, limit: int = MOST_CHANGES) -> Changes:
        """Return the organization's changes with a number greater than `after`, in order.

        Raises:
            Unavailable: the sibling does not answer, or not as it should.
        """
        answer = await self._get(org=str(org_id), after=str(after), limit=str(limit))
        try:
            found = Changes.model_validate(answer)
            numbers = [Change.model_validate(change).seq for change in found.changes]
        except ValidationError:
            raise unavailable("no list of changes") from None
        if numbers != sorted(set(numbers)) or any(number <= after for number in numbers):
            raise unavailable("numbers out of order")
        return found

    async def heads(self) -> list[tuple[UUID, int]]:
        """Return every organization and its head.

        Raises:
            Unavailable: the sibling does not answer, or not as it should.
        """
        answer = await self._get()
        try:
            return [(one.org_id, one.head) for one in FeedHeads.model_validate(answer).heads]
        except ValidationError:
            raise unavailable("no list of heads") from None

    async def _get(self, **params: str) -> Any:
        if self._session is None:
            msg = "open the change feed first: async with ChangeFeedClient(…)"
            raise RuntimeError(msg)
        headers = {"Authorization": f"Bearer {self.secret.get_secret_value()}"}
        return await fetch_json(
            self._session,
            self.base_url.rstrip("/") + PATH,
            params=params,
            headers=headers,
            deadline=self.deadline,
            most_bytes=_MOST_BYTES,
        )


def change_feed_guard(secrets: Sequence[SecretStr]) -> Callable[..., Awaitable[None]]:
    """Return the dependency that lets siblings in; several secrets while one is being rotated.

    Raises, when called:
        Unauthenticated: the caller does not know any of the secrets.
    """
    known = [secret.get_secret_value().encode() for secret in secrets if secret.get_secret_value()]

    async def guard(authorization: Annotated[str | None, Header()] = None) -> None:
        sent = bearer_token(authorization).encode("utf-8", "surrogateescape")
        # All are compared, and each in constant time.
        if not any([hmac.compare_digest(sent, secret) for secret in known]):  # noqa: C419
            raise Unauthenticated

    return guard
