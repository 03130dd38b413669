"""How a process is: live means that it answers, ready that it can do its work, started that it once could.

A broker that is down does not take a service out: orders are placed into the outbox (F1), so it is no
check here. OPA is ready when its sentinel names the bundle revision, not when /health says so (T9), and
when it has answered each question that requests will ask: none of them waits for its compiler. From
the moment that the process is told to stop it is not ready, so that nobody new is sent to it (F26).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Literal, TypeAlias

import structlog

from bailiwick_kit.database.engine import Database
from bailiwick_kit.errors import PolicyUnavailable
from bailiwick_kit.policy.client import Question, policy_of
from bailiwick_kit.settings import ServiceSettings
from bailiwick_kit.timeouts import answered_within

Check: TypeAlias = Callable[[], Awaitable[object]]
"""Returns if the part is fine, raises if it is not."""

State: TypeAlias = Literal["ok", "failed"]
_log = structlog.get_logger(__name__)


class NotYetError(Exception):
    """A part of the process has not begun."""


class Health:
    """What is fine and what is not, by name; never why, which is in the logs.

    All checks run at once, each within `deadline` seconds.
    """

    def __init__(self, checks: Mapping[str, Check], *, deadline: float = 1.0) -> None:
        self._checks = dict(checks)
        self._deadline = deadline
        self._has_started = False
        self._is_stopping = False

    def also(self, name: str, check: Check) -> None:
        """Ask this too from now on."""
        self._checks[name] = check

    def stop(self) -> None:
        """Be ready no more."""
        self._is_stopping = True

    async def ready(self) -> tuple[bool, Mapping[str, State]]:
        """Say whether the process can do its work, and how each part is."""
        asked = dict(self._checks)  # another may join them meanwhile
        found = await asyncio.gather(*(self._state(*one) for one in asked.items()))
        states = dict(zip(asked, found, strict=True))
        is_fine = all(state == "ok" for state in states.values())
        self._has_started = self._has_started or is_fine
        return is_fine and not self._is_stopping, states

    async def started(self) -> bool:
        """Say whether the process was ready once."""
        if not self._has_started:
            await self.ready()
        return self._has_started

    async def _state(self, name: str, check: Check) -> State:
        try:
            async with answered_within(self._deadline):
                await check()
        except NotYetError:
            return "failed"
        except Exception as error:  # noqa: BLE001 - any failure is "not ready"
            _log.warning("not-ready", check=name, error=type(error).__name__)
            return "failed"
        return "ok"


@asynccontextmanager
async def health_of(
    settings: ServiceSettings, database_url: str, questions: Sequence[Question] = ()
) -> AsyncIterator[Health]:
    """Open what a service's checks need, apart from what its requests use, and yield its health.

    `questions` are answered before it is ready for the first time, and once more after an outage of policy.
    """
    async with (
        Database(database_url, name="health", pool=1, patience=1.0) as database,
        policy_of(settings) as policy,
    ):

        async def database_answers() -> None:
            async with database.reading(None) as connection:
                await connection.exec_driver_sql("SELECT 1")

        unanswered = set(range(len(questions)))

        async def policy_answers() -> None:
            try:
                await policy.revision()
            except PolicyUnavailable:
                unanswered.update(range(len(questions)))  # another engine may answer next
                raise
            for number in sorted(unanswered):
                await policy.answer(questions[number])
                unanswered.discard(number)  # it stays answered, however slow the rest is

        yield Health({"database": database_answers, "policy": policy_answers})
