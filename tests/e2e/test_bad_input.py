"""Bad input at the gateway, over every operation that takes any: the right problem each, and nothing done."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from bailiwick_testkit.security.attack_target import BY_NAME, TAKING_BODIES, Target, problem, read
from bailiwick_testkit.services.company import done
from bailiwick_testkit.services.orders import a_line

OPTIONAL = {"approve_customer", "end_assignment", "place_order"}
"""These take no body at all, too."""

Where = tuple[str | int, ...]


@pytest.mark.parametrize("name", TAKING_BODIES)
def test_what_is_no_json_object_is_malformed(target: Target, name: str) -> None:
    bodies: list[bytes] = [
        b"{",
        b"[]",
        b"null",
        b"1",
        b'"x"',
        b"{'name': 1}",
        b'{"name": NaN}',
        b'{"name": 1,}',
        b"\xff\xfe{}",
        b'{"name": "\xc3"}',
        b"[" * 60_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"\x00" * 1000,
    ]
    for body in bodies + ([] if name in OPTIONAL else [b""]):
        answer = target.raw(target.boss, name, body)
        told = {(400, "malformed"), (413, "body-too-large"), (422, "invalid")}
        assert problem(answer) in told, body[:20]
        assert answer.status_code == 400 or body.startswith(b'{"'), body[:20]


@pytest.mark.parametrize("name", TAKING_BODIES)
def test_what_is_not_sent_as_json_is_not_read(target: Target, name: str) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/xml"):
        body = json.dumps(target.good(name)).encode()
        answer = target.raw(target.boss, name, body, Content_Type=content_type)
        assert problem(answer) == (415, "unsupported-media-type"), content_type


@pytest.mark.parametrize("name", TAKING_BODIES)
def test_a_body_that_is_too_large_is_refused_unread(target: Target, name: str) -> None:
    most = BY_NAME[name].most_bytes
    large = json.dumps({"name": "x" * most}).encode()

    def in_pieces() -> Iterator[bytes]:
        yield from (large[at : at + 65_536] for at in range(0, len(large), 65_536))

    for body in (large, in_pieces()):
        assert problem(target.raw(target.boss, name, body)) == (413, "body-too-large")
    nearly = json.dumps({"name": "x" * (most - 20)}).encode()
    assert problem(target.raw(target.boss, name, nearly)) == (422, "invalid")


@pytest.mark.parametrize("name", TAKING_BODIES)
def test_a_body_of_too_many_values_is_refused_unread(target: Target, name: str) -> None:
    for body in (b'{"contacts":[' + b"0," * 30_000 + b"0]}", b"{" + b'"a":0,' * 9000 + b'"a":0}'):
        heavier = name not in {"create_order", "edit_order"} or body.startswith(b'{"contacts')
        wanted = (413, "body-too-large") if heavier else (422, "invalid")
        assert problem(target.raw(target.boss, name, body)) == wanted


@pytest.mark.parametrize("name", TAKING_BODIES)
def test_a_field_that_is_not_known_is_named(target: Target, name: str) -> None:
    for unknown in ("nonsense", "__proto__", "org_id", "$where", "Ñ", ""):
        answer = target.send(target.boss, name, {**target.good(name), unknown: 1}, if_match="*")
        assert problem(answer) == (422, "invalid"), unknown
        faults = {one["where"]: one["code"] for one in answer.json()["errors"]}
        assert faults.get(unknown) == "unknown-field"


def leaves(value: Any, at: Where = ()) -> Iterator[tuple[Where, Any]]:
    """Give each place of a document with what is there."""
    yield at, value
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from leaves(value[key], (*at, key))


def texts_in(document: Any) -> Iterator[str]:
    """Give every text in a document."""
    yield from (value for _, value in leaves(document) if isinstance(value, str))


def with_at(document: Any, at: Where, value: Any) -> Any:
    """Give a copy of the document with another value in that place."""
    changed = copy.deepcopy(document)
    place = changed
    for key in at[:-1]:
        place = place[key]
    place[at[-1]] = value
    return changed


OTHER_TYPES: dict[type, list[Any]] = {
    str: [5, 1.5, True, [], ["x"], {}, {"field": "x"}],
    bool: [0, 1, "true", "", [], {}],
    list: ["x", 5, True, {}, {"0": "x"}],
    dict: ["x", 5, True, [], [{}]],
}
HOSTILE = [
    "\x00",
    "a\x00b",
    "\ud800",
    "x" * 5000,
    "",
    " ",
    "'; DROP TABLE orders; --",
    "\u202e",
    None,
]


@pytest.mark.parametrize("name", TAKING_BODIES)
def test_another_type_in_any_place_is_named_and_refused(target: Target, name: str) -> None:
    good = target.good(name)
    places = [(at, value) for at, value in leaves(good) if at]
    for at, value in places:
        for other in OTHER_TYPES[type(value)]:
            answer = target.send(target.boss, name, with_at(good, at, other), if_match="*")
            assert problem(answer)[0] == 422, (at, other, answer.text)
            assert answer.json()["errors"], (at, other)


@pytest.mark.parametrize("name", TAKING_BODIES)
def test_hostile_text_in_any_place_is_an_error_of_nobodys_but_the_senders(
    target: Target, name: str
) -> None:
    good = target.good(name)
    for at, value in leaves(good):
        if not at or not isinstance(value, str):
            continue
        for text in HOSTILE:
            body = json.dumps(with_at({**good, **fresh(name)}, at, text)).encode()
            answer = target.raw(target.boss, name, body)
            assert answer.status_code < 500, (at, text)
            if not answer.is_success:
                assert problem(answer)[0] in {400, 404, 409, 412, 422}, (at, text, answer.text)
            if text is not None and "\x00" in text:
                assert answer.status_code in {404, 422}, (at, text, answer.text)


BEYOND = [
    "0001-01-01T00:00:00Z",
    "1899-12-31T23:59:59Z",
    "9999-12-31T00:00:00.000001Z",
    "9999-12-31T23:59:59.9999999Z",
    "9999-12-31T00:00:00-14:00",
]


def test_instants_that_no_database_holds_are_refused_with_the_bounds(target: Target) -> None:
    tried = 0
    for name in TAKING_BODIES:
        good = {**target.good(name), **fresh(name)}
        for at, value in leaves(good):
            if not isinstance(value, str) or not value.endswith("T00:00:00Z"):
                continue
            for instant in BEYOND:
                sent = with_at(good, at, instant)
                answer = target.send(target.boss, name, sent, if_match="*")
                assert problem(answer) == (422, "invalid"), (name, at, instant)
                [fault] = answer.json()["errors"]
                assert "1900-01-01T00:00:00Z to 9999-12-31T00:00:00Z" in fault["message"]
                tried += 1
    assert tried >= 5 * len(BEYOND), "valid_from and valid_until or valid_to, in three operations"
    for path in ("/v1/orders", "/v1/orders/count", "/v1/reports/sales"):
        answer = target.boss.get(path, order_date_from="0001-01-01")
        assert problem(answer) == (422, "invalid"), path
        assert "1900-01-01 to 9999-12-31" in answer.json()["errors"][0]["message"]
        assert target.boss.get(path, order_date_to="9999-12-31").status_code == 200, path


def fresh(name: str) -> dict[str, Any]:
    """Give what has to differ from one time to the next."""
    return {"email": f"{uuid4().hex}@wines.example"} if name == "create_member" else {}


LINES: dict[str, Any] = {
    "negative quantity": [a_line(quantity="-1")],
    "no quantity": [a_line(quantity="0")],
    "quantity in E notation": [a_line(quantity="1e3")],
    "not a number": [a_line(quantity="NaN")],
    "infinite": [a_line(quantity="Infinity")],
    "five decimals": [a_line(quantity="1.00001")],
    "more than a column holds": [a_line(quantity="99999999999999999999")],
    "fullwidth digits": [a_line(quantity="１２")],
    "grouped digits": [a_line(quantity="1_000")],
    "a quantity that is a number": [a_line() | {"quantity": 2}],
    "negative price": [a_line(amount="-0.01")],
    "discount over one": [a_line(discount="1.0001")],
    "negative discount": [a_line(discount="-0.05")],
    "a currency that is none": [a_line(currency="XXQ")],
    "a currency in small letters": [a_line(currency="eur")],
    "two currencies": [a_line(), a_line(currency="USD")],
    "a total that no column holds": [a_line(quantity="9" * 14, amount="9" * 14)] * 3,
    "no lines": [],
    "too many lines": [a_line()] * 2001,
}


@pytest.mark.parametrize("name", LINES)
def test_lines_that_nobody_can_order_are_not_ordered(target: Target, name: str) -> None:
    boss = target.boss
    before = boss.count("/v1/orders"), read(target, "edit_order")
    for operation in ("create_order", "edit_order"):
        body = {**target.good(operation), "lines": LINES[name]}
        answer = target.send(boss, operation, body, if_match="*")
        code = "amount-too-large" if "total" in name else "invalid"
        assert problem(answer) == (422, code), answer.text
        assert answer.json()["errors"][0]["where"].startswith("lines")
    assert (boss.count("/v1/orders"), read(target, "edit_order")) == before


# Mass assignment: what an answer shows is not thereby the caller's to set.


@pytest.mark.parametrize("name", TAKING_BODIES)
def test_fields_of_answers_cannot_be_sent_back(target: Target, name: str) -> None:
    created = name.startswith(("create", "assign"))
    shown = shown_by(target, name)
    schema = BY_NAME[name].schema or {}
    settable = set(schema["properties"])
    before = None if created else read(target, of(name))
    assert shown.keys() - settable
    for field in sorted(shown.keys() - settable):
        for value in (shown[field], None):
            body = {**target.good(name), field: value}
            answer = target.send(target.boss, name, body, if_match="*")
            assert problem(answer) == (422, "invalid"), (field, answer.text)
            faults = [(one["where"], one["code"]) for one in answer.json()["errors"]]
            assert faults == [(field, "unknown-field")], field
    assert created or read(target, of(name)) == before


def of(name: str) -> str:
    """Name an operation for the record that it changes."""
    return {"end_assignment": "edit_customer"}.get(name, name)


def shown_by(target: Target, name: str) -> dict[str, Any]:
    """Give what the answers of an operation show."""
    if "assign" in name:
        history = done(target.send(target.boss, "list_assignments"))["items"]
        return dict(history[0])
    if name == "create_service_account":
        return done(target.send(target.boss, name, target.good(name)))
    return read(target, name)


def test_fields_inside_of_answers_cannot_be_sent_back(target: Target) -> None:
    line = {**a_line(), "net": {"amount": "0.01", "currency": "EUR"}}
    settings = {"package": "huge", "seat_limit": None, "seats_used": 0}
    for name, body, where in (
        ("create_order", {**target.good("create_order"), "lines": [line]}, "lines[0].net"),
        ("edit_order", {"lines": [line]}, "lines[0].net"),
        ("change_organization", {"settings": settings}, "settings.package"),
    ):
        answer = target.send(target.boss, name, body, if_match="*")
        assert problem(answer) == (422, "invalid")
        faults = {one["where"]: one["code"] for one in answer.json()["errors"]}
        assert faults[where] == "unknown-field"


# Queries and ids.

QUERIES: dict[str, dict[str, Any]] = {
    "no limit": {"limit": "0"},
    "negative limit": {"limit": "-1"},
    "vast limit": {"limit": "1000000000"},
    "limit that is no number": {"limit": "ten"},
    "two limits": {"limit": ["1", "2"]},
    "made-up cursor": {"cursor": "AAAA"},
    "cursor that is no text": {"cursor": "\x00"},
    "unknown parameter": {"sort": "name"},
    "operator": {"text[$ne]": "x"},
    "null byte": {"text": "a\x00b"},
    "long text": {"text": "x" * 2000},
}
LISTS = ("/v1/customers", "/v1/orders", "/v1/members", "/v1/customers/count", "/v1/orders/count")


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_that_is_wrong_is_told_so(target: Target, name: str) -> None:
    for path in LISTS:
        if path.endswith("count") and "cursor" in name:
            continue
        answer = target.boss.get(path, **QUERIES[name])
        code = "cursor-invalid" if "cursor" in QUERIES[name] else "invalid"
        assert problem(answer) == (422, code), (path, answer.text)
        assert answer.json()["errors"]


@pytest.mark.parametrize("text", ["%", "_", "\\", "'", "%%%", "🍷", "ñ" * 50])
def test_text_to_look_for_is_text_and_no_pattern(target: Target, text: str) -> None:
    boss = target.boss
    for path in ("/v1/customers", "/v1/members"):
        found = boss.list(path, text=text)
        assert all(text in " ".join(texts_in(one)) for one in found)
        assert len(found) < len(boss.list(path))


@pytest.mark.parametrize(
    "wrong", ["x", "0", "null", "..%5c", "%27", "1" * 300, "{}", "%F0%9F%8D%B7"]
)
def test_an_id_that_cannot_be_is_the_id_of_nothing(target: Target, wrong: str) -> None:
    for name, operation in BY_NAME.items():
        if "{" not in operation.path or name == "accept_membership":
            continue
        path = operation.path.format(**dict.fromkeys(target.ids, wrong))
        answer = target.boss.send(operation.method, path, if_match="*")
        assert problem(answer) == (404, "not-found"), name


def test_a_cursor_is_its_readers_own_and_for_one_query(target: Target) -> None:
    for number in range(3):
        target.company.customer(f"Page {number}", by=target.company["Rita"])
    cursor = done(target.boss.get("/v1/customers", limit=1))["next_cursor"]
    assert target.boss.get("/v1/customers", limit=1, cursor=cursor).status_code == 200
    uses: list[Callable[[], httpx2.Response]] = [
        lambda: target.company["Rita"].get("/v1/customers", limit=1, cursor=cursor),
        lambda: target.boss.get("/v1/customers", limit=1, cursor=cursor, status="approved"),
        lambda: target.boss.get("/v1/orders", limit=1, cursor=cursor),
        lambda: target.boss.get("/v1/customers", limit=1, cursor=cursor[:-2] + "AA"),
    ]
    for use in uses:
        assert problem(use())[0] in {400, 422}


@pytest.mark.parametrize(
    "header", ["x", "customers:1:1", "customers:" + "0" * 36 + ":1", "a,b", ",".join(["x"] * 500)]
)
def test_a_position_that_was_never_given_is_malformed(target: Target, header: str) -> None:
    for path in LISTS:
        answer = target.boss.send("GET", path, Bailiwick_After=header)
        assert problem(answer) == (400, "malformed"), path


# Signing in.


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({}, 400),
        ({"grant_type": "password"}, 400),
        ({"grant_type": "implicit", "username": "x", "password": "x"}, 400),
        ({"grant_type": "password", "username": "x", "password": "x"}, 400),
        ({"grant_type": "password", "username": "a@b.example", "password": "x" * 4000}, 400),
        ({"grant_type": "password", "username": ["a@b.example", "c"], "password": "x"}, 400),
        ({"grant_type": "password", "username": "\x00", "password": "\x00"}, 400),
        ({"grant_type": "password", "username": "x" * 20_000, "password": "x"}, 400),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, 400),
        ({"grant_type": "client_credentials", "client_id": "x", "client_secret": "x"}, 401),
        ({"grant_type": "client_credentials", "client_id": str(uuid4()), "client_secret": ""}, 401),
    ],
)
def test_a_sign_in_that_is_none_is_refused_as_rfc_6749_says(
    target: Target, form: dict[str, Any], status: int
) -> None:
    answer = target.company.http.post("/v1/auth/token", data=form)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]
    assert problem(answer)[1]


def test_tokens_are_not_what_the_other_is_for(target: Target) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": target.boss.token}
    answer = target.company.http.post("/v1/auth/token", data=form)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
