"""Builds a service's HTTP application: one middleware, one shape of errors, one OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

from fastapi import APIRouter, FastAPI
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from typing_extensions import override

from bailiwick_kit.telemetry.trace import provider, trace_id_of
from bailiwick_kit.web import openapi
from bailiwick_kit.web.conditional import Conditional
from bailiwick_kit.web.middleware import MIB, Middleware
from bailiwick_kit.web.problems import answer_to, install, problems

Lifespan: TypeAlias = (
    Callable[[FastAPI], AbstractAsyncContextManager[None]]
    | Callable[[FastAPI], AbstractAsyncContextManager[Mapping[str, Any]]]
)


class Application(FastAPI):
    """FastAPI whose OpenAPI document knows late bodies and queries."""

    @override
    def openapi(self) -> dict[str, Any]:
        """Return the document; made once."""
        if self.openapi_schema is None:
            self.openapi_schema = openapi.complete(super().openapi(), self.routes)
        return self.openapi_schema


def create_app(
    *,
    title: str,
    version: str,
    routers: Sequence[APIRouter],
    lifespan: Lifespan | None = None,
    description: str = "",
    deadline: float = 15.0,
    max_body_size: int = MIB,
) -> Application:
    """Return the application.

    `deadline` is how many seconds a request may take until its answer begins, its body included; then
    503. Routers carry their own prefixes, so that the access log shows whole route templates.
    """
    tracing = provider()
    app = Application(
        title=title,
        version=version,
        description=description,
        lifespan=lifespan,
        openapi_url=None,  # contracts/openapi has it
        redirect_slashes=False,  # a redirect would name this service's own address
        strict_content_type=True,
        responses=problems(500, 503),
        telemetry={
            "tracer_provider": tracing,
            "tracing": tracing is not None,
            "operation_spans": False,  # within FastAPI: what takes time has spans of its own
            "metrics": False,  # kit.telemetry.metrics
            "logs": False,  # they carry exceptions' messages, and with them personal data
            "auto_configure": False,
        },
    )
    install(app)
    app.add_exception_handler(405, _method_not_allowed)
    app.add_middleware(Conditional)
    app.add_middleware(Middleware, deadline=deadline, max_body_size=max_body_size)
    for router in routers:
        app.include_router(router)
    return app


async def _method_not_allowed(request: Request, _error: Exception) -> Response:
    """Answer 405 with all methods of the path (RFC 9110), not only those of its first route."""
    scope = dict(request.scope)
    allowed: set[str] = set()
    for context in iter_route_contexts(request.app.routes):
        for method in context.methods or ():
            match, _ = context.matches({**scope, "method": method})
            if match is Match.FULL:
                allowed.add(method)
    if "GET" in allowed:
        allowed.add("HEAD")  # the middleware makes one of the other
    headers = {"Allow": ", ".join(sorted(allowed))}
    return answer_to(HTTPException(405, headers=headers), trace_id_of(request.scope))
