"""Whatever OPA says but exactly the right answer is *unavailable* (T9, F11 to F13)."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any as Json

import pytest
from structlog.testing import capture_logs

from bailiwick_kit.errors import PolicyUnavailable
from bailiwick_kit.policy.client import Decision, Filter, Policy
from bailiwick_kit.policy.scope import All, Any, Compare, Everybody, Nobody, Not, Where
from bailiwick_kit.telemetry import trace
from bailiwick_testkit.fakes.opa import (
    JSON,
    UCAST,
    Answering,
    FakeOpa,
    endlessly,
    fake_opa,
    half_then_never,
    hanging_up,
    never,
    raw,
    said,
)

DEADLINE = 0.25
"""Seconds: what never answers is not waited for long here."""
DOCUMENT = {"subject": {"org_id": "o"}, "action": "view"}


@pytest.fixture
async def fake() -> AsyncIterator[FakeOpa]:
    async with fake_opa() as opa:
        yield opa


@pytest.fixture
async def policy(fake: FakeOpa) -> AsyncIterator[Policy]:
    async with Policy(fake.url, expected_revision="r1", deadline=DEADLINE) as opened:
        yield opened


def decision(**but: Json) -> dict[str, Json]:
    right = {
        "capable": True,
        "visible": True,
        "allow": True,
        "reasons": [],
        "masks": {},
        "revision": "r1",
    }
    return {"result": right | but}


def compiled(query: Json, **masks: Json) -> bytes:
    return said({"result": {"query": query, "masks": {"revision": "r1"} | masks}}, UCAST)


def field(name: str, operator: str, value: Json, **more: Json) -> dict[str, Json]:
    return {"type": "field", "operator": operator, "field": name, "value": value} | more


def compound(operator: str, *parts: Json) -> dict[str, Json]:
    return {"type": "compound", "operator": operator, "value": list(parts)}


def without(name: str) -> dict[str, Json]:
    answer = decision()
    del answer["result"][name]
    return answer


WRONG_STATUSES = (
    "201 Created",
    "204 No Content",
    "302 Found",
    "400 Bad Request",
    "401 Unauthorized",
    "404 Not Found",
    "429 Too Many Requests",
    "500 Internal Server Error",
    "503 Service Unavailable",
)


def wrong_anyway(kind: str) -> dict[str, bytes | Answering]:
    """Return what is wrong whatever was asked; `kind` is the content type that would have been right."""
    return {
        "hangs up": hanging_up,
        "never answers": never,
        "stops half way": half_then_never,
        "closes half way": raw(b'{"result": {"capa', kind=kind, length=1000),
        "answers endlessly": endlessly,
        "a giant body": raw(b'{"result": "' + b"x" * 300_000 + b'"}', kind=kind),
        "not HTTP": b"+OK\r\n\r\n",
        "an empty body": raw(b"", kind=kind),
        "truncated JSON": raw(b'{"result": {"query": {}', kind=kind),
        "two JSON texts": raw(b"{} {}", kind=kind),
        "not UTF-8": raw(b'{"result": "\xff"}', kind=kind),
        "NaN": raw(b'{"result": NaN}', kind=kind),
        "a name twice": raw(b'{"result": {}, "result": {"query": {}}}', kind=kind),
        "nested too deep": raw(b"[" * 100_000 + b"]" * 100_000, kind=kind),
        "HTML": raw(b"<html><body>Welcome</body></html>", kind="text/html"),
        "JSON called HTML": raw(b"{}", kind="text/html"),
        "compressed": raw(gzip.compress(b"{}"), kind=kind, more="Content-Encoding: gzip\r\n"),
        "a list": raw(b"[]", kind=kind),
        "null": raw(b"null", kind=kind),
        "true": raw(b"true", kind=kind),
        "a string": raw(b'"true"', kind=kind),
        "result is null": raw(b'{"result": null}', kind=kind),
        "result is true": raw(b'{"result": true}', kind=kind),
        "result is 'true'": raw(b'{"result": "true"}', kind=kind),
        "result is empty": raw(b'{"result": {}}', kind=kind),
        "result is a list": raw(b'{"result": [{}]}', kind=kind),
        "a warning instead": raw(b'{"warning": {"code": "api_usage_warning"}}', kind=kind),
        "an error called 200": raw(b'{"code": "internal_error"}', kind=kind),
        **{
            status: raw(
                json.dumps(decision()).encode(), kind=kind, status=status, more="Location: /\r\n"
            )
            for status in WRONG_STATUSES
        },
    }


NO_BOOLEANS: tuple[Json, ...] = ("true", 1, 0, None, {}, [True])

WRONG_DECISIONS = {
    "undefined": {},
    **{f"no {name}": without(name) for name in decision()["result"]},
    **{
        f"{name} is {json.dumps(value)}": decision(**{name: value})
        for name in ("capable", "visible", "allow")
        for value in NO_BOOLEANS
    },
    "a member more": decision(surprise=1),
    "reasons are text": decision(allow=False, reasons="not-assigned"),
    "a reason is a number": decision(allow=False, reasons=[1]),
    "an unknown reason": decision(allow=False, reasons=["because"]),
    "reasons out of order": decision(allow=False, reasons=["assignment-ended", "not-assigned"]),
    "a reason twice": decision(allow=False, reasons=["not-assigned", "not-assigned"]),
    "allowed but not capable": decision(capable=False, reasons=[]),
    "allowed but not visible": decision(visible=False),
    "allowed with reasons": decision(reasons=["not-assigned"]),
    "refused without a reason": decision(allow=False),
    "incapable without a reason": decision(capable=False, visible=False, allow=False),
    "masks are a list": decision(masks=[]),
    "a mask is text": decision(masks={"order": "name"}),
    "a mask of another kind": decision(masks={"order": {"customer": {"hide": True}}}),
    "a mask with more": decision(
        masks={"order": {"customer": {"replace": {"value": "name", "x": 1}}}}
    ),
    "another revision": decision(revision="r2"),
    "no revision's name": decision(revision=""),
    "a revision that is a number": decision(revision=1),
    "batched": {"result": [decision()["result"]]},
    "a second result": decision() | {"results": []},
}

MAIN = field("order.main", "eq", value=True)

WRONG_QUERIES: Mapping[str, Json] = {
    "null": None,
    "true": True,
    "text": "",
    "a list": [],
    "no type": {"operator": "eq", "field": "order.main", "value": True},
    "an unknown type": MAIN | {"type": "document"},
    "a member more": MAIN | {"not": True},
    "an unknown operator": field("order.main", "like", value=True),
    "ours instead of UCAST's": field("order.n", "le", 1),
    "an operator that is a list": field("order.main", ["eq"], value=True),  # type: ignore[arg-type]
    "an unknown compound": compound("nand", MAIN),
    "a compound of nothing": compound("or"),
    "a compound of one not in a list": compound("and") | {"value": MAIN},
    "not of two": compound("not", MAIN, MAIN),
    "a field of something else": field("customer.main", "eq", value=True),
    "a field of the subject": field("subject.org_id", "eq", "o"),
    "a bare field": field("main", "eq", value=True),
    "a nested field": field("order.customer.main", "eq", value=True),
    "a quoted field": field('order.main"; --', "eq", value=True),
    "a field with a capital": field("order.Main", "eq", value=True),
    "no field": field("order.", "eq", value=True),
    "another field as the value": field("order.org_id", "eq", {"field": "order.org_id"}),
    "a list as the value": field("order.org_id", "eq", ["o"]),
    "in without a list": field("order.state", "in", "draft"),
    "in null": field("order.state", "in", None),
    "in an object": field("order.state", "in", {"draft": True}),
    "in a field": field("order.org_id", "in", {"field": "order.org_id"}),
    "in a list with a field": field("order.org_id", "in", [{"field": "order.org_id"}]),
    "in a nested list": field("order.state", "in", [["draft"]]),
    "startswith a number": field("order.name", "startswith", 1),
    "wrong deep inside": compound("or", MAIN, compound("not", compound("and", MAIN, None))),
    "too many parts": compound("or", *[MAIN] * 2000),
}


async def refused_everywhere(policy: Policy) -> None:
    with pytest.raises(PolicyUnavailable) as refusal:
        await policy.decide("bailiwick/orders", DOCUMENT)
    assert refusal.value.retry_after == 1
    with pytest.raises(PolicyUnavailable):
        await policy.filter("bailiwick/orders", "input.order", DOCUMENT)
    with pytest.raises(PolicyUnavailable):
        await policy.revision()


@pytest.mark.parametrize("wrong", wrong_anyway(JSON))
async def test_no_question_is_answered_by(wrong: str, fake: FakeOpa, policy: Policy) -> None:
    fake.answers = {
        "/v1/data/bailiwick/orders/decision": wrong_anyway(JSON)[wrong],
        "/v1/compile/bailiwick/orders/include": wrong_anyway(UCAST)[wrong],
        "/v1/data/bailiwick/sentinel/revision": wrong_anyway(JSON)[wrong],
    }
    await refused_everywhere(policy)


@pytest.mark.parametrize("wrong", WRONG_DECISIONS.values(), ids=WRONG_DECISIONS)
async def test_no_decision_is(wrong: Json, fake: FakeOpa, policy: Policy) -> None:
    fake.answers["/v1/data/bailiwick/orders/decision"] = said(wrong)
    with pytest.raises(PolicyUnavailable):
        await policy.decide("bailiwick/orders", DOCUMENT)


@pytest.mark.parametrize("wrong", WRONG_QUERIES.values(), ids=WRONG_QUERIES)
async def test_no_filter_is(wrong: Json, fake: FakeOpa, policy: Policy) -> None:
    fake.answers["/v1/compile/bailiwick/orders/include"] = compiled(wrong)
    with pytest.raises(PolicyUnavailable):
        await policy.filter("bailiwick/orders", "input.order", DOCUMENT)


async def test_a_filter_nested_too_deep_is_none(fake: FakeOpa, policy: Policy) -> None:
    query = MAIN
    for _ in range(40):
        query = compound("not", query)
    fake.answers["/v1/compile/bailiwick/orders/include"] = compiled(query)
    with pytest.raises(PolicyUnavailable):
        await policy.filter("bailiwick/orders", "input.order", DOCUMENT)


@pytest.mark.parametrize("masks", [{}, {"revision": "r2"}, {"revision": None}, [], "r1"])
async def test_a_filter_of_another_revision_is_none(
    masks: Json, fake: FakeOpa, policy: Policy
) -> None:
    fake.answers["/v1/compile/bailiwick/orders/include"] = said(
        {"result": {"query": {}, "masks": masks}}, UCAST
    )
    with pytest.raises(PolicyUnavailable):
        await policy.filter("bailiwick/orders", "input.order", DOCUMENT)


async def test_an_engine_that_is_not_there_answers_nothing() -> None:
    async with Policy("unix:///nowhere/at/all") as policy:
        await refused_everywhere(policy)


async def test_a_closed_policy_answers_nothing(fake: FakeOpa) -> None:
    policy = Policy(fake.url)
    await refused_everywhere(policy)


async def test_nothing_is_asked_twice(fake: FakeOpa, policy: Policy) -> None:
    fake.answers["/v1/data/bailiwick/orders/decision"] = raw(b"", status="500 Oops")
    with pytest.raises(PolicyUnavailable):
        await policy.decide("bailiwick/orders", DOCUMENT)
    assert len(fake.asked) == 1


async def test_a_decision_is_read(fake: FakeOpa, policy: Policy) -> None:
    fake.answers["/v1/data/bailiwick/orders/decision"] = said(
        decision(
            allow=False,
            reasons=["assignment-ended", "order-state-forbids"],
            masks={"order": {"customer": {"replace": {"value": "name"}}}},
        )
        | {"decision_id": "d"}
    )
    assert await policy.decide("bailiwick/orders", DOCUMENT) == Decision(
        capable=True,
        visible=True,
        allow=False,
        reasons=("assignment-ended", "order-state-forbids"),
        masks={"order": {"customer": {"replace": {"value": "name"}}}},
    )
    assert fake.asked[0][2] == {"input": DOCUMENT}


async def test_a_decisions_id_is_kept_and_noted_for_the_request(
    fake: FakeOpa, policy: Policy
) -> None:
    path = "/v1/data/bailiwick/orders/decision"
    with trace.collecting_decisions() as noted:
        for number in range(30):
            fake.answers[path] = said(decision() | {"decision_id": f"d-{number}"})
            assert (await policy.decide("bailiwick/orders", DOCUMENT)).id == f"d-{number}"
        fake.answers[path] = said(decision())
        assert (await policy.decide("bailiwick/orders", DOCUMENT)).id == ""
    assert list(noted) == [f"d-{number}" for number in range(10, 30)]


@pytest.mark.parametrize("wrong", [7, None, ["d"], "x" * 65, "ana@people.example", "a b", "a\n"])
async def test_what_is_no_decision_id_is_no_answer(
    fake: FakeOpa, policy: Policy, wrong: Json
) -> None:
    fake.answers["/v1/data/bailiwick/orders/decision"] = said(decision() | {"decision_id": wrong})
    with pytest.raises(PolicyUnavailable):
        await policy.decide("bailiwick/orders", DOCUMENT)


async def test_the_engine_is_told_which_request_asks(fake: FakeOpa, policy: Policy) -> None:
    fake.answers["/v1/data/bailiwick/orders/decision"] = said(decision())
    fake.answers["/v1/compile/bailiwick/orders/include"] = compiled({})
    await policy.decide("bailiwick/orders", DOCUMENT)
    with trace.of_request({}, f"00-{'4' * 32}-{'5' * 16}-00"):
        await policy.decide("bailiwick/orders", DOCUMENT)
        await policy.filter("bailiwick/orders", "input.order", DOCUMENT)
    told = [headers.get("traceparent", "") for _, headers, _ in fake.asked]
    assert [one.split("-")[1:2] for one in told] == [[], ["4" * 32], ["4" * 32]]


async def test_without_a_row_a_capable_caller_needs_no_reason(
    fake: FakeOpa, policy: Policy
) -> None:
    fake.answers["/v1/data/bailiwick/orders/decision"] = said(decision(visible=False, allow=False))
    assert (await policy.decide("bailiwick/orders", DOCUMENT)).capable


async def test_a_filter_is_read(fake: FakeOpa, policy: Policy) -> None:
    fake.answers["/v1/compile/bailiwick/orders/include"] = compiled(
        compound(
            "or",
            compound("and", field("order.org_id", "eq", "o"), MAIN),
            compound("not", field("order.state", "in", ["draft", None])),
            field("order.n", "lte", 1.5),
            field("order.name", "startswith", "a"),
        ),
        order={"customer": {"replace": {"value": "name"}}},
    )
    found = await policy.filter("bailiwick/orders", "input.order", DOCUMENT)
    assert found == Filter(
        Where(
            Any(
                (
                    All(
                        (
                            Compare("order.org_id", "eq", "o"),
                            Compare("order.main", "eq", value=True),
                        )
                    ),
                    Not(Compare("order.state", "in", ("draft", None))),
                    Compare("order.n", "le", 1.5),
                    Compare("order.name", "startswith", "a"),
                )
            )
        ),
        {"order": {"customer": {"replace": {"value": "name"}}}},
    )


async def test_unknowns_and_masks_are_always_sent(fake: FakeOpa, policy: Policy) -> None:
    fake.answers["/v1/compile/bailiwick/orders/include"] = compiled({})
    await policy.filter("bailiwick/orders", "input.order", DOCUMENT)
    _, headers, body = fake.asked[0]
    assert headers["accept"] == UCAST
    assert body == {
        "input": DOCUMENT,
        "unknowns": ["input.order"],
        "options": {"maskRule": "data.bailiwick.orders.masks"},
    }


async def test_an_empty_query_is_everybody(fake: FakeOpa, policy: Policy) -> None:
    fake.answers["/v1/compile/bailiwick/orders/include"] = compiled({})
    found = await policy.filter("bailiwick/orders", "input.order", DOCUMENT)
    assert found == Filter(Everybody(), {})


async def test_no_query_is_nobody_if_the_policy_is_there(fake: FakeOpa, policy: Policy) -> None:
    fake.answers["/v1/compile/bailiwick/orders/include"] = said({}, UCAST)
    fake.answers["/v1/data/bailiwick/orders/decision"] = said(
        decision(capable=False, visible=False, allow=False, reasons=["capability-missing"])
    )
    found = await policy.filter("bailiwick/orders", "input.order", DOCUMENT)
    assert found == Filter(Nobody(), {})


@pytest.mark.parametrize("answer", [{}, decision(revision="r2"), {"result": {}}])
async def test_no_query_is_nothing_if_it_is_not(
    answer: Json, fake: FakeOpa, policy: Policy
) -> None:
    fake.answers["/v1/compile/bailiwick/orders/include"] = said({}, UCAST)
    fake.answers["/v1/data/bailiwick/orders/decision"] = said(answer)
    with pytest.raises(PolicyUnavailable):
        await policy.filter("bailiwick/orders", "input.order", DOCUMENT)


async def test_the_revision_is_that_of_the_sentinel(fake: FakeOpa, policy: Policy) -> None:
    fake.answers["/v1/data/bailiwick/sentinel/revision"] = said({"result": "r1"})
    assert await policy.revision() == "r1"
    fake.answers["/v1/data/bailiwick/sentinel/revision"] = said({"result": "r2"})
    with pytest.raises(PolicyUnavailable):
        await policy.revision()
    async with Policy(fake.url) as anyones:
        assert await anyones.revision() == "r2"


async def test_a_failure_is_logged_once_and_without_what_was_asked(
    fake: FakeOpa, policy: Policy
) -> None:
    path = "/v1/data/bailiwick/orders/decision"
    with capture_logs() as logs:
        for wrong in (said({}), said({}), raw(b"", status="500 Oops"), said({})):
            fake.answers[path] = wrong
            with pytest.raises(PolicyUnavailable):
                await policy.decide("bailiwick/orders", {"subject": {"name": "Ana Beltrán"}})
        fake.answers[path] = said(decision())
        await policy.decide("bailiwick/orders", DOCUMENT)
    assert [(each["event"], each.get("failure")) for each in logs] == [
        ("policy.unavailable", "shape"),
        ("policy.unavailable", "status-500"),
        ("policy.answers-again", None),
    ]
    assert "Ana" not in str(logs)


async def test_a_cancelled_question_stays_cancelled(fake: FakeOpa) -> None:
    fake.answers["/v1/data/bailiwick/orders/decision"] = never
    async with Policy(fake.url, deadline=30) as policy:
        asking = asyncio.create_task(policy.decide("bailiwick/orders", DOCUMENT))
        await fake.was_asked.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking


@pytest.mark.parametrize(
    "package", ["", "Bailiwick", "bailiwick/../x", "bailiwick.orders", "/a", "a?b"]
)
async def test_a_package_that_is_no_path_is_the_programs_error(
    package: str, policy: Policy
) -> None:
    with pytest.raises(ValueError, match="package"):
        await policy.decide(package, DOCUMENT)


@pytest.mark.parametrize(
    "unknown", ["order", "input", "input.order.main", "data.order", "input.action"]
)
async def test_an_unknown_that_is_no_row_is_the_programs_error(
    unknown: str, policy: Policy
) -> None:
    with pytest.raises(ValueError, match="unknown"):
        await policy.filter("bailiwick/orders", unknown, DOCUMENT)


@pytest.mark.parametrize("url", ["", "opa:8181", "unix://", "http://", "ftp://opa"])
def test_an_address_that_is_none_is_the_programs_error(url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        Policy(url)
