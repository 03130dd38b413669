"""Versions over HTTP: a strong ETag `"v<version>"`, and preconditions that are judged late.

428 and 412 come after 404 and 403 (domain §4), so a route hands `Expected` to its action, which
checks it once it has the row in hand (RFC 9110, RFC 6585).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, TypeAlias, TypeVar, cast

from fastapi import Depends, Header, Response

from bailiwick_kit.errors import PreconditionRequired, Stale

_TAG = re.compile(r'"v([1-9][0-9]{0,17})"', re.ASCII)
_LONGEST = 1024

T = TypeVar("T")


def etag(version: int) -> str:
    """Return the strong ETag of a version; it tells nothing but the entity's own version (D5)."""
    return f'"v{version}"'


def _tags(header: str) -> list[str]:
    return [part.strip() for part in header[:_LONGEST].split(",")]


@dataclass(frozen=True)
class Expected:
    """Which version the caller means to change: the header If-Match as it came."""

    header: str | None

    def check(self, version: int) -> None:
        """Make sure that the caller means this version.

        Raises:
            PreconditionRequired: the caller named no version.
            Stale: the caller named another version, or nothing that we ever gave out.
        """
        if self.header is None or not self.header.strip():
            raise PreconditionRequired
        if self.header.strip() != "*" and etag(version) not in _tags(self.header):
            raise Stale


@dataclass(frozen=True)
class Held:
    """Which version the caller holds already: the header If-None-Match as it came."""

    header: str | None

    def is_current(self, version: int) -> bool:
        """Return whether 304 is the answer. Weak comparison, as RFC 9110 has it for reads."""
        tags = (tag.removeprefix("W/") for tag in _tags(self.header or ""))
        return any(_TAG.fullmatch(tag) is not None and tag == etag(version) for tag in tags)

    def answer(self, response: Response, body: T, version: int) -> T:
        """Return what a route returns: the body with its ETag, or 304 where the caller holds it."""
        headers = {"ETag": etag(version)}
        response.headers.update(headers)
        if self.is_current(version):
            # FastAPI shapes what a route returns as the route says; a Response goes out as it is.
            return cast("T", Response(status_code=304, headers=headers))
        return body


async def _expected(
    if_match: Annotated[
        str | None, Header(description='The ETag of the record as you read it: "v3"')
    ] = None,
) -> Expected:
    return Expected(if_match)


async def _held(
    if_none_match: Annotated[
        str | None, Header(description="The ETag that you hold; 304 if it is still current")
    ] = None,
) -> Held:
    return Held(if_none_match)


IfMatch: TypeAlias = Annotated[Expected, Depends(_expected)]
"""A route's parameter: `expected: IfMatch`."""

IfNoneMatch: TypeAlias = Annotated[Held, Depends(_held)]
"""A route's parameter: `held: IfNoneMatch`."""
