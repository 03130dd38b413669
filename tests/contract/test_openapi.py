"""The OpenAPI documents: kept in contracts/openapi, valid, and telling every error that a client may get."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel, ValidationError

from bailiwick_docs import openapi
from bailiwick_kit.errors import Refusal
from bailiwick_kit.web.problems import TooLarge
from bailiwick_testkit.checkout import CHECKOUT, SERVICES, released
from bailiwick_testkit.checks import introspection
from bailiwick_testkit.security import heavy_bodies

Operation = Mapping[str, Any]
OPERATIONS = [
    (service, method, path, operation)
    for service in SERVICES
    for path, item in introspection.document(service)["paths"].items()
    for method, operation in item.items()
]
READERS = heavy_bodies.readers()
OF_OAUTH = {"/v1/auth/token", "/v1/auth/revoke"}
"""RFC 6749 and 7009 say what these answer."""
OF_ONESELF = {"/v1/me", "/v1/memberships", "/v1/memberships/{member_id}/accept"}
"""What everybody may do who has signed in, whatever their rights."""
OF_IMPORTS = {"unknown-customer"}
"""Refusals that no operation gives, only an import at the command line."""
OPEN_TO_ALL = {"/.well-known/jwks.json", *OF_OAUTH}


def _names(value: object) -> str:
    return " ".join(str(part) for part in value[:3]) if isinstance(value, tuple) else ""


def _has(operation: Operation, header: str) -> bool:
    return any(
        one["in"] == "header" and one["name"].lower() == header.lower()
        for one in operation.get("parameters", ())
    )


def _owed(method: str, path: str, operation: Operation) -> Iterator[tuple[str, str]]:
    """Give each error that an operation has to declare, and why."""
    yield "500", "whatever may go wrong"
    yield "503", "a part may not answer"
    if path in OPEN_TO_ALL:
        if path in OF_OAUTH:
            yield "400", "RFC 6749"
        return
    yield "400", "a malformed request"
    yield "401", "who calls may not be known"
    if path not in OF_ONESELF:
        yield "403", "the caller may lack the capability"
    if "{" in path:
        yield "404", "a record may be out of sight"
    if _has(operation, "If-Match"):
        yield "412", "the version may be stale"
        yield "428", "the version may not be named"
    if "requestBody" in operation or any(
        one["in"] == "query" for one in operation.get("parameters", ())
    ):
        yield "422", "what is sent may be wrong"
    if _has(operation, "Idempotency-Key"):
        yield "409", "the same key may be in flight"


def _undeclared(method: str, path: str, operation: Operation) -> dict[str, str]:
    return {
        status: why
        for status, why in _owed(method, path, operation)
        if status not in operation["responses"]
    }


def test_documents_are_what_the_services_tell() -> None:
    differing = openapi.drift()
    assert not differing, f"{differing} differ from the code: run ./bailiwick contracts"


def test_checking_finds_a_document_that_differs(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {tmp_path / "customers.json": "{}\n"}
    monkeypatch.setattr(openapi, "FOLDER", tmp_path)
    monkeypatch.setattr(openapi, "rendered", lambda: told)
    monkeypatch.setattr("sys.argv", ["documents"])
    assert openapi.main() == 0
    (tmp_path / "gone.json").touch()
    (tmp_path / "customers.json").write_text("{ }")
    monkeypatch.setattr("sys.argv", ["documents", "--check"])
    assert openapi.main() == 1
    told_of = capsys.readouterr().out
    assert "customers.json differs" in told_of
    assert "gone.json differs" in told_of
    assert "./bailiwick contracts" in told_of


@pytest.mark.parametrize("service", SERVICES)
def test_document_is_valid_openapi(service: str) -> None:
    OpenAPIV31SpecValidator(introspection.document(service)).validate()


@pytest.mark.parametrize("operation", OPERATIONS, ids=_names)
def test_operation_tells_the_shape_of_what_it_answers(
    operation: tuple[str, str, str, Operation],
) -> None:
    _, method, path, told = operation
    shapeless = [
        status
        for status, answer in told["responses"].items()
        for content in answer.get("content", {}).values()
        if not {"$ref", "type"} & content["schema"].keys()
    ]
    assert not shapeless, f"{method} {path}: annotate what the route returns, for {shapeless}"


@pytest.mark.parametrize("operation", OPERATIONS, ids=_names)
def test_operation_tells_every_error_that_it_may_answer(
    operation: tuple[str, str, str, Operation],
) -> None:
    _, method, path, told = operation
    undeclared = _undeclared(method, path, told)
    assert not undeclared, f"{method} {path}: responses=problems(…) with {undeclared}"


def test_an_error_that_is_not_declared_is_found() -> None:
    operation: Operation = {"responses": {"200": {}, "401": {}}, "requestBody": {}}
    assert set(_undeclared("post", "/v1/things/{thing_id}", operation)) == {
        "400",
        "403",
        "404",
        "422",
        "500",
        "503",
    }


@pytest.mark.parametrize("operation", OPERATIONS, ids=_names)
def test_errors_are_problem_documents(operation: tuple[str, str, str, Operation]) -> None:
    _, method, path, told = operation
    for status, answer in told["responses"].items():
        if status.startswith(("4", "5")):
            content = answer["content"]
            assert set(content) == {"application/problem+json"}, f"{method} {path} {status}"
            reference = content["application/problem+json"]["schema"]
            assert reference == {"$ref": "#/components/schemas/Problem"}


@pytest.mark.parametrize("operation", OPERATIONS, ids=_names)
def test_operation_says_what_it_does(operation: tuple[str, str, str, Operation]) -> None:
    _, method, path, told = operation
    where = f"{method} {path}"
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", told["operationId"]), f"{where}: operation_id=…"
    assert told.get("description"), f"{where}: the route's docstring is its text for clients"
    assert told.get("tags"), f"{where}: give its router a tag"
    assert any(status.startswith("2") for status in told["responses"])


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for _, _, _, operation in OPERATIONS]
    assert len(set(names)) == len(names), sorted(name for name in names if names.count(name) > 1)


@pytest.mark.parametrize("operation", OPERATIONS, ids=_names)
def test_operation_says_how_one_signs_in(operation: tuple[str, str, str, Operation]) -> None:
    _, method, path, told = operation
    assert bool(told.get("security")) is (path not in OPEN_TO_ALL), f"{method} {path}"


@pytest.mark.parametrize("operation", OPERATIONS, ids=_names)
def test_what_changes_something_judges_the_body_that_is_sent(
    operation: tuple[str, str, str, Operation],
) -> None:
    _, method, path, told = operation
    where = f"{method} {path}: a verb takes `expected: IfMatchAlone`, or `body: NoBody`"
    assert (method != "get") is ("requestBody" in told), where


@pytest.mark.parametrize("operation", OPERATIONS, ids=_names)
def test_change_of_a_record_names_the_version(
    operation: tuple[str, str, str, Operation],
) -> None:
    _, method, path, told = operation
    if method in {"patch", "put"}:
        assert _has(told, "If-Match"), f"{method} {path}: take `expected: IfMatch`"


@pytest.mark.parametrize("operation", OPERATIONS, ids=_names)
def test_the_version_is_required_where_its_absence_is_refused(
    operation: tuple[str, str, str, Operation],
) -> None:
    _, method, path, told = operation
    for one in told.get("parameters", ()):
        if one["in"] == "header":
            is_version = one["name"].lower() == "if-match"
            assert one["required"] is is_version, f"{method} {path}: {one['name']}"
            assert one["schema"].get("type") == "string", "absent, never null"


@pytest.mark.parametrize("operation", OPERATIONS, ids=_names)
def test_operation_tells_the_headers_of_its_answer(
    operation: tuple[str, str, str, Operation],
) -> None:
    _, method, path, told = operation
    where = f"{method} {path}: responses=problems(…) | tells(…)"
    headers = {
        status: set(answer.get("headers", ()))
        for status, answer in told["responses"].items()
        if status.startswith(("2", "3"))
    }
    (done,) = headers.keys() - {"304"}
    if _has(told, "If-None-Match"):
        assert headers == {"200": {"ETag"}, "304": {"ETag"}}, where
    elif _has(told, "If-Match"):
        assert headers[done] >= {"ETag"}, where
    elif _has(told, "Idempotency-Key"):
        assert headers["201"] >= {"Bailiwick-Position"}, where
    if any(one["name"] == "cursor" for one in told.get("parameters", ())):
        assert headers[done] == {"Link"}, where
    if path.endswith("/count"):
        names = {one["name"] for one in told["parameters"]}
        assert not names & {"limit", "cursor"}, f"{path}: what is counted has no pages"


@pytest.mark.parametrize("operation", OPERATIONS, ids=_names)
def test_operation_names_the_codes_of_its_errors(
    operation: tuple[str, str, str, Operation],
) -> None:
    _, method, path, told = operation
    nameless = [
        status
        for status, answer in told["responses"].items()
        if status.startswith(("4", "5")) and not answer.get("x-codes")
    ]
    assert not nameless, f"{method} {path}: problems(…) with the refusals of {nameless}"


@pytest.mark.parametrize("service", SERVICES)
def test_every_refusal_of_a_service_is_one_of_an_operations_codes(service: str) -> None:
    declared_codes = {
        code
        for item in introspection.document(service)["paths"].values()
        for operation in item.values()
        for answer in operation["responses"].values()
        for code in answer.get("x-codes", ())
    }
    refusals = {
        refusal.code: refusal.__name__
        for refusal in _kinds_of(Refusal)
        if refusal.__module__.startswith(f"bailiwick_{service}.") and hasattr(refusal, "code")
    }
    missing = {code: name for code, name in refusals.items() if code not in declared_codes}
    assert missing.keys() <= OF_IMPORTS, f"name them where they may be answered: {missing}"


def _kinds_of(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    for one in kind.__subclasses__():
        yield one
        yield from _kinds_of(one)


def _amounts(schema: Any) -> Iterator[str]:
    match schema:
        case {"type": "number"}:
            yield str(schema.get("title", schema))
        case dict():
            for part in schema.values():
                yield from _amounts(part)
        case list():
            for part in schema:
                yield from _amounts(part)
        case _:
            pass


@pytest.mark.parametrize("service", SERVICES)
def test_no_amount_is_a_float(service: str) -> None:
    found = list(_amounts(introspection.document(service)))
    assert not found, f"amounts are strings: use kit.wire.Exact (D30): {found}"


@pytest.mark.parametrize("service", SERVICES)
def test_bodies_refuse_what_they_do_not_know(service: str) -> None:
    document = introspection.document(service)
    for _, _, path, operation in OPERATIONS:
        content = operation.get("requestBody", {}).get("content", {})
        reference = content.get("application/json", {}).get("schema", {}).get("$ref", "")
        name = reference.rpartition("/")[2]
        if name in document["components"]["schemas"]:
            schema = document["components"]["schemas"][name]
            assert schema.get("additionalProperties") is False, (
                f"{path}: derive it from kit.wire.Model"
            )


def _sequences(schema: Any) -> Iterator[Mapping[str, Any]]:
    match schema:
        case {"type": "tuple" | "list" | "set" | "frozenset"}:
            yield schema
            yield from _sequences(list(schema.values()))
        case dict():
            yield from _sequences(list(schema.values()))
        case list() | tuple():
            for part in schema:
                yield from _sequences(part)
        case _:
            pass


@pytest.mark.parametrize("operation", READERS)
def test_lists_that_are_sent_are_judged_up_to_their_first_wrong_item(operation: str) -> None:
    schema = READERS[operation].model.__pydantic_core_schema__
    for sequence in _sequences(schema):
        assert sequence.get("fail_fast"), f"{operation}: Field(max_length=…, fail_fast=True)"


def _errors(model: type[BaseModel], raw: bytes) -> list[Any]:
    try:
        model.model_validate_json(raw)
    except ValidationError as error:
        return list(error.errors())
    return []


@pytest.mark.parametrize("operation", READERS)
def test_the_heaviest_bodies_cost_no_more_than_their_values(operation: str) -> None:
    """What the operation lets in, and no model takes, is refused unparsed or has few faults."""
    reader = READERS[operation]
    kinds: dict[str, int] = {"refused": 0, "read": 0}
    for shape, raw in heavy_bodies.shapes(reader):
        body = heavy_bodies.sent(reader, raw)
        try:
            _ = body._json
        except TooLarge:
            kinds["refused"] += 1
            continue
        kinds["read"] += 1
        kinds_of = [error["type"] for error in _errors(reader.model, raw)]
        assert len(kinds_of) <= reader.most_values, shape
        wrong = len(kinds_of) - kinds_of.count("extra_forbidden")
        assert wrong <= len(reader.model.model_fields) + 10, shape
    assert kinds["refused"] > 3
    assert kinds["read"] > 3


def _instants(schema: Any, schemas: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    match schema:
        case {"$ref": str(reference)}:
            yield from _instants(schemas[reference.rpartition("/")[2]], schemas)
        case {"format": "date-time"}:
            yield schema
        case dict():
            for part in schema.values():
                yield from _instants(part, schemas)
        case list():
            for part in schema:
                yield from _instants(part, schemas)
        case _:
            pass


@pytest.mark.parametrize("operation", OPERATIONS, ids=_names)
def test_instants_that_are_sent_have_bounds(operation: tuple[str, str, str, Operation]) -> None:
    service, method, path, told = operation
    schemas = introspection.document(service)["components"]["schemas"]
    sent = [told.get("requestBody", {}), *told.get("parameters", ())]
    for instant in _instants(sent, schemas):
        told_bounds = "9999-12-31T00:00:00Z" in instant.get("description", "")
        assert told_bounds, f"{method} {path}: use kit.wire.Instant"


def test_nothing_that_was_released_is_gone() -> None:
    for path, text in released("contracts/openapi").items():
        now = json.loads((CHECKOUT / path).read_text("utf-8"))["paths"]
        for address, item in json.loads(text)["paths"].items():
            gone = item.keys() - now.get(address, {}).keys()
            assert not gone, f"{path.name}: {gone} of {address} was released; it stays within /v1"
