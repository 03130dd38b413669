"""`/live` and `/ready`: live means the process answers, ready that it can serve requests.

A broker that is down does not take a service out: orders are placed into the outbox (F1), so it is no
check here. OPA is ready when its sentinel names the bundle revision, not when /health says so (L9).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Literal, TypeAlias

import structlog
from fastapi import APIRouter, Response
from pydantic import Field

from bailiwick_kit.wire import Model

Check: TypeAlias = Callable[[], Awaitable[object]]
"""Returns if the part is fine, raises if it is not."""

State: TypeAlias = Literal["ok", "failed"]
_log = structlog.get_logger(__name__)


class Health(Model):
    """What is fine and what is not, by name; never why, which is in the logs."""

    status: State
    checks: Annotated[dict[str, State], Field(default_factory=dict)]


def health_routes(checks: Mapping[str, Check], *, deadline: float = 1.0) -> APIRouter:
    """Return the routes. All checks run at once, each with the deadline."""
    router = APIRouter(include_in_schema=False)

    async def passes(name: str, check: Check) -> bool:
        try:
            async with asyncio.timeout(deadline):
                await check()
        except Exception as error:  # noqa: BLE001 - any failure is "not ready"
            _log.warning("not-ready", check=name, error=type(error).__name__)
            return False
        return True

    @router.get("/live")
    async def live() -> Health:
        """Answer that the process runs."""
        return Health(status="ok", checks={})

    @router.get("/ready")
    async def ready(response: Response) -> Health:
        """Answer whether requests can be served; 503 if not."""
        outcomes = await asyncio.gather(*(passes(name, check) for name, check in checks.items()))
        states: dict[str, State] = {
            name: "ok" if passed else "failed"
            for name, passed in zip(checks, outcomes, strict=True)
        }
        if all(outcomes):
            return Health(status="ok", checks=states)
        response.status_code = 503
        return Health(status="failed", checks=states)

    return router
