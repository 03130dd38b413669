"""The trace id of a request: from W3C `traceparent`, or new. It ties an answer to its log lines.

It travels in the ASGI scope; `kit.envelope` also binds it to log lines, never to decisions.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, MutableMapping
from typing import Any

from structlog.contextvars import get_contextvars

_KEY = "bailiwick.trace_id"
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?", re.ASCII)


def new_trace_id() -> str:
    """Return a fresh id, 32 hex digits."""
    return secrets.token_hex(16)


def start(scope: MutableMapping[str, Any], traceparent: str | None) -> str:
    """Give the request its trace id and return it; a malformed header counts as none."""
    match = _TRACEPARENT.fullmatch(traceparent or "")
    foreign = match[1] if match else None
    trace_id = foreign if foreign and int(foreign, 16) else new_trace_id()
    scope[_KEY] = trace_id
    return trace_id


def trace_id_of(scope: Mapping[str, Any]) -> str:
    """Return the request's trace id."""
    return str(scope.get(_KEY) or new_trace_id())


def trace_parent() -> str | None:
    """Return a W3C traceparent for what the present request causes, None outside of requests."""
    trace_id = get_contextvars().get("trace_id")
    return f"00-{trace_id}-{secrets.token_hex(8)}-01" if trace_id else None
