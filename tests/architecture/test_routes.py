"""Routes: each asks who calls, and what the gateway lets in is what the services serve."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from fastapi import APIRouter, FastAPI

from bailiwick_access import context
from bailiwick_gateway.routes import ROUTES, Route
from bailiwick_testkit.checkout import SERVICES, read
from bailiwick_testkit.checks import introspection
from bailiwick_testkit.checks.links import leads_somewhere, order_link

ASKS_WHO_CALLS = {context._reading, context._signed_in}
OPEN_TO_ALL = {
    "POST /v1/auth/token",  # it is how one comes to be known
    "POST /v1/auth/revoke",  # the token in it is the proof (RFC 7009)
    "GET /.well-known/jwks.json",  # public keys
}
INTERNAL = "/internal/"
ID = "01930000-0000-7000-8000-000000000001"

SERVED = [
    (service, one)
    for service in SERVICES
    for one in introspection.served(service)
    if one.method != "HEAD"
]


def _names(value: object) -> str:
    service, one = value if isinstance(value, tuple) else ("", value)
    return f"{service} {getattr(one, 'method', '')} {getattr(one, 'path', '')}"


def _is_guarded(one: introspection.Served) -> bool:
    if one.path.startswith(INTERNAL):
        return any(
            getattr(ask, "__qualname__", "").startswith("change_feed_guard.") for ask in one.asks
        )
    return f"{one.method} {one.path}" in OPEN_TO_ALL or bool(ASKS_WHO_CALLS & one.asks)


@pytest.mark.parametrize("served", SERVED, ids=_names)
def test_route_asks_who_calls(served: tuple[str, introspection.Served]) -> None:
    _, one = served
    assert _is_guarded(one), (
        f"{one.method} {one.path}: take `context: Reads` or `context: Writes` (access.context), or "
        "say here why everybody may"
    )


def test_a_route_that_asks_nobody_is_found() -> None:
    router = APIRouter()

    @router.get("/v1/secrets")
    async def secrets() -> None: ...

    @router.get("/v1/guarded")
    async def guarded(reading: context.Reads) -> None: ...

    app = FastAPI()
    app.include_router(router)
    found = {one.path: _is_guarded(one) for one in introspection._served(app) if "v1" in one.path}
    assert found == {"/v1/secrets": False, "/v1/guarded": True}


def test_what_is_open_to_all_is_served() -> None:
    served = {f"{one.method} {one.path}" for _, one in SERVED}
    assert served >= OPEN_TO_ALL, "drop it from OPEN_TO_ALL"


def _routes_to(path: str) -> list[Route]:
    concrete = re.sub(r"\{[^}]+\}", ID, path)
    return [route for route in ROUTES if re.match(route.pattern, concrete)]


@pytest.mark.parametrize("served", SERVED, ids=_names)
def test_gateway_leads_to_what_is_documented_and_to_nothing_else(
    served: tuple[str, introspection.Served],
) -> None:
    service, one = served
    leads_to = {route.service for route in _routes_to(one.path)}
    assert leads_to == ({service} if one.is_documented else set()), (
        f"{one.path}: name its prefix in bailiwick_gateway.routes if clients are to reach it"
    )


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_gateway_leads_nowhere_where_nothing_is(route: Route) -> None:
    served = {one.path for service, one in SERVED if service == route.service}
    assert any(route in _routes_to(path) for path in served), f"{route.service} serves no such path"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/ordersX",
        "/internal/v1/changes",
        "/live",
        "/ready",
        "/docs",
        "/openapi.json",
        "/metrics",
    ],
)
def test_gateway_does_not_lead_to(path: str) -> None:
    assert not _routes_to(path)


@pytest.mark.parametrize("service", SERVICES)
def test_every_documented_operation_is_a_route_and_every_route_an_operation(service: str) -> None:
    operations = {
        (method.upper(), path)
        for path, item in introspection.document(service)["paths"].items()
        for method in item
    }
    documented = {
        (one.method, one.path)
        for one in introspection.served(service)
        if one.is_documented and one.method != "HEAD"
    }
    assert operations == documented


@pytest.mark.parametrize("served", SERVED, ids=_names)
def test_paths_are_kebab_case_under_a_version(served: tuple[str, introspection.Served]) -> None:
    _, one = served
    assert _is_well_named(one), f"{one.path}: /v1/<plural in kebab-case>/{{its_id}}/<verb> (D30)"


def _is_well_named(one: introspection.Served) -> bool:
    if not one.is_documented or one.path.startswith("/.well-known/"):
        return True
    return bool(re.fullmatch(r"/v1(/[a-z][a-z0-9-]*|/\{[a-z_]+\})+", one.path))


def test_a_mail_of_compose_as_it_comes_links_to_nothing_that_the_gateway_does_not_serve() -> None:
    told = yaml.safe_load(read(Path("deploy/compose.yaml")))["services"]["notifier"]["environment"]
    [(_, default)] = re.findall(r"\$\{(\w+):-(.*)\}", told["BAILIWICK_PUBLIC_URL"])
    assert not default or leads_somewhere(order_link(default))


@pytest.mark.parametrize(
    ("address", "is_there"),
    [
        ("https://shop.example/docs/api/", True),
        ("https://shop.example/v1/orders/1?after=2", True),
        ("https://shop.example/orders/1", False),
        ("https://shop.example/", False),
        ("https://shop.example/v1/ordersX", False),
    ],
)
def test_a_link_to_nowhere_is_found(address: str, *, is_there: bool) -> None:
    assert leads_somewhere(address) is is_there
