"""What each service declares in code: its application, routes and tables, without starting anything."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from bailiwick_kit.settings import ServiceSettings


@dataclass(frozen=True)
class Served:
    """One method of one path, as the application serves it."""

    method: str
    path: str
    is_documented: bool
    asks: frozenset[Callable[..., Any]]
    """Every dependency of the route, and of its dependencies."""


@cache
def application(service: str) -> FastAPI:
    """Return a service's application, to be looked at and never started."""
    described: FastAPI = _module(service, "main").service.described()
    return described


@cache
def document(service: str) -> dict[str, Any]:
    """Return a service's OpenAPI document."""
    return application(service).openapi()


@cache
def served(service: str) -> tuple[Served, ...]:
    """Return all that a service's application serves."""
    return tuple(_served(application(service)))


def tables(service: str) -> dict[str, sa.Table]:
    """Return a service's tables by name."""
    metadata: sa.MetaData = _module(service, "store.tables").metadata
    return dict(metadata.tables)


def settings(service: str) -> type[ServiceSettings]:
    """Return a service's settings class."""
    kind: type[ServiceSettings] = _module(service, "main").service.settings
    return kind


def _module(service: str, name: str) -> Any:
    return importlib.import_module(f"bailiwick_{service}.{name}")


def _served(app: FastAPI) -> Iterator[Served]:
    for context in iter_route_contexts(app.routes):
        if isinstance(context.original_route, APIRoute):
            asks = frozenset(_asked(context.dependant))
            for method in context.methods or ():
                yield Served(
                    method, str(context.path_format), bool(context.include_in_schema), asks
                )
        else:
            path = getattr(context.original_route, "path", repr(context.original_route))
            yield Served("ANY", str(path), is_documented=False, asks=frozenset())


def _asked(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    for part in dependant.dependencies:
        if part.call is not None:
            yield part.call
        yield from _asked(part)
