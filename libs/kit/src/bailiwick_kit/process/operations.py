"""The port for whoever runs a service, apart from the one for its clients: probes and metrics.

API and worker have one each. No gateway leads to it, so nobody outside can count or time anything (S10).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from bailiwick_kit.process.health import Health
from bailiwick_kit.telemetry import metrics


@asynccontextmanager
async def operations(host: str, port: int, health: Health) -> AsyncIterator[None]:
    """Answer `/live`, `/ready`, `/started` and `/metrics` until the end.

    Raises:
        OSError: the port cannot be listened on.
    """
    runner = web.AppRunner(
        _application(health), access_log=None, handle_signals=False, shutdown_timeout=1
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()


def _application(health: Health) -> web.Application:
    async def live(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def ready(_: web.Request) -> web.Response:
        is_ready, checks = await health.ready()
        return _answer(is_fine=is_ready, checks=dict(checks))

    async def started(_: web.Request) -> web.Response:
        return _answer(is_fine=await health.started())

    async def measured(_: web.Request) -> web.Response:
        shown = await asyncio.to_thread(metrics.exposition)
        return web.Response(body=shown, headers={"Content-Type": metrics.CONTENT_TYPE})

    answers = {"/live": live, "/ready": ready, "/started": started, "/metrics": measured}
    application = web.Application()
    application.add_routes([web.get(path, answer) for path, answer in answers.items()])
    return application


def _answer(*, is_fine: bool, **more: object) -> web.Response:
    body = {"status": "ok" if is_fine else "failed", **more}
    return web.json_response(body, status=200 if is_fine else 503)
