"""Tells a part that does not answer (database, network) from a fault of ours."""

from __future__ import annotations

import aiohttp
import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

_ALWAYS: tuple[type[Exception], ...] = (
    # All of it: a socket that is gone is FileNotFoundError, a host out of reach a bare OSError, and a
    # frozen peer the builtin TimeoutError, none of them one of its library's (T9).
    OSError,
    aiohttp.ClientConnectionError,
    PoolTimeoutError,
)
OUTAGES = (*_ALWAYS, DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What may be an outage; `is_outage` looks closer at the database's own errors."""

# SQLSTATE classes: 08 connection, 28 a password that is being changed, 40 rollback (deadlock,
# serialization), 53 resources (disk full, too many connections), 57 operator intervention (shutdown,
# statement timeout), 58 system error.
_CLASSES = frozenset({"08", "28", "40", "53", "57", "58"})
_LOCK_NOT_AVAILABLE = "55P03"
_READ_ONLY = "25006"  # a primary that has become a standby


def is_outage(error: BaseException | None) -> bool:
    """Return whether trying again later can help without anybody changing anything."""
    match error:
        case DBAPIError():
            parts = (error.orig, error.__cause__)
            return error.connection_invalidated or any(is_outage(part) for part in parts)
        case asyncpg.InterfaceError():
            ours = isinstance(error, asyncpg.DataError)  # a value that PostgreSQL cannot take
            return not ours and ("closed" in str(error) or "connection" in str(error))
        case Exception() if isinstance(state := getattr(error, "sqlstate", None), str):
            return state[:2] in _CLASSES or state in {_LOCK_NOT_AVAILABLE, _READ_ONLY}
        case _:
            return isinstance(error, _ALWAYS)
