"""One trace from a web shop's order at the gateway, over outbox and broker, to the mail that it causes.

A collector of the test's own takes what a whole stack sends. Each span is named with the one that it hangs
on, so that a link that is lost anywhere is told by its name; and nothing of who took part may be in any.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bailiwick_testkit.checks.spans import Collector, Spanned, collecting
from bailiwick_testkit.security.canaries import Canary, search
from bailiwick_testkit.servers.real import Servers
from bailiwick_testkit.servers.stack import running
from bailiwick_testkit.services.company import Company, Someone, a_company, done
from bailiwick_testkit.services.orders import a_line, an_order
from bailiwick_testkit.waiting import wait_until

pytestmark = pytest.mark.faults

PLACED = "orders.order.placed.v1"
THEIRS = "4bf92f3577b34da6a3ce929d0e0e4736"
THEIR_SPAN = "00f067aa0ba902b7"
CUSTOMER, NOTE, LINE = "Zaragozana Ultramarinos", "ring twice at Calle Falsa", "Ginjinha de Obidos"
QUICK = {"OTEL_BSP_SCHEDULE_DELAY": "100"}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def company(servers: Servers, collector: Collector) -> Iterator[Company]:
    """A company on a stack of our own that is told where to send its spans."""
    settings = {**QUICK, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
    mine = running(servers.places.data / "traced", own=True, settings=settings)
    try:
        with a_company(mine) as company:
            yield company
    finally:
        mine.stack.down()


@pytest.fixture(scope="module")
def ana(company: Company) -> Someone:
    return company.hire("Anastasia Quintanilla", permissions=["seller"])


@pytest.fixture(scope="module")
def order(company: Company, ana: Someone) -> dict[str, Any]:
    """An order that a web shop places for a customer of Ana's, within a trace of the shop's own."""
    customer_id = company.customer(CUSTOMER, by=ana)
    buyer = company.storefront()
    body = an_order(
        customer_id, source="portal", place=True, note=NOTE, lines=[a_line(name=LINE, sku="GIN-1")]
    )
    answer = buyer.post("/v1/orders", body, traceparent=f"00-{THEIRS}-{THEIR_SPAN}-00")
    assert answer.headers["Trace-Id"] == THEIRS
    company.running.mailbox.await_to(ana.email)
    return done(answer)


@pytest.fixture(scope="module")
def spans(order: dict[str, Any], collector: Collector) -> list[Spanned]:
    """All spans of the trace, once the last of them has come."""

    def names() -> set[str]:
        return {span.name for span in collector.all(trace_id=THEIRS)}

    last = {"POST /v1/orders", "send mail", f"publish {PLACED}", "process reports.orders"}
    wait_until(lambda: last <= names(), f"{last} have come")
    return collector.all(trace_id=THEIRS)


def one(spans: list[Spanned], service: str, name: str) -> Spanned:
    found = [span for span in spans if (span.service, span.name) == (service, name)]
    assert len(found) == 1, f"{len(found)} of {name}: {[(s.service, s.name) for s in spans]}"
    return found[0]


def below(spans: list[Spanned], parent: Spanned) -> list[str]:
    return [span.name for span in spans if span.parent_id == parent.span_id]


def test_the_trace_of_an_order_leads_from_the_request_to_the_mail(spans: list[Spanned]) -> None:
    requested = one(spans, "orders", "POST /v1/orders")
    published = one(spans, "orders", f"publish {PLACED}")
    processed = one(spans, "notifier", "process notifier.orders")
    counted = one(spans, "reports", "process reports.orders")
    fixed = one(spans, "notifier", "fix recipients")
    sent = one(spans, "notifier", "send mail")
    handed_over = one(spans, "notifier", "hand over mail")

    assert requested.parent_id == THEIR_SPAN, "the web shop's own span"
    assert published.parent_id == requested.span_id, "kept in the outbox"
    assert processed.parent_id == published.span_id, "told by the message"
    assert counted.parent_id == published.span_id, "told by the message"
    assert fixed.parent_id == processed.span_id, "kept with the notice"
    assert sent.parent_id == processed.span_id, "kept with the notice"
    assert handed_over.parent_id == sent.span_id
    kinds = [one.kind for one in (requested, published, processed, sent, handed_over)]
    assert kinds == ["server", "producer", "consumer", "internal", "client"]
    assert [one.attributes["bailiwick.outcome"] for one in (processed, sent, handed_over)] == [
        "applied",
        "sent",
        "sent",
    ]
    assert requested.attributes["http.response.status_code"] == 201
    assert not [span.name for span in spans if span.has_failed]


def test_statements_and_questions_to_policy_hang_on_what_asked_for_them(
    spans: list[Spanned],
) -> None:
    requested = below(spans, one(spans, "orders", "POST /v1/orders"))
    assert {"SELECT", "WITH", "COMMIT", "policy decision"} <= {*requested}, requested
    assert {"INSERT", "COMMIT"} <= {
        *below(spans, one(spans, "notifier", "process notifier.orders"))
    }
    assert {"policy decision", "UPDATE"} <= {*below(spans, one(spans, "notifier", "send mail"))}
    ids = {span.span_id for span in spans} | {THEIR_SPAN}
    assert [span.name for span in spans if span.parent_id not in ids] == []


def test_no_span_is_of_anything_but_a_request(spans: list[Spanned], collector: Collector) -> None:
    everything = collector.all()
    begun = {span.trace_id for span in everything if span.kind == "server"}
    assert len(spans) < len(everything), "there were other requests"
    assert {span.name for span in everything if span.trace_id not in begun} == set()


def test_nobody_who_took_part_and_no_secret_is_in_any_span(
    company: Company, ana: Someone, spans: list[Spanned], collector: Collector, tmp_path: Path
) -> None:
    assert ana.list("/v1/customers", text=CUSTOMER)
    assert ana.get("/v1/customers", text=NOTE, sort=NOTE).status_code == 422
    assert ana.get(f"/v1/customers/{NOTE}").status_code == 404
    last = ana.get("/v1/orders", customer_id=NOTE).headers["Trace-Id"]
    wait_until(lambda: collector.all("GET", trace_id=last), "these have come too")
    for number, body in enumerate(collector.raw):
        (tmp_path / f"{number}.bin").write_bytes(body)
    people = {"Ana's name": ana.name, "Ana's address": ana.email, "the boss's": company.boss.email}
    words = {**people, "customer": CUSTOMER, "note": NOTE, "line": LINE, "article": "GIN-1"}
    tokens = {f"{who.name}'s token": who.token for who in company.people.values()}
    records = {"organization": company.org_id, "Ana's id": ana.member_id}
    canaries = [Canary(kind, value) for kind, value in {**words, **tokens, **records}.items()]
    assert search(tmp_path, canaries) == []
    assert search(tmp_path, [Canary("what is there", PLACED)]), "the search finds what is there"
    assert [span.words for span in collector.all() if span.words] == []


def test_log_lines_have_the_trace_in_every_service_that_it_passes(
    company: Company, spans: list[Spanned]
) -> None:
    def told(service: str) -> set[str]:
        lines = company.running.stack.service(service).log_file.read_text().splitlines()
        facts = [json.loads(line) for line in lines if line.startswith("{")]
        return {fact["event"] for fact in facts if fact.get("trace_id") == THEIRS}

    assert told("orders") == {"request"}
    assert told("notifier") == {"notice.fixed", "mail.sent"}
