"""Whatever is sent, by whomever: no server error, and nothing but what the OpenAPI documents say (G8).

schemathesis makes requests from the documents, good ones and odd ones, half of them about records that
are there. A run that was only ever refused would show nothing: every operation must also have worked.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.core.transport import Response
from schemathesis.generation import GenerationMode
from schemathesis.generation.case import Case
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bailiwick_testkit.checkout import CHECKOUT, SERVICES
from bailiwick_testkit.company import Someone
from bailiwick_testkit.target import Target

PEOPLE: dict[str, dict[str, Any]] = {
    "Sol": {"role": "sales_manager"},
    "Ada": {"role": "sales_administrator"},
    "Ana": {"permissions": ["seller"]},
    "Tom": {"role": "sales_assistant"},
    "Zoe": {"role": "custom_member", "ticks": {"customers": "edit"}},
    "Max": {"permissions": ["reports", "members"]},
}
"""Besides the brand manager, a representative, and the storefront."""
EXAMPLES = int(os.environ.get("BAILIWICK_EXAMPLES", "9"))
"""Requests for each operation and person; some 1,000 a service. More: BAILIWICK_EXAMPLES=500."""
SEED = int(os.environ.get("BAILIWICK_SEED", "4"))
Operation: TypeAlias = APIOperation[Any, Any, Any, Any]
Sent: TypeAlias = Case[Any]
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@dataclass
class Asked:
    """What was asked and answered so far: operation → status → how often."""

    target: Target
    answers: dict[str, Counter[int]] = field(default_factory=dict)

    def ids(self, operation: Operation) -> dict[str, str]:
        """Give the records that the operation's path may name."""
        return {
            name: value
            for name, value in self.target.ids.items()
            if f"{{{name}}}" in operation.path
        }

    def body(self, name: str) -> dict[str, Any] | None:
        """Give a body that the operation takes, None where there is none."""
        try:
            return self.target.good(name)
        except KeyError:
            return None

    def answered(self, name: str, status: int) -> None:
        """Count an answer."""
        self.answers.setdefault(name, Counter())[status] += 1


@pytest.fixture(scope="module")
def asked(target: Target) -> Asked:
    company = target.company
    for name, grants in PEOPLE.items():
        company.hire(name, **grants)
    company.storefront()
    return Asked(target)


def operations_of(service: str) -> list[Operation]:
    path = CHECKOUT / "contracts" / "openapi" / f"{service}.json"
    schema = schemathesis.openapi.from_dict(json.loads(path.read_text("utf-8")))
    return [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]


def name_of(operation: Operation) -> str:
    return str(operation.definition.raw["operationId"])


def requests_to(operation: Operation, asked: Asked) -> st.SearchStrategy[Sent]:
    """Give good and odd requests, some of them about records that are there."""
    ids, body = asked.ids(operation), asked.body(name_of(operation))
    named: dict[str, Any] = {"path_parameters": ids} if ids else {}
    made = [operation.as_strategy(GenerationMode.POSITIVE, **named)]
    made.append(operation.as_strategy(GenerationMode.NEGATIVE, **named))
    if ids:
        made.append(operation.as_strategy(GenerationMode.POSITIVE))
    if body is not None:
        good: dict[str, Any] = {"body": body, "media_type": "application/json", **named}
        made.append(operation.as_strategy(GenerationMode.POSITIVE, **good))
    return st.one_of(made)


def send(case: Sent, who: Someone) -> Response:
    """Send the request as somebody, through the gateway."""
    headers = {"Authorization": f"Bearer {who.token}"}
    if case.method in {"PATCH", "PUT", "POST"} and "If-Match" not in (case.headers or {}):
        headers["If-Match"] = "*"
    response = case.call(base_url=str(who.http.base_url).rstrip("/"), headers=headers)
    case.validate_response(response, checks=CHECKS)
    return response


def hold(operation: Operation, who: Someone, asked: Asked) -> None:
    """Hold that no request to the operation breaks anything, whatever it is."""

    @seed(SEED)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=requests_to(operation, asked))
    def each(case: Sent) -> None:
        asked.answered(name_of(operation), send(case, who).status_code)

    each()


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("name", ["Mia", "Rita", "buyer", *PEOPLE])
def test_no_request_breaks_a_service_or_its_document(asked: Asked, service: str, name: str) -> None:
    who = asked.target.company[name]
    for operation in operations_of(service):
        hold(operation, who, asked)


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_has_also_worked(asked: Asked, service: str) -> None:
    names = {name_of(operation) for operation in operations_of(service)}
    if not names <= asked.answers.keys():
        pytest.fail(f"nobody asked {sorted(names - asked.answers.keys())}: run the whole file")
    refused = {
        name: dict(asked.answers[name])
        for name in sorted(names)
        if not any(status < 300 for status in asked.answers[name])
    }
    assert not refused, refused
