"""Bodies and queries are read late, and whatever is sent gets the right refusal."""

import gzip
from decimal import Decimal
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import pytest
from fastapi import APIRouter, Header
from httpx2 import Response
from pydantic import Field
from starlette.testclient import TestClient

from bailiwick_kit.errors import Forbidden, Invalid
from bailiwick_kit.text.strings import Text
from bailiwick_kit.web.app import create_app
from bailiwick_kit.web.bodies import SentBody, SentQuery, json_body, query
from bailiwick_kit.web.fields import Exact, Instant, Model
from bailiwick_kit.web.submitted import Submitted
from bailiwick_kit.web.verbs import IfMatchAlone


class Line(Model):
    sku: Text
    quantity: Annotated[int, Field(ge=1)]
    price: Exact = Decimal(0)


class NewOrder(Model):
    customer_id: UUID | None = None
    note: Text | None = None
    due: Instant | None = None
    weight: float | None = None
    lines: Annotated[tuple[Line, ...], Field(max_length=100, fail_fast=True)] = ()


class State(StrEnum):
    draft = "draft"
    placed = "placed"


class OrderFilter(Model):
    state: State | None = None
    rep: UUID | None = None
    text: Text | None = None
    tag: tuple[Text, ...] = ()
    limit: Annotated[int, Field(ge=1, le=200)] = 50


router = APIRouter()


def act(body: Submitted[NewOrder], who: str) -> NewOrder:
    if who != "ana":
        raise Forbidden
    return body.read()


@router.post("/orders")
async def create(
    body: Annotated[SentBody[NewOrder], json_body(NewOrder)], who: Annotated[str, Header()] = "ana"
) -> NewOrder:
    return act(body, who)


@router.post("/orders/place")
async def place(body: Annotated[SentBody[NewOrder], json_body(NewOrder, optional=True)]) -> str:
    body.read()
    return body.fingerprint()


@router.post("/orders/confirm")
async def confirm(expected: IfMatchAlone) -> str:
    expected.check(2)
    raise Forbidden  # in the place of what the state refuses


@router.get("/orders")
async def listing(filters: Annotated[SentQuery[OrderFilter], query(OrderFilter)]) -> OrderFilter:
    return filters.read()


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(create_app(title="t", version="1", routers=[router]))


def post(client: TestClient, content: bytes, **headers: str) -> Response:
    return client.post(
        "/orders", content=content, headers={"content-type": "application/json", **headers}
    )


def test_a_good_body_is_read_cleaned_and_answered(client: TestClient) -> None:
    answer = post(
        client,
        b'{"note": "  cafe\\u0301 ", "due": "2026-01-31T14:00:00+02:00",'
        b' "lines": [{"sku": "a", "quantity": 2, "price": "12.30"}]}',
    )
    assert answer.status_code == 200
    assert answer.json()["note"] == "café"
    assert answer.json()["due"] == "2026-01-31T12:00:00Z"
    assert answer.json()["lines"] == [{"sku": "a", "quantity": 2, "price": "12.30"}]


def test_who_may_not_is_told_so_before_what_is_wrong_with_the_body(client: TestClient) -> None:
    for content in (b"{", b"[]", b'{"x": 1}', b""):
        assert post(client, content, who="tom").status_code == 403


def confirmed(client: TestClient, content: bytes, **headers: str) -> Response:
    headers = {"content-type": "application/json", "if-match": '"v2"'} | headers
    return client.post("/orders/confirm", content=content, headers=headers)


@pytest.mark.parametrize("content", [b"", b"{}", b" { }\n"])
def test_a_verb_takes_no_body_or_an_empty_one(client: TestClient, content: bytes) -> None:
    assert confirmed(client, content).status_code == 403
    if not content:
        assert confirmed(client, content, **{"content-type": ""}).status_code == 403


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (b'{"credited_to": "x"}', "application/json", 422, "invalid"),
        (b'{"": 0}', "application/json", 422, "invalid"),
        (b"[]", "application/json", 400, "malformed"),
        (b"null", "application/json", 400, "malformed"),
        (b"{", "application/json", 400, "malformed"),
        (b"reason=x", "application/x-www-form-urlencoded", 415, "unsupported-media-type"),
        (b'{"lines": [' + b"0," * 20_000 + b"0]}", "application/json", 413, "body-too-large"),
    ],
)
def test_what_a_verb_has_no_place_for_is_refused(
    client: TestClient, content: bytes, content_type: str, status: int, code: str
) -> None:
    answer = confirmed(client, content, **{"content-type": content_type})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    stale = confirmed(client, content, **{"content-type": content_type, "if-match": '"v1"'})
    assert stale.status_code == 412, "a body is judged after the version"


MALFORMED = [
    b"",
    b"{",
    b"[]",
    b"1",
    b"null",
    b"\xff\xfe{}",
    b"\xef\xbb\xbf{}",
    b'{"note": "\xff"}',
    b'{"note": "\xed\xa0\x80"}',
    b'{"note": "\x01"}',
    b"{'note': 1}",
    b"[" * 60_000,
    b'{"lines": ' + b"[" * 300 + b"}",
    b'{"lines": ' + b'{"a":' * 300 + b"}",
    b"{} {}",
]


@pytest.mark.parametrize("content", MALFORMED, ids=lambda content: repr(content[:20]))
def test_what_is_no_json_object_is_400(client: TestClient, content: bytes) -> None:
    answer = post(client, content)
    assert answer.status_code == 400
    assert answer.json()["code"] == "malformed"


INVALID = [
    (b'{"unknown": 1}', "unknown", "unknown-field"),
    (b'{"org_id": "x"}', "org_id", "unknown-field"),
    (b'{"lines": [{"quantity": 1}]}', "lines[0].sku", "missing"),
    (b'{"lines": [{"sku": "a", "quantity": "1"}]}', "lines[0].quantity", "int-type"),
    (b'{"lines": [{"sku": "a", "quantity": -1}]}', "lines[0].quantity", "greater-than-equal"),
    (b'{"lines": [{"sku": "a", "quantity": true}]}', "lines[0].quantity", "int-type"),
    (b'{"lines": {"0": 1}}', "lines", "tuple-type"),
    (b'{"note": "a\\u0000b"}', "note", "text-not-allowed"),
    (b'{"note": "a\\nb"}', "note", "text-not-allowed"),
    (b'{"note": "\\u001b[31m"}', "note", "text-not-allowed"),
    (b'{"note": "\\ud800"}', "", "text-not-allowed"),
    (b'{"note": "\\ud800\\u0041"}', "", "text-not-allowed"),
    (b'{"note": "   "}', "note", "too-short"),
    (b'{"note": "' + b"x" * 201 + b'"}', "note", "too-long"),
    (b'{"note": 1}', "note", "string-type"),
    (b'{"weight": NaN}', "weight", "finite-number"),
    (b'{"weight": Infinity}', "weight", "finite-number"),
    (b'{"weight": 1e999}', "weight", "finite-number"),
    (b'{"due": "1700000000"}', "due", "instant"),
    (b'{"due": "2026-01-01T00:00:00"}', "due", "instant"),
    (b'{"due": "0001-01-01T00:00:00+23:00"}', "due", "instant"),
    (b'{"customer_id": "x"}', "customer_id", "uuid-parsing"),
    (b'{"lines": [{"sku": "a", "quantity": 1, "price": "1e99"}]}', "lines[0].price", "decimal"),
    (b'{"lines": [{"sku": "a", "quantity": 1, "price": "NaN"}]}', "lines[0].price", "decimal"),
    (
        b'{"lines": [{"sku": "a", "quantity": 1, "price": "0.00001"}]}',
        "lines[0].price",
        "decimal-max-places",
    ),
]


@pytest.mark.parametrize(("content", "where", "code"), INVALID)
def test_a_wrong_field_is_422_and_says_where(
    client: TestClient, content: bytes, where: str, code: str
) -> None:
    answer = post(client, content)
    assert answer.status_code == 422
    fault = answer.json()["errors"][0]
    assert (fault["where"], fault["code"]) == (where, code)
    assert fault["message"]


def test_only_plain_json_is_taken(client: TestClient) -> None:
    body = b'{"note": "x"}'
    for headers in (
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/problem+json"},
        {"content-type": ""},
        {"content-encoding": "gzip"},
    ):
        assert post(client, body, **headers).status_code == 415
    assert post(client, gzip.compress(body), **{"content-encoding": "gzip"}).status_code == 415
    utf8 = {"content-type": "application/json; charset=utf-8"}
    assert post(client, body, **utf8).status_code == 200


TOO_MANY = {
    "zeros": b'{"lines": [' + b"0," * 20_000 + b"0]}",
    "unknown fields": b"{" + b",".join(b'"k%d":1' % n for n in range(5000)) + b"}",
    "one field again and again": b"{" + b'"note":"x",' * 5000 + b'"note":"x"}',
    "nested lists": b'{"lines": ' + b"[" * 50_000 + b"}",
    "nested objects": b'{"lines": ' + b'{"a":' * 10_000 + b"}",
    "strings": b'{"lines": [' + b'"",' * 20_000 + b"0]}",
    "digits": b'{"weight": ' + b"9" * 5000 + b"}",
    "decimals": b'{"weight": 0.' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("name", TOO_MANY)
def test_what_has_more_values_than_its_model_is_413_and_says_how_many(
    client: TestClient, name: str
) -> None:
    answer = post(client, TOO_MANY[name])
    assert answer.status_code == 413
    assert answer.json()["code"] == "body-too-large"
    assert answer.json()["detail"].startswith("Send at most 506 values; split what has")


def test_a_body_larger_than_its_operation_takes_is_413_whoever_sends_it(client: TestClient) -> None:
    fitting = b'{"note": "' + b"x" * 65_000 + b'"}'
    assert post(client, fitting).status_code == 422
    assert post(client, fitting + b" " * 1000, who="tom").status_code == 413
    detail = post(client, fitting + b" " * 1000).json()["detail"]
    assert detail == "Send at most 64 KiB; split what is larger."


def test_a_text_may_have_any_digits_and_commas(client: TestClient) -> None:
    assert post(client, b'{"note": "' + b"9" * 200 + b'"}').status_code == 200
    commas = b",".join([b'{"sku": "' + b"," * 200 + b'", "quantity": 1}'] * 100)
    assert post(client, b'{"lines": [' + commas + b"]}").status_code == 200


def test_many_unknown_fields_give_a_short_answer(client: TestClient) -> None:
    answer = post(client, b"{" + b",".join(b'"k%d":1' % n for n in range(400)) + b"}")
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 50
    long_name = post(client, b'{"' + b"x" * 60_000 + b'": 1}')
    assert len(long_name.content) < 1000


def test_a_list_is_judged_up_to_its_first_wrong_item(client: TestClient) -> None:
    good, wrong = b'{"sku": "a", "quantity": 1}', b'{"sku": 1, "quantity": 0}'
    answer = post(client, b'{"lines": [' + good + b"," + b",".join([wrong] * 98) + b"]}")
    told = [fault["where"] for fault in answer.json()["errors"]]
    assert told == ["lines[1].sku", "lines[1].quantity"]


def test_a_repeated_field_counts_once_the_last_one(client: TestClient) -> None:
    assert post(client, b'{"note": "a", "note": "b"}').json()["note"] == "b"


def test_an_optional_body_may_be_absent_altogether(client: TestClient) -> None:
    assert client.post("/orders/place").status_code == 200


def test_a_fingerprint_knows_content_not_spelling() -> None:
    def of(raw: bytes) -> str:
        return SentBody(NewOrder, raw).fingerprint()

    assert (
        of(b'{"a": 1, "b": [1, 2]}') == of(b'{"b":[1,2],"a":1}') == of(b'{"\\u0061":1,"b":[1,2]}')
    )
    assert of(b'{"a": 1}') != of(b'{"a": "1"}')
    assert of(b'{"b": [1, 2]}') != of(b'{"b": [2, 1]}')


def test_a_query_is_read_with_lists_and_numbers(client: TestClient) -> None:
    answer = client.get("/orders?state=draft&tag=a&tag=b&limit=7").json()
    assert answer["state"] == "draft"
    assert answer["tag"] == ["a", "b"]
    assert answer["limit"] == 7


BAD_QUERIES = [
    ("stat=draft", "stat"),
    ("state=gone", "state"),
    ("limit=0", "limit"),
    ("limit=-1", "limit"),
    ("limit=1000000000", "limit"),
    ("limit=NaN", "limit"),
    ("limit=" + "9" * 5000, "limit"),
    ("rep=x", "rep"),
    ("text=%00", "text"),
    ("text=", "text"),
    ("state=draft&state=placed", "state"),
]


@pytest.mark.parametrize(("text", "where"), BAD_QUERIES)
def test_a_wrong_query_is_422_and_says_where(client: TestClient, text: str, where: str) -> None:
    answer = client.get(f"/orders?{text}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["where"] == where


def test_a_query_for_tests_reads_like_a_sent_one() -> None:
    assert SentQuery.of(OrderFilter, limit="3").read().limit == 3
    with pytest.raises(Invalid):
        SentQuery.of(OrderFilter, limit="x").read()
