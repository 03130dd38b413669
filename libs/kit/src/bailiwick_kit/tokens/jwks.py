"""The public keys that access tokens are verified with, fetched from identity and kept.

Keys older than ten minutes are still used while fresh ones are fetched; an unknown key id asks again
at most every ten seconds, so that made-up ids cannot be turned into load on identity.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, Self

import aiohttp
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from bailiwick_kit.errors import Unavailable
from bailiwick_kit.sibling_http import fetch_json, unavailable

_FRESH, _USABLE, _PAUSE = 600.0, 3600.0, 10.0
_MOST_BYTES = 64 * 1024
_log = structlog.get_logger(__name__)


class Keys(Protocol):
    """Finds public keys by their id."""

    async def key(self, key_id: str) -> ECKey | None:
        """Return the key, None if there is none of that id.

        Raises:
            Unavailable: nobody can say at the moment.
        """
        ...


class StaticKeys:
    """Keys that are known from the start: for tests, and for identity itself."""

    def __init__(self, *keys: ECKey) -> None:
        self._keys = {str(key.kid): key for key in keys}

    async def key(self, key_id: str) -> ECKey | None:
        """Return the key, None if there is none of that id."""
        return self._keys.get(key_id)


def usable_keys(document: Any) -> dict[str, ECKey]:
    """Return the ES256 verification keys of a JWKS; other keys in it are passed over.

    Raises:
        ValueError: it is not a JWKS.
    """
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        msg = "not a JWKS"
        raise ValueError(msg)  # noqa: TRY004
    return {entry["kid"]: key for entry in document["keys"] if (key := _usable(entry)) is not None}


def _usable(entry: Any) -> ECKey | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("kid"), str):
        return None
    if (entry.get("kty"), entry.get("crv")) != ("EC", "P-256"):
        return None
    if entry.get("use", "sig") != "sig" or entry.get("alg", "ES256") != "ES256":
        return None
    public = {name: entry[name] for name in ("kty", "crv", "x", "y", "kid") if name in entry}
    try:
        return ECKey.import_key(public)
    except (JoseError, ValueError, TypeError):
        return None


class KeySet:
    """The keys at an address, `<identity>/.well-known/jwks.json`."""

    def __init__(
        self,
        url: str,
        *,
        deadline: float = 2.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._deadline = deadline
        self._monotonic = monotonic
        self._keys: Mapping[str, ECKey] = {}
        self._fetched: float | None = None
        self._asked: float | None = None
        self._attempts = 0
        self._failed = False
        self._lock = asyncio.Lock()
        self._refreshing: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open; nothing is fetched before it is needed, so identity may start later."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """End a refresh that is under way and close connections."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return self._session

    async def key(self, key_id: str) -> ECKey | None:
        """Return the key, None if there is none of that id.

        Raises:
            Unavailable: identity does not answer and nothing usable is kept.
        """
        age = self._age()
        if age is None or age > _USABLE:
            await self._fetch_once()
        elif key_id not in self._keys and self._may_ask():
            await self._refresh()
        elif age > _FRESH and self._may_ask() and self._idle():
            self._refreshing = asyncio.create_task(self._refresh())
        return self._keys.get(key_id)

    def _age(self) -> float | None:
        return None if self._fetched is None else self._monotonic() - self._fetched

    def _may_ask(self) -> bool:
        return self._asked is None or self._monotonic() - self._asked >= _PAUSE

    def _idle(self) -> bool:
        return self._refreshing is None or self._refreshing.done()

    async def _fetch_once(self) -> None:
        """Fetch for all who wait at once: what the first of them is told holds for the rest."""
        before = self._attempts
        async with self._lock:
            if self._attempts == before:
                try:
                    await self._fetch()
                finally:
                    self._attempts += 1
            elif self._failed:
                raise Unavailable(retry_after=1)

    async def _refresh(self) -> None:
        """Fetch again, keeping the keys there are if identity does not answer."""
        async with self._lock:
            if self._may_ask():
                try:
                    await self._fetch()
                except Unavailable:
                    _log.warning("jwks.kept", reason="identity did not answer")

    async def _fetch(self) -> None:
        self._asked = self._monotonic()
        self._failed = True
        document = await fetch_json(
            self._open(), self._url, deadline=self._deadline, most_bytes=_MOST_BYTES
        )
        try:
            keys = usable_keys(document)
        except ValueError:
            raise unavailable("no list of keys") from None
        self._keys, self._fetched, self._failed = keys, self._asked, False
