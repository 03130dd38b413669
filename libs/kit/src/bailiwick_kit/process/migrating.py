"""`migrate`: brings database and broker to what a version needs, and waits for them where both just start."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import sqlalchemy as sa
import structlog
from aio_pika.exceptions import AuthenticationError, ProbableAuthenticationError
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from bailiwick_kit.bus.broker import LOST
from bailiwick_kit.settings import ServiceSettings
from bailiwick_kit.transient_errors import is_outage

log = structlog.get_logger(__name__)

PATIENCE = 120.0
"""Seconds that a database or a broker is waited for: a cluster's first start takes a minute."""
ATTEMPT = 30.0
"""Seconds that one try may take: declaring all queues takes a cluster one or two."""
PAUSE = 0.5
SAID_EVERY = 5.0
"""Seconds between two lines that say for whom it waits."""


class CannotMigrateError(Exception):
    """What `migrate` needs is not to be had. It says what to do; whatever was done stays."""


def migrate(
    directory: Path, settings: ServiceSettings, declare: Callable[[str], Awaitable[None]]
) -> None:
    """Run a service's migrations, then have all queues declared (D16).

    Raises:
        CannotMigrateError: database or broker did not answer, or a table was in use all the time.
    """
    from bailiwick_kit.database import migrations  # noqa: PLC0415 - Alembic, which nothing else here needs
    from bailiwick_kit.database.migration_steps import LockedOutError  # noqa: PLC0415

    owner = settings.database_owner_url.get_secret_value()
    broker = settings.broker_url.get_secret_value()
    asyncio.run(_waited_for("the database", lambda: _connect(owner)))
    try:
        migrations.upgrade(
            directory,
            owner,
            api_role=str(make_url(settings.database_api_url.get_secret_value()).username),
            worker_role=str(make_url(settings.database_worker_url.get_secret_value()).username),
        )
    except LockedOutError as error:
        raise CannotMigrateError(str(error)) from error
    asyncio.run(_waited_for("the broker", lambda: declare(broker)))


async def _connect(url: str) -> None:
    engine = create_async_engine(url, poolclass=sa.pool.NullPool)
    try:
        async with engine.connect():
            pass
    finally:
        await engine.dispose()


async def _waited_for(what: str, ask: Callable[[], Awaitable[None]]) -> None:
    """Ask until it answers.

    Raises:
        CannotMigrateError: it did not within `PATIENCE`.
        Exception: it did, and does not want us: time heals no wrong password.
    """
    began = time.monotonic()
    said = float("-inf")
    while True:
        try:
            async with asyncio.timeout(ATTEMPT):
                return await ask()
        except Exception as error:
            waited = time.monotonic() - began
            if not _may_come(error):
                raise
            if waited > PATIENCE:
                msg = (
                    f"{what[0].upper()}{what[1:]} did not answer for {PATIENCE:.0f} s"
                    f" ({type(error).__name__}). Is it up, and is its address right?"
                    " Then run migrate again: it goes on where it has stopped."
                )
                raise CannotMigrateError(msg) from error
            if time.monotonic() - said > SAID_EVERY:
                said = time.monotonic()
                log.warning(
                    "migrate.waits",
                    whom=what,
                    seconds=round(waited),
                    at_most=PATIENCE,
                    error=type(error).__name__,
                )
        await asyncio.sleep(PAUSE)


def _may_come(error: Exception) -> bool:
    """Return whether it may be starting still."""
    if isinstance(error, AuthenticationError | ProbableAuthenticationError):
        return False
    state = getattr(getattr(error, "orig", error), "sqlstate", None) or ""
    is_refused = state.startswith("28")
    return not is_refused and (is_outage(error) or isinstance(error, LOST))
