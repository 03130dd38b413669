"""Asks a sibling service for JSON: one deadline, one size limit, no redirects, no retries.

Whatever does not come back as 200 with JSON is Unavailable, and nothing was changed by asking.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import aiohttp
import structlog

from bailiwick_kit.errors import Unavailable

_CHUNK = 64 * 1024
_log = structlog.get_logger(__name__)


async def fetch_json(
    session: aiohttp.ClientSession,
    url: str,
    *,
    deadline: float,
    most_bytes: int,
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Any:
    """Return what the address answers to GET.

    Raises:
        Unavailable: it does not answer in time, or not as it should.
    """
    timeout = aiohttp.ClientTimeout(total=deadline)
    try:
        async with session.get(
            url, params=params, headers=headers, timeout=timeout, allow_redirects=False
        ) as answer:
            if answer.status != 200:  # noqa: PLR2004
                raise unavailable(f"status {answer.status}")
            raw = bytearray()
            async for chunk in answer.content.iter_chunked(_CHUNK):
                raw += chunk
                if len(raw) > most_bytes:
                    raise unavailable("too large")
            return json.loads(raw)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError, RecursionError) as error:
        raise unavailable(type(error).__name__) from None


def unavailable(why: str) -> Unavailable:
    """Log why a sibling's answer is none, and return what is raised then."""
    _log.warning("sibling.unavailable", why=why)
    return Unavailable(retry_after=1)
