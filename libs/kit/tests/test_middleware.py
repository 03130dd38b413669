"""What surrounds every request: trace id, headers, limits, deadline, one access line."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog
from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from bailiwick_kit.telemetry.trace import note_decision
from bailiwick_kit.web.app import create_app

router = APIRouter(prefix="/v1/things")


@router.get("/{thing_id}")
async def read(thing_id: str) -> dict[str, str]:
    structlog.get_logger().info("inside")
    return {"id": thing_id}


@router.get("/{thing_id}/keys")
async def cached(thing_id: str, response: Response) -> None:
    response.headers["Cache-Control"] = "public, max-age=600"


@router.get("/{thing_id}/slow")
async def slow(thing_id: str) -> None:
    await asyncio.sleep(30)


@router.get("/{thing_id}/long")
async def long(thing_id: str) -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(4):
            await asyncio.sleep(0.05)
            yield b"part"

    return StreamingResponse(parts())


@router.get("/{thing_id}/decided")
async def decided(thing_id: str) -> None:
    await asyncio.gather(*(asyncio.to_thread(note_decision, one) for one in ("d1", "", "d2")))


@router.get("/{thing_id}/broken")
async def broken(thing_id: str) -> None:
    raise ZeroDivisionError


@router.post("")
async def create(request: Request) -> dict[str, int]:
    return {"length": len(await request.body())}


@router.put("")
async def ignore_body() -> dict[str, int]:
    return {}


@pytest.fixture
def client() -> TestClient:
    return TestClient(
        create_app(title="t", version="1", routers=[router], deadline=0.1, max_body_size=1000)
    )


def test_every_answer_carries_its_trace_id_and_the_security_headers(client: TestClient) -> None:
    for path in ("/v1/things/1", "/nowhere", "/v1/things/1/broken", "/v1/things/1/slow"):
        with capture_logs():
            headers = client.get(path).headers
        assert len(headers["trace-id"]) == 32
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]


def test_a_callers_trace_goes_on_and_a_malformed_one_does_not(client: TestClient) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    sent = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    assert client.get("/v1/things/1", headers=sent).headers["trace-id"] == trace
    for bad in ("00-" + "0" * 32 + "-00f067aa0ba902b7-01", "x", "00-4BF\r\n-1-1", "9" * 500):
        answer = client.get("/v1/things/1", headers={"traceparent": bad}).headers["trace-id"]
        assert len(answer) == 32
        assert answer.strip("0")
        assert answer not in bad


def test_an_answer_may_say_itself_that_it_can_be_cached(client: TestClient) -> None:
    assert client.get("/v1/things/1/keys").headers["cache-control"] == "public, max-age=600"


def test_a_request_past_its_deadline_is_503_but_an_answer_under_way_is_finished(
    client: TestClient,
) -> None:
    late = client.get("/v1/things/1/slow")
    assert late.status_code == 503
    assert late.json()["code"] == "unavailable"
    assert late.headers["retry-after"] == "1"
    assert client.get("/v1/things/1/long").content == b"part" * 4


def test_a_body_over_the_limit_is_413_announced_or_not_read_or_not(client: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(11):
            yield b"x" * 100

    answers = [
        client.post("/v1/things", content=b"x" * 1001),
        client.post("/v1/things", content=chunks()),
        client.put("/v1/things", content=b"x" * 1001),
        client.post("/v1/things", content=b"x", headers={"content-length": "9" * 5000}),
    ]
    for answer in answers:
        assert answer.status_code == 413
        assert answer.json()["code"] == "body-too-large"
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["cache-control"] == "no-store"
    assert client.post("/v1/things", content=b"x" * 1000).json() == {"length": 1000}


def test_the_access_line_names_the_route_and_neither_id_nor_query(client: TestClient) -> None:
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        answer = client.get("/v1/things/maria@example.com?text=secret")
    inside, line = lines
    assert inside["trace_id"] == line["trace_id"] == answer.headers["trace-id"]
    assert line["event"] == "request"
    assert line["method"] == "GET"
    assert line["route"] == "/v1/things/{thing_id}"
    assert line["status"] == 200
    assert line["ms"] >= 0
    assert "maria" not in str(line)
    assert "secret" not in str(line)


def test_the_access_line_names_the_decisions_of_its_request_alone(client: TestClient) -> None:
    with capture_logs() as lines:
        client.get("/v1/things/1/decided")
        client.get("/v1/things/1")
    decided, _, other = lines
    assert sorted(decided["decision_ids"]) == ["d1", "d2"]
    assert "decision_ids" not in other
    note_decision("outside of requests")


def test_an_unforeseen_error_is_logged_once_with_its_stack(client: TestClient) -> None:
    with capture_logs() as lines:
        client.get("/v1/things/1/broken")
    failed = [line for line in lines if line["event"] == "request.failed"]
    assert len(failed) == 1
    assert isinstance(failed[0]["exc_info"], ZeroDivisionError)


def test_docs_are_off_and_a_trailing_slash_is_no_redirect(client: TestClient) -> None:
    for path in ("/docs", "/redoc", "/openapi.json", "/v1/things/1/"):
        assert client.get(path, follow_redirects=False).status_code == 404
