"""The running stack in figures: every metric is there, tells what happened, and tells of nobody."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from uuid import uuid4

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bailiwick_contracts.catalogue import PUBLISHED, SUBSCRIBED, queue_name
from bailiwick_contracts.envelope import bulk
from bailiwick_kit.telemetry.metrics import DECLARED
from bailiwick_launcher.services import SERVICES
from bailiwick_testkit.servers.stack import Running
from bailiwick_testkit.services.company import Company, Someone, a_company
from bailiwick_testkit.waiting import wait_until

Series = tuple[str, frozenset[tuple[str, str]]]
_OF_SOMEBODY = re.compile(r"@|[0-9a-f]{8}-[0-9a-f]{4}-")
_REVISION = "bailiwick_policy_revision_info"


def figures(stack: Running, service: str) -> Mapping[Series, float]:
    """Give what each series of a service says."""
    text = httpx2.get(f"{stack.stack.operations(service)}/metrics", timeout=10).text
    return {
        (one.name, frozenset(one.labels.items())): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def figure(stack: Running, service: str, name: str, /, **labels: str) -> float:
    """Give what one series says, -1 where there is none."""
    return figures(stack, service).get((f"bailiwick_{name}", frozenset(labels.items())), -1)


def labels_of(stack: Running, service: str, name: str) -> dict[str, float]:
    """Give the series of a metric with one label, by what that says."""
    return {
        "".join(value for _, value in labels): figure
        for (known, labels), figure in figures(stack, service).items()
        if known == f"bailiwick_{name}"
    }


@pytest.fixture(scope="module")
def company(stack: Running) -> Iterator[Company]:
    with a_company(stack) as company:
        yield company


@pytest.fixture(scope="module")
def ana(stack: Running, company: Company) -> Someone:
    """Ana, who has just been told by mail of an order that was placed."""
    ana = company.hire("Ana Arrieta", permissions=["seller"])
    customer_id = company.customer("Librería Sol")
    company.assign(customer_id, ana)
    company.order(company.boss, customer_id)
    stack.mailbox.await_to(ana.email)
    return ana


def test_the_way_of_an_order_to_its_mail_is_told(stack: Running, ana: Someone) -> None:
    def tells(service: str, name: str, **labels: str) -> None:
        def is_told() -> bool:
            return figure(stack, service, name, **labels) >= 1

        wait_until(is_told, f"{service} tells {name} {labels}")

    placed = {"method": "POST", "route": "/v1/orders", "status": "201"}
    tells("orders", "requests_seconds_count", **placed)
    tells("orders", "policy_seconds_count", kind="decision")
    allowed = {"package": "bailiwick/orders", "outcome": "allowed"}
    tells("orders", "policy_decisions_total", **allowed)
    tells("orders", "relay_active", lane="live")
    tells("orders", "relay_active", lane="bulk")
    tells("orders", "relay_seconds_count", lane="live")
    tells("notifier", "events_total", queue="notifier.orders", outcome="applied")
    tells("notifier", "consumer_lag_seconds_count", queue="notifier.orders")
    tells("notifier", "mail_total", outcome="sent")
    tells("notifier", "mail_seconds_count")


def test_each_service_tells_of_its_own_queues_sources_and_outbox(stack: Running) -> None:
    for service in SERVICES:
        sources = SUBSCRIBED.get(service, {})
        named = {queue_name(service, source) for source in sources}
        queues = named | {bulk(name) for name in named}
        replicas = {"identity", "customers"}.intersection(sources)
        has_outbox = bool(PUBLISHED[service])

        def is_told(service: str = service, queues: set[str] = queues) -> bool:
            return labels_of(stack, service, "queue_consumers") == dict.fromkeys(queues, 1)

        wait_until(is_told, f"one consumer of each of {queues}")
        assert labels_of(stack, service, "queue_messages").keys() == queues
        assert labels_of(stack, service, "dead_letters").keys() == named
        ages = labels_of(stack, service, "replica_age_seconds")
        assert ages.keys() == replicas
        assert all(age < 60 for age in ages.values()), ages
        lanes = {"live", "bulk"} if has_outbox else set()
        assert labels_of(stack, service, "outbox_unsent").keys() == lanes
        assert labels_of(stack, service, "outbox_oldest_seconds").keys() == lanes


def test_each_says_what_it_is_and_which_policy_it_goes_by(stack: Running) -> None:
    for service in SERVICES:
        stack.health(service)
        about = {"service": service, "process": "serve", "version": "unknown"}
        assert figure(stack, service, "build_info", **about) == 1
        revision = {"revision": stack.stack.service_env.revision}
        assert figure(stack, service, "policy_revision_info", **revision) == 1


def test_every_metric_is_told_by_some_service(stack: Running, ana: Someone) -> None:
    wanted = {one.name + "_count" * (one.kind == "histogram") for one in DECLARED.values()}
    wanted |= {"process_resident_memory_bytes", "process_open_fds"}

    def lacking() -> set[str]:
        return wanted.difference(name for one in SERVICES for name, _ in figures(stack, one))

    wait_until(lambda: not lacking(), f"every metric but {lacking()}")


def test_no_label_tells_of_anybody(stack: Running, company: Company, ana: Someone) -> None:
    private = (company.org_id, ana.member_id, "Arrieta", "Librería", "wines")
    for service in SERVICES:
        told = {
            value
            for (name, labels), _ in figures(stack, service).items()
            for _, value in labels
            if name != _REVISION
        }
        assert told
        assert not [one for one in told if _OF_SOMEBODY.search(one)]
        assert not [one for one in told for word in private if word in one]


def test_clients_neither_reach_them_nor_make_new_ones(stack: Running, ana: Someone) -> None:
    def ask(word: Callable[[], str]) -> None:
        assert ana.get("/metrics").status_code == 404
        for path in (f"/v1/orders/{word()}", f"/v1/orders/{uuid4()}/{word()}", f"/v1/{word()}"):
            assert ana.get(path).status_code == 404
        ana.send(word().upper(), "/v1/orders")
        ana.get("/v1/orders", source=word(), cursor=word())

    ask(lambda: uuid4().hex)
    before = figures(stack, "orders").keys()
    for _ in range(5):
        ask(lambda: uuid4().hex)
    assert figures(stack, "orders").keys() == before
