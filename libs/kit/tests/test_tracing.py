"""Spans: one trace from a request over the bus, nobody named in it, and no harm done by a collector."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
import structlog
from fastapi import APIRouter
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from bailiwick_contracts.envelope import Event
from bailiwick_kit.policy.client import Policy
from bailiwick_kit.telemetry import trace
from bailiwick_kit.telemetry.export import exported
from bailiwick_kit.telemetry.tracing import LAST_WORDS, LONGEST
from bailiwick_kit.web.app import create_app
from bailiwick_launcher.data_folder import claimed_port
from bailiwick_testkit.checks.spans import Collector, Spans, collecting, recorded
from bailiwick_testkit.fakes.opa import fake_opa, said
from bailiwick_testkit.services.toy import QUEUE, ThingChanged, Things, changed, copy
from bailiwick_testkit.waiting import running, until

ORG = UUID(int=1)
THEIRS = "4bf92f3577b34da6a3ce929d0e0e4736"
THEIR_SPAN = "00f067aa0ba902b7"
UNSAMPLED = f"00-{THEIRS}-{THEIR_SPAN}-00"
SAMPLED = f"00-{THEIRS}-{THEIR_SPAN}-01"
CANARY = "maria@example.com"

router = APIRouter(prefix="/v1/things")


@router.get("/{thing_id}")
async def read(thing_id: str) -> dict[str, str | None]:
    structlog.get_logger().info("inside")
    return {"parent": trace.trace_parent()}


@router.get("/{thing_id}/broken")
async def broken(thing_id: str) -> None:
    raise ZeroDivisionError(thing_id)


def a_client() -> TestClient:
    return TestClient(create_app(title="t", version="1", routers=[router]))


@pytest.fixture
def spans() -> Iterator[Spans]:
    with recorded() as spans:
        yield spans


def test_a_request_is_a_span_with_the_trace_id_of_its_answer_and_log_lines(spans: Spans) -> None:
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        answer = a_client().get("/v1/things/1", headers={"traceparent": UNSAMPLED})
    span = spans.one("GET")
    assert span.name == "GET /v1/things/{thing_id}"
    assert span.kind == "server"
    assert span.attributes == {
        "http.request.method": "GET",
        "http.route": "/v1/things/{thing_id}",
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
        "url.scheme": "http",
    }
    assert (span.trace_id, span.parent_id) == (THEIRS, THEIR_SPAN)
    assert [line["trace_id"] for line in lines] == [THEIRS] * 2
    assert answer.headers["trace-id"] == THEIRS
    assert answer.json()["parent"] == f"00-{THEIRS}-{span.span_id}-01"


def test_a_request_without_a_trace_begins_one_and_its_problem_document_names_it(
    spans: Spans,
) -> None:
    with capture_logs():
        answers = [a_client().get(path) for path in ("/v1/things/1/broken", "/nowhere")]
    traces = [span.trace_id for span in spans.all()]
    assert [answer.json()["trace_id"] for answer in answers] == traces
    assert len({*traces}) == 2
    assert [span.parent_id for span in spans.all()] == ["", ""]


def test_nothing_that_a_caller_sends_or_an_exception_says_is_in_a_span(spans: Spans) -> None:
    sent = {
        "authorization": f"Bearer {CANARY}",
        "host": CANARY.rpartition("@")[2],
        "tracestate": f"them={CANARY.replace('@', '-')}",
        "traceparent": SAMPLED,
        "baggage": f"who={CANARY}",
        "user-agent": CANARY,
    }
    with capture_logs():
        a_client().get(f"/v1/things/{CANARY}/broken?text={CANARY}&{CANARY}", headers=sent)
        a_client().get(f"/{CANARY}?q={CANARY}", headers=sent)
    assert len(spans.all()) == 2
    assert "example.com" not in spans.shown()
    assert "maria" not in spans.shown()
    [broken, _] = spans.all()
    assert broken.attributes["error.type"] == "500"
    assert broken.has_failed


@pytest.mark.parametrize(("sampler", "count"), [("always_on", 2), ("parentbased_always_off", 0)])
def test_whether_a_caller_wants_to_be_sampled_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, sampler: str, count: int
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    with recorded() as spans:
        for sent in (SAMPLED, UNSAMPLED):
            answer = a_client().get("/v1/things/1", headers={"traceparent": sent})
            assert answer.headers["trace-id"] == THEIRS
            parent = answer.json()["parent"]
            assert parent.startswith(f"00-{THEIRS}-")
            assert parent.endswith("-01" if count else "-00")
    assert len(spans.all()) == count


def test_an_id_made_to_be_sampled_is_sampled_no_more_than_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    lowest = f"00-{'0' * 31}1-{THEIR_SPAN}-01"  # the ratio goes by how low an id is
    with recorded() as spans:
        for _ in range(60):
            a_client().get("/v1/things/1", headers={"traceparent": lowest})
    assert 0 < len(spans.all()) < 60


def test_where_nobody_collects_the_callers_ids_go_on_and_its_flag_does_not() -> None:
    answer = a_client().get("/v1/things/1", headers={"traceparent": SAMPLED})
    assert answer.json()["parent"] == UNSAMPLED
    assert a_client().get("/v1/things/1").json()["parent"][-3:] == "-00"
    assert trace.trace_parent() is None


def test_where_nobody_collects_the_sdk_is_not_even_loaded() -> None:
    code = """
import os, sys, bailiwick_kit.web.app as h, bailiwick_kit.process.service as s
from bailiwick_kit.telemetry import trace
for os.environ["OTEL_SDK_DISABLED"] in ("", "true"):
    with s.exported("x"):
        h.create_app(title="t", version="1", routers=[])
    print(trace.provider(), [m for m in sys.modules if m.startswith("opentelemetry.sdk")])
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://h"
"""
    environment = {name: value for name, value in os.environ.items() if "OTEL" not in name}
    said = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout == "None []\n" * 2


async def test_statements_are_spans_of_what_asked_for_them_without_their_values(
    silent: Things, spans: Spans
) -> None:
    await silent.change(changed(ORG))
    assert not spans.all(), "what no request asked for is no trace"
    thing = changed(ORG)
    with trace.span("asked for", parent=SAMPLED):
        await silent.change(thing)
        async with silent.worker.reading(ORG) as connection:
            await connection.execute(sa.text("SELECT :it || :it"), {"it": CANARY})
    asked = spans.one("asked for")
    of_database = [span for span in spans.all() if span != asked]
    assert sorted(span.name for span in of_database) == ["COMMIT", "INSERT", "INSERT", "SELECT"]
    assert {span.trace_id for span in of_database} == {THEIRS}
    assert {span.parent_id for span in of_database} == {asked.span_id}
    selected = spans.one("SELECT").attributes
    assert selected["db.query.text"] == "SELECT $1 || $1"
    assert selected["db.system.name"] == "postgresql"
    for value in (CANARY, thing.name, str(thing.thing_id), str(ORG)):
        assert value not in spans.shown()


async def test_a_statement_that_fails_says_by_what_and_shows_no_row(
    silent: Things, spans: Spans
) -> None:
    insert = "INSERT INTO originals VALUES (:org, :org, :name, 1)"

    async def write_twice() -> None:
        async with silent.api.writing(ORG) as connection:
            for _ in range(2):
                await connection.execute(sa.text(insert), {"org": ORG, "name": CANARY})

    with pytest.raises(DBAPIError), trace.span("asked for", parent=SAMPLED):
        await write_twice()
    [_, failed] = spans.all("INSERT")
    assert failed.attributes["error.type"] == "UniqueViolationError"
    assert spans.one("asked for").attributes["error.type"] == "IntegrityError"
    assert failed.has_failed
    assert not failed.words
    assert CANARY not in spans.shown()
    assert str(ORG) not in spans.shown()


def test_a_long_statement_is_cut(spans: Spans) -> None:
    with trace.span("long", attributes={"db.query.text": "x" * (LONGEST + 1)}, parent=SAMPLED):
        pass
    assert len(spans.one("long").attributes["db.query.text"]) == LONGEST


async def consumed(things: Things, handler: Callable[..., Any]) -> None:
    """Relay and consume all that is in the outbox."""
    async with running(things.relay().run, things.consumer(handler).run):
        await until(things.is_settled, "all has had its effect")


async def test_an_event_takes_the_trace_of_its_request_to_whom_it_reaches(
    things: Things, spans: Spans
) -> None:
    told: list[str | None] = []

    async def handle(connection: AsyncConnection, event: Event) -> None:
        told.append(trace.trace_parent())
        structlog.get_logger().info("handled")
        await copy(connection, event)

    with trace.span("asked for", parent=SAMPLED):
        [event_id] = await things.change(changed(ORG))
    await things.change(changed(UUID(int=2)))  # an operator's: of no trace
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        await consumed(things, handle)
    published = spans.one(f"publish {ThingChanged.type}")
    processed = spans.one(f"process {QUEUE}")
    assert (published.kind, processed.kind) == ("producer", "consumer")
    assert published.parent_id == spans.one("asked for").span_id
    assert processed.parent_id == published.span_id
    assert {*told} == {f"00-{THEIRS}-{processed.span_id}-01", None}
    assert {line.get("trace_id") for line in lines if line["event"] == "handled"} == {THEIRS, None}
    assert processed.attributes == {
        "messaging.system": "rabbitmq",
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.destination.name": QUEUE,
        "messaging.message.id": str(event_id),
        "bailiwick.event.type": ThingChanged.type,
        "bailiwick.outcome": "applied",
    }
    assert published.attributes["messaging.operation.type"] == "send"
    assert {span.trace_id for span in spans.all()} == {THEIRS}


async def test_each_attempt_at_an_event_is_a_span_that_says_what_became_of_it(
    things: Things, spans: Spans
) -> None:
    with trace.span("asked for", parent=SAMPLED):
        await things.change(changed(ORG))
    outage = [ConnectionResetError(CANARY)]

    async def handle(connection: AsyncConnection, event: Event) -> None:
        if outage:
            raise outage.pop()
        await copy(connection, event)

    with capture_logs():
        await consumed(things, handle)
    first, second = (span.attributes for span in spans.all("process"))
    assert (first["bailiwick.outcome"], first["error.type"]) == ("retried", "ConnectionResetError")
    assert second["bailiwick.outcome"] == "applied"
    assert "error.type" not in second
    assert CANARY not in spans.shown()


async def test_where_nobody_collects_an_event_keeps_its_trace(things: Things) -> None:
    told: list[str | None] = []

    async def handle(connection: AsyncConnection, event: Event) -> None:
        told.append(trace.trace_parent())
        structlog.get_logger().info("handled")
        await copy(connection, event)

    with trace.span("asked for", parent=SAMPLED):
        await things.change(changed(ORG))
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        await consumed(things, handle)
    assert told == [SAMPLED]
    assert [line["trace_id"] for line in lines if line["event"] == "handled"] == [THEIRS]


def test_what_many_caused_has_a_trace_of_its_own_linked_to_each(spans: Spans) -> None:
    others = f"00-{'7' * 32}-{'8' * 16}-00"
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        for causes in ([UNSAMPLED, SAMPLED, "no trace"], [UNSAMPLED, others]):
            with trace.span("digest", causes=causes):
                structlog.get_logger().info("inside")
    span = spans.one("digest")  # of the second, nobody wanted to know of any cause
    assert span.links == (THEIR_SPAN, THEIR_SPAN)
    assert not span.parent_id
    assert span.trace_id == lines[0]["trace_id"] != THEIRS


async def test_a_question_to_policy_is_a_span_with_its_answer(spans: Spans) -> None:
    denied = {"capable": False, "visible": True, "allow": False, "masks": {}}
    denied |= {"reasons": ["capability-missing"], "revision": "r"}
    async with fake_opa() as fake, Policy(fake.url) as policy:
        fake.answers["/v1/data/bailiwick/orders/decision"] = said({"result": denied})
        with trace.span("asked for", parent=SAMPLED):
            await policy.decide("bailiwick/orders", {"caller": CANARY})
        await policy.decide("bailiwick/orders", {"caller": CANARY})
        [told, untold] = [headers.get("traceparent") for _, headers, _ in fake.asked]
    span = spans.one("policy decision")
    assert span.attributes == {
        "bailiwick.policy.package": "bailiwick/orders",
        "bailiwick.policy.outcome": "denied",
    }
    assert (told, untold) == (f"00-{THEIRS}-{span.span_id}-01", None)
    assert CANARY not in spans.shown()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        yield collector


def test_spans_are_sent_before_the_process_ends_with_the_name_of_the_service(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    with exported("things"):
        answer = a_client().get("/v1/things/1")
    [span] = collector.all(trace_id=answer.headers["trace-id"])
    assert (span.service, span.name) == ("things", "GET /v1/things/{thing_id}")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "orders-blue")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=trial")
    with exported("things"):
        a_client().get("/v1/things/1")
    assert {span.service for span in collector.all()} == {"things", "orders-blue"}
    assert b"trial" in collector.raw[-1]
    assert trace.provider() is None


def test_a_collector_that_hangs_keeps_no_request_waiting_and_the_end_hardly(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "10")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5")
    collector.answering.clear()
    with exported("things"):
        client = a_client()
        assert client.get("/v1/things/1").status_code == 200
        assert collector.asked.wait(20)
        for _ in range(50):  # more than the queue holds
            assert client.get("/v1/things/1").status_code == 200
        assert not collector.raw, "the collector has not answered meanwhile"
        ended = time.monotonic()
    assert time.monotonic() - ended < LAST_WORDS + 3  # its own patience is 10 s for each of ten


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "no address"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        {"OTEL_EXPORTER_OTLP_COMPRESSION": "no such"},
        {"OTEL_BSP_MAX_QUEUE_SIZE": "-1"},
        {"OTEL_TRACES_SAMPLER": "no such"},
    ],
    ids=lambda settings: "-".join([*settings, "nobody there"][:1]),
)
def test_whatever_is_wrong_with_the_endpoint_requests_are_answered_and_the_end_comes(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{claimed_port()}")
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with exported("things"):
        answer = a_client().get("/v1/things/1")
        assert answer.status_code == 200
        ended = time.monotonic()
    assert time.monotonic() - ended < LAST_WORDS + 3
    assert trace.provider() is None
