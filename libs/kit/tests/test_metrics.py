"""What is counted, under names and labels that others go by, and that nobody outside can make up."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from fastapi import APIRouter
from prometheus_client.parser import text_string_to_metric_families
from starlette.responses import StreamingResponse
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from bailiwick_kit.errors import PolicyUnavailable
from bailiwick_kit.policy.client import Policy
from bailiwick_kit.process.health import Health
from bailiwick_kit.process.operations import operations
from bailiwick_kit.telemetry import metrics
from bailiwick_kit.telemetry.metrics import DECLARED, REGISTRY, Reading
from bailiwick_kit.web.app import create_app
from bailiwick_launcher.data_folder import claimed_port
from bailiwick_testkit.checks.metric_values import figure, rise_of
from bailiwick_testkit.fakes.opa import UCAST, FakeOpa, fake_opa, said
from bailiwick_testkit.services.toy import Things
from bailiwick_testkit.waiting import until

NAMES = """
counter   bailiwick_events_total{queue,outcome}
counter   bailiwick_mail_total{outcome}
counter   bailiwick_notices_in_vain_total{}
counter   bailiwick_policy_decisions_total{package,outcome}
gauge     bailiwick_build_info{service,process,version}
gauge     bailiwick_consumer_in_hand_seconds{queue}
gauge     bailiwick_database_connections_awaited{pool}
gauge     bailiwick_database_connections_in_use{pool}
gauge     bailiwick_database_connections_most{pool}
gauge     bailiwick_dead_letters{queue}
gauge     bailiwick_fan_outs_oldest_seconds{}
gauge     bailiwick_fan_outs_waiting{}
gauge     bailiwick_mails_waiting{}
gauge     bailiwick_notices_waiting{}
gauge     bailiwick_outbox_oldest_seconds{lane}
gauge     bailiwick_outbox_parked{}
gauge     bailiwick_outbox_undeliverable{}
gauge     bailiwick_outbox_unsent{lane}
gauge     bailiwick_policy_revision_info{revision}
gauge     bailiwick_queue_consumers{queue}
gauge     bailiwick_queue_messages{queue}
gauge     bailiwick_relay_active{lane}
gauge     bailiwick_replica_age_seconds{source}
gauge     bailiwick_requests_in_flight{}
histogram bailiwick_consumer_lag_seconds{queue}
histogram bailiwick_mail_seconds{}
histogram bailiwick_policy_seconds{kind}
histogram bailiwick_relay_seconds{lane}
histogram bailiwick_requests_seconds{method,route,status}
"""
"""Alarms, dashboards and the documentation go by these: one that is renamed breaks them."""

LABELS = {
    *("method", "route", "status"),
    *("queue", "lane", "source", "package", "outcome", "kind", "pool"),
    *("service", "process", "version", "revision"),
}
"""What a label may tell: each has few values, all of them named by code or by whoever runs the service."""

router = APIRouter(prefix="/v1/things")
EMPTY = {"result": {"query": {}, "masks": {"revision": "r1"}}}
YES = {"capable": True, "visible": True, "allow": True, "reasons": [], "masks": {}}


@router.get("/{thing_id}")
async def read(thing_id: str) -> dict[str, Any]:
    return {"in_flight": figure("bailiwick_requests_in_flight")}


@router.get("/{thing_id}/long")
async def long(thing_id: str) -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(4):
            await asyncio.sleep(0.05)
            yield b"part"

    return StreamingResponse(parts())


@router.get("/{thing_id}/broken")
async def broken(thing_id: str) -> None:
    raise ZeroDivisionError


@pytest.fixture
def client() -> TestClient:
    return TestClient(create_app(title="t", version="1", routers=[router]))


def seconds(method: str, route: str, status: int, what: str = "count") -> Any:
    labels = {"method": method, "route": route, "status": str(status)}
    return rise_of(f"bailiwick_requests_seconds_{what}", **labels)


def test_names_and_labels_are_those_that_others_go_by() -> None:
    said = [
        f"{one.kind:<9} {one.name}{{{','.join(one.labels)}}}"
        for one in sorted(DECLARED.values(), key=lambda one: (one.kind, one.name))
    ]
    assert said == NAMES.split("\n")[1:-1]


def test_every_metric_is_declared_once_with_its_help_and_labels_that_tell_of_nobody() -> None:
    ours = {one.name: one for one in REGISTRY.collect() if one.name.startswith("bailiwick_")}
    assert {name.removesuffix("_total") for name in DECLARED} == set(ours)
    for name, one in DECLARED.items():
        shown = ours[name.removesuffix("_total")]
        assert (shown.type, shown.documentation) == (one.kind, one.help)
        assert len(one.help) > 20
        assert set(one.labels) <= LABELS, name


def test_requests_are_counted_by_route_and_never_by_what_was_sent(client: TestClient) -> None:
    route = "/v1/things/{thing_id}"
    fine, missing = seconds("GET", route, 200), seconds("GET", "unmatched", 404)
    odd = seconds("other", "unmatched", 405), seconds("other", route, 405)
    failed = seconds("GET", f"{route}/broken", 500)
    with capture_logs():
        client.get("/v1/things/ana@people.example")
        client.get("/v1/ana@people.example")
        client.request("ANA", "/v1/things/1")
        client.get("/v1/things/1/broken")
    assert (fine(), missing(), failed(), odd[0]() + odd[1]()) == (1, 1, 1, 1)
    shown = metrics.exposition()
    assert b"people.example" not in shown
    assert b"ANA" not in shown


def test_a_long_answer_counts_to_its_end(client: TestClient) -> None:
    took = seconds("GET", "/v1/things/{thing_id}/long", 200, "sum")
    with capture_logs():
        client.get("/v1/things/1/long")
    assert took() > 0.15


def test_a_request_is_in_flight_until_it_is_answered(client: TestClient) -> None:
    before = figure("bailiwick_requests_in_flight") or 0
    with capture_logs():
        assert client.get("/v1/things/1").json() == {"in_flight": before + 1}
        client.get("/v1/things/1/broken")
    assert figure("bailiwick_requests_in_flight") == before


def test_a_reading_that_nobody_has_taken_is_absent() -> None:
    reading = Reading("waiting", "How many wait.", ("queue",))

    def shown() -> dict[str, float]:
        return {
            one.labels["queue"]: one.value for family in reading.collect() for one in family.samples
        }

    assert shown() == {}
    reading.set(0, "a")
    reading.since(time.monotonic() - 60, "b")
    assert shown().keys() == {"a", "b"}
    assert shown()["a"] == 0
    assert 60 <= shown()["b"] < 70
    reading.forget("a")
    assert shown().keys() == {"b"}
    reading.only(1, "c")
    assert shown() == {"c": 1}
    reading.clear()
    assert shown() == {}


async def test_the_operations_port_shows_them_with_those_of_the_process() -> None:
    port = claimed_port()
    async with (
        operations("127.0.0.1", port, Health({})),
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
        session.get("/metrics") as answer,
    ):
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        text = await answer.text()
    names = {one.name for one in text_string_to_metric_families(text)}
    assert {"process_resident_memory_bytes", "process_open_fds", "python_info"} <= names
    assert {name.removesuffix("_total") for name in DECLARED} <= names
    assert not any(name.endswith("_created") for name in names)


@pytest.fixture
async def fake() -> AsyncIterator[FakeOpa]:
    async with fake_opa() as opa:
        yield opa


async def test_questions_to_policy_are_timed_and_those_without_an_answer_counted(
    fake: FakeOpa,
) -> None:
    timed = {
        kind: rise_of("bailiwick_policy_seconds_count", kind=kind)
        for kind in ("decision", "filter", "revision")
    }
    unanswered = rise_of(
        "bailiwick_policy_decisions_total", package="bailiwick/things", outcome="unavailable"
    )
    decided, included = "/v1/data/bailiwick/things/decision", "/v1/compile/bailiwick/things/include"
    fake.answers[decided] = said({"result": YES | {"revision": "r1"}})
    fake.answers[included] = said(EMPTY, UCAST)
    async with Policy(fake.url, expected_revision="r1") as policy:
        await policy.decide("bailiwick/things", {})
        await policy.filter("bailiwick/things", "input.thing", {})
        assert (timed["decision"](), timed["filter"](), unanswered()) == (1, 1, 0)
        fake.answers.clear()
        with capture_logs():
            for asking in (
                policy.decide("bailiwick/things", {}),
                policy.filter("bailiwick/things", "input.thing", {}),
                policy.revision(),
            ):
                with pytest.raises(PolicyUnavailable):
                    await asking
        assert (timed["decision"](), timed["filter"](), timed["revision"]()) == (2, 2, 1)
        assert unanswered() == 2


async def test_the_bundles_revision_is_told_while_it_is_the_expected_one(fake: FakeOpa) -> None:
    def told() -> tuple[float | None, float | None]:
        name = "bailiwick_policy_revision_info"
        return figure(name, revision="r1"), figure(name, revision="r2")

    async with Policy(fake.url) as any_will_do, Policy(fake.url, expected_revision="r1") as policy:
        fake.answers["/v1/data/bailiwick/sentinel/revision"] = said({"result": "r1"})
        await policy.revision()
        assert told() == (1, None)
        fake.answers["/v1/data/bailiwick/sentinel/revision"] = said({"result": "r2"})
        await any_will_do.revision()
        assert told() == (None, 1)
        with capture_logs(), pytest.raises(PolicyUnavailable):
            await policy.revision()
        assert told() == (None, None)
        await any_will_do.revision()
        assert told() == (None, 1)
        asking = asyncio.create_task(any_will_do.revision())
        await asyncio.sleep(0)  # it asks; whoever waits for it gives up
        asking.cancel()
        await asyncio.wait({asking})
        assert (asking.cancelled(), told()) == (True, (None, None))


async def test_a_pool_tells_what_is_lent_out_and_who_waits(silent: Things) -> None:
    def told() -> list[float | None]:
        kinds = ("most", "in_use", "awaited")
        return [figure(f"bailiwick_database_connections_{one}", pool="things-api") for one in kinds]

    async def wait() -> None:
        async with silent.api.reading(None):
            pass

    assert told() == [3, 0, 0]
    async with silent.api.reading(None), silent.api.reading(None), silent.api.reading(None):
        waiting = asyncio.create_task(wait())

        async def one_waits() -> bool:
            return told() == [3, 3, 1]

        await until(one_waits)
    await waiting
    assert told() == [3, 0, 0]
    await silent.api.close()
    assert told() == [None, None, None]
