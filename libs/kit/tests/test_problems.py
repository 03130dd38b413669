"""Every error is one problem document; nothing of the inside shows in it."""

from typing import Annotated, Any
from uuid import UUID

import asyncpg
import pytest
from fastapi import APIRouter, Query
from httpx2 import Response
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from bailiwick_kit import errors
from bailiwick_kit.errors import Fault, Refusal
from bailiwick_kit.text.strings import Text
from bailiwick_kit.web.app import create_app

KINDS = [
    (errors.Malformed, 400),
    (errors.Unauthenticated, 401),
    (errors.Forbidden, 403),
    (errors.Missing, 404),
    (errors.Conflict, 409),
    (errors.Stale, 412),
    (errors.Invalid, 422),
    (errors.PreconditionRequired, 428),
    (errors.Unavailable, 503),
    (errors.PolicyUnavailable, 503),
]


def client_raising(error: BaseException) -> TestClient:
    router = APIRouter()

    @router.get("/v1/things/{thing_id}")
    async def thing(thing_id: UUID) -> None:
        raise error

    @router.post("/v1/things")
    async def create() -> None:
        raise error

    return TestClient(create_app(title="t", version="1", routers=[router]))


def answer(error: BaseException) -> Response:
    return client_raising(error).get("/v1/things/6f1b2c1e-0000-0000-0000-000000000000")


@pytest.mark.parametrize(("refusal", "status"), KINDS)
def test_a_refusal_becomes_a_problem_of_its_kind(refusal: type[Refusal], status: int) -> None:
    response = answer(refusal())
    body = response.json()
    assert response.status_code == status == body["status"]
    assert response.headers["content-type"] == "application/problem+json"
    assert body["type"] == f"urn:bailiwick:problem:{refusal.code}"
    assert body["code"] == refusal.code
    assert body["title"] == refusal.title
    assert body["detail"]
    assert body["trace_id"] == response.headers["trace-id"]


def test_the_first_reason_is_the_code_and_all_are_listed() -> None:
    body = answer(errors.Forbidden(reasons=("not-assigned", "assignment-ended"))).json()
    assert body["code"] == "not-assigned"
    assert body["type"] == "urn:bailiwick:problem:not-assigned"
    assert body["reasons"] == ["not-assigned", "assignment-ended"]


def test_faults_and_facts_are_members_but_never_overwrite_the_standard_ones() -> None:
    fault = Fault("lines[0].quantity", "too-small", "Send at least 1")
    refusal = errors.Invalid(faults=(fault,), facts={"error": "invalid_grant", "status": 200})
    body = answer(refusal).json()
    assert body["errors"] == [
        {"where": "lines[0].quantity", "code": "too-small", "message": "Send at least 1"}
    ]
    assert body["error"] == "invalid_grant"
    assert body["status"] == 422


def test_everything_missing_has_the_same_body() -> None:
    client = client_raising(errors.Missing("customer 17 of o2", facts={"hint": "secret"}))
    paths = [
        "/v1/things/6f1b2c1e-0000-0000-0000-000000000000",
        "/v1/things/not-an-id",
        "/v1/things/6f1b2c1e-0000-0000-0000-000000000000%00",
        "/v1/nothing-here",
        "/v1/things/",
    ]
    bodies = []
    for path in paths:
        response = client.get(path)
        assert response.status_code == 404
        bodies.append({**response.json(), "trace_id": ""})
    assert all(body == bodies[0] for body in bodies)
    assert "hint" not in bodies[0]


def test_unauthenticated_names_the_scheme_and_retry_after_is_a_header() -> None:
    assert answer(errors.Unauthenticated()).headers["www-authenticate"] == "Bearer"
    assert answer(errors.Unavailable(retry_after=3)).headers["retry-after"] == "3"


def test_a_wrong_method_names_every_method_of_the_path() -> None:
    router = APIRouter()

    @router.get("/v1/things")
    async def listing() -> None: ...

    @router.post("/v1/things")
    async def create() -> None: ...

    client = TestClient(create_app(title="t", version="1", routers=[router]))
    for method in ("DELETE", "TRACE", "OPTIONS"):
        response = client.request(method, "/v1/things")
        assert response.status_code == 405
        assert response.headers["allow"] == "GET, HEAD, POST"
    assert client.delete("/v1/things").json()["code"] == "method-not-allowed"


def pg(kind: type[Exception], sqlstate: str) -> Exception:
    error: Any = kind("the host 10.0.0.1 said no")
    error.sqlstate = sqlstate
    found: Exception = error
    return found


OUTAGES = [
    ConnectionRefusedError(111, "refused"),
    OSError(113, "no route to 10.0.0.1"),
    OSError("Multiple exceptions: secret"),
    TimeoutError(),
    PoolTimeoutError(),
    pg(asyncpg.CannotConnectNowError, "57P03"),
    asyncpg.InterfaceError("connection is closed"),
    OperationalError("select secret", {}, pg(asyncpg.AdminShutdownError, "57P01")),
    DBAPIError("select secret", {}, pg(asyncpg.DiskFullError, "53100")),
    DBAPIError("select secret", {}, pg(asyncpg.DeadlockDetectedError, "40P01")),
    DBAPIError("select secret", {}, Exception("gone"), connection_invalidated=True),
]


@pytest.mark.parametrize("error", OUTAGES, ids=repr)
def test_a_part_that_does_not_answer_is_503_and_never_500(error: BaseException) -> None:
    response = answer(error)
    assert response.status_code == 503
    assert response.json()["code"] == "unavailable"
    assert response.headers["retry-after"] == "1"
    assert "secret" not in response.text
    assert "10.0.0.1" not in response.text


FAULTS_OF_OURS = [
    ZeroDivisionError("secret"),
    UnicodeDecodeError("utf-8", b"secret", 0, 1, "secret"),
    IntegrityError("secret", {}, pg(asyncpg.UniqueViolationError, "23505")),
    asyncpg.DataError("secret connection"),
    RecursionError("secret"),
]


@pytest.mark.parametrize("error", FAULTS_OF_OURS, ids=repr)
def test_what_nobody_foresaw_is_500_without_a_word_about_the_inside(error: BaseException) -> None:
    with capture_logs():
        response = answer(error)
    assert response.status_code == 500
    assert response.json()["code"] == "internal"
    assert response.headers["cache-control"] == "no-store"
    for marker in ("secret", "Traceback", "File ", ".py", "sqlalchemy", "asyncpg"):
        assert marker not in response.text


def test_query_faults_say_where_and_what_to_do_and_repeat_no_value() -> None:
    router = APIRouter()

    @router.get("/v1/things")
    async def listing(text: Annotated[Text, Query()], limit: Annotated[int, Query(le=200)]) -> None:
        """List."""

    client = TestClient(create_app(title="t", version="1", routers=[router]))
    response = client.get("/v1/things", params={"text": "hunter2\x00", "limit": "hunter3"})
    assert response.status_code == 422
    assert response.json()["errors"] == [
        {
            "where": "text",
            "code": "text-not-allowed",
            "message": "Remove the character U+0000",
        },
        {"where": "limit", "code": "int-parsing", "message": "Send a whole number"},
    ]
    assert "hunter" not in response.text
