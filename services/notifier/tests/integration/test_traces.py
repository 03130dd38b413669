"""The trace of an order goes on in its mail, however late that goes out, and says nothing of either."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import structlog
from structlog.testing import capture_logs

from bailiwick_kit.telemetry import trace
from bailiwick_launcher.data_folder import claimed_port
from bailiwick_notifier.mail.sending import Mail, Mailer, PutOff
from bailiwick_testkit.checks.spans import Spans, recorded
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.services.notifier import NotifierService

TRACE, OTHER = "4bf92f3577b34da6a3ce929d0e0e4736", "7" * 32


@pytest.fixture
def spans() -> Iterator[Spans]:
    with recorded("notifier") as spans:
        yield spans


@pytest.fixture
async def ana(room: NotifierService) -> Person:
    return await room.person("Ana", permissions=["seller"])


@pytest.fixture
async def mia(room: NotifierService) -> Person:
    return await room.person("Mia", "brand_manager")


async def came_in(room: NotifierService, ana: Person, mia: Person, trace_id: str = TRACE) -> None:
    """Have an order of Mia's for a customer of Ana's come in, as the consumer would have it."""
    customer = await room.customer(ana)
    with trace.span("process", parent=f"00-{trace_id}-00f067aa0ba902b7-01"):
        await room.take(room.order(customer, mia))


async def test_each_attempt_to_send_goes_on_from_the_order_that_came_in(
    room: NotifierService, ana: Person, mia: Person, spans: Spans
) -> None:
    await came_in(room, ana, mia)
    room.server.answers = [PutOff("the server answered 451 to ana", may_have_arrived=False)]
    await room.work()
    await room.later(minutes=1)
    assert room.mailed() == ["Ana"]
    came = spans.one("process")
    fixed, attempts = spans.one("fix recipients"), spans.all("send mail")
    assert {span.trace_id for span in spans.all()} == {TRACE}
    assert [span.parent_id for span in (fixed, *attempts)] == [came.span_id] * 3
    assert fixed.attributes == {"bailiwick.recipients": 1}
    assert [span.attributes for span in attempts] == [
        {"bailiwick.attempts": 0, "bailiwick.orders": 1, "bailiwick.outcome": "put_off"},
        {"bailiwick.attempts": 1, "bailiwick.orders": 1, "bailiwick.outcome": "sent"},
    ]
    asked = spans.all("policy decision")
    assert {span.parent_id for span in asked} >= {span.span_id for span in attempts}
    for word in ("ana@", "Ana", "N1", "Librería", "TEA-1", "451 to"):
        assert word not in spans.shown()


async def test_an_attempt_whose_mail_could_not_be_made_says_so(
    room: NotifierService, ana: Person, mia: Person, spans: Spans
) -> None:
    await came_in(room, ana, mia)
    room.server.answers = [UnicodeError()]
    with capture_logs():
        await room.work()
    assert spans.one("send mail").attributes["bailiwick.outcome"] == "not_made"


async def test_a_digest_has_a_trace_of_its_own_linked_to_every_order_in_it(
    room: NotifierService, ana: Person, mia: Person, spans: Spans
) -> None:
    wants: dict[str, Any] = {"json": {"new_orders": "daily"}, "headers": {"If-Match": "*"}}
    answer = await room.shop.api.send(ana, "PUT", "/v1/notification-preferences", **wants)
    assert answer.status_code == 200
    for trace_id in (TRACE, OTHER):
        await came_in(room, ana, mia, trace_id)
    await room.work()
    await room.later(days=1)
    assert room.server.subjects == ["en digest N1 N2"]
    causes = {span.span_id for span in spans.all("process")}
    [*kept, digest] = spans.all("send mail")
    assert {span.trace_id for span in kept} == {TRACE, OTHER}
    assert {span.attributes["bailiwick.outcome"] for span in kept} == {"kept"}
    assert {*digest.links} == causes
    assert (digest.parent_id, digest.trace_id in {TRACE, OTHER}) == ("", False)
    assert digest.attributes["bailiwick.orders"] == 2


async def test_log_lines_about_a_mail_have_the_trace_even_where_nobody_collects(
    room: NotifierService, ana: Person, mia: Person
) -> None:
    await came_in(room, ana, mia)
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        await room.work()
    assert {line["event"]: line.get("trace_id") for line in lines} == {
        "notice.fixed": TRACE,
        "mail.sent": TRACE,
    }


async def test_an_order_that_came_in_without_a_trace_is_told_of_all_the_same(
    room: NotifierService, ana: Person, mia: Person, spans: Spans
) -> None:
    customer: UUID = await room.customer(ana)
    await room.come_in(customer, mia)
    assert room.mailed() == ["Ana"]
    assert [span.name for span in spans.all("send mail")] == []
    assert [span.name for span in spans.all("fix recipients")] == []


async def test_a_mail_is_a_span_that_names_nobody(spans: Spans) -> None:
    mail = Mail(
        "<1@b.example>", "B <b@b.example>", "a@b.example", "Maria", "To Maria", "text", "<p></p>"
    )
    with pytest.raises(PutOff), trace.span("send mail", parent=f"00-{TRACE}-00f067aa0ba902b7-01"):
        await Mailer(f"smtp://127.0.0.1:{claimed_port()}").send(mail)
    span = spans.one("hand over mail")
    assert (span.kind, span.parent_id) == ("client", spans.one("send mail").span_id)
    assert span.attributes == {"error.type": "PutOff"}
    assert "Maria" not in spans.shown()
    assert "example" not in spans.shown()
