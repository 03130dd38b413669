"""Versions over HTTP (RFC 9110): what an ETag is made of, and preconditions that are judged late.

A tag is `"v<version>-<digest>"`: the entity's version, and a digest of the bytes that this caller is shown.
It is strong: the same tag is the same bytes. What the bytes depend on besides the version (a
reassignment, a mask, a setting) is in the digest, so If-None-Match compares the whole tag, and
`kit.web.conditional` alone makes and compares it. A change is of the entity, so If-Match compares the
version; `"v<version>"` alone, as it was given out before, says as much (ADR 23).

428 and 412 come after 404 and 403 (domain §4), so a route hands `Expected` to its action, which
checks it once it has the row in hand (RFC 6585).
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from fastapi import Depends, Header, Response

from bailiwick_kit.errors import PreconditionRequired, Stale

_TAG = re.compile(r'"v([1-9][0-9]{0,17})(?:-[A-Za-z0-9_-]{16})?"', re.ASCII)
_VERSION = re.compile(r'"v[1-9][0-9]{0,17}"', re.ASCII)
_LONGEST = 1024


def etag(version: int) -> str:
    """Return the tag of a version, whoever is shown it; it tells nothing but that version (D5)."""
    return f'"v{version}"'


def is_version(tag: str) -> bool:
    """Tell whether a tag is of a version alone."""
    return _VERSION.fullmatch(tag) is not None


def shown(tag: str, body: bytes) -> str:
    """Return the strong tag of what is shown of a version: its tag, and a digest of 96 bits."""
    digest = urlsafe_b64encode(hashlib.sha256(body).digest()[:12]).decode()
    return f'{tag[:-1]}-{digest}"'


def is_held(header: str, tag: str) -> bool:
    """Tell whether If-None-Match names a tag. Weak comparison, as RFC 9110 has it for reads."""
    return any(one.removeprefix("W/") == tag for one in _tags(header))


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
        if self.header.strip() == "*":
            return
        named = (_TAG.fullmatch(tag) for tag in _tags(self.header))
        if not any(tag is not None and tag[1] == str(version) for tag in named):
            raise Stale(etag=etag(version))


async def _expected(
    if_match: Annotated[
        str | None,
        Header(
            description="The ETag of the record as you read it; 428 without, 412 once it changed"
        ),
    ] = None,
) -> Expected:
    return Expected(if_match)


@dataclass(frozen=True)
class Tagged:
    """An answer that is going to have a tag."""

    response: Response

    def with_version(self, version: int) -> None:
        """Say which version the answer shows; its tag is completed when its bytes are known."""
        self.response.headers["ETag"] = etag(version)


async def _tagged(
    response: Response,
    if_none_match: Annotated[  # noqa: ARG001 - kit.web.conditional compares it; here it is documented
        str | None, Header(description="The ETag that you hold; 304 if you would get the same")
    ] = None,
) -> Tagged:
    return Tagged(response)


IfMatch: TypeAlias = Annotated[Expected, Depends(_expected)]
"""A route's parameter: `expected: IfMatch`."""

IfNoneMatch: TypeAlias = Annotated[Tagged, Depends(_tagged)]
"""A route's parameter: `tagged: IfNoneMatch`."""
