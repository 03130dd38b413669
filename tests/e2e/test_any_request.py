"""Whatever is sent, by whomever: no server error, and nothing but what the OpenAPI documents say.

schemathesis makes requests from the documents, good ones and odd ones, half of them about records that
are there. A run that was only ever refused would show nothing: every operation must also have worked.
"""

from __future__ import annotations

import json
import math
import os
import re
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
from bailiwick_testkit.security.attack_target import Target
from bailiwick_testkit.services.company import Someone, done

PEOPLE: dict[str, dict[str, Any]] = {
    "Sol": {"role": "sales_manager"},
    "Ada": {"role": "sales_administrator"},
    "Ana": {"permissions": ["seller"]},
    "Tom": {"role": "sales_assistant"},
    "Zoe": {"role": "custom_member", "ticks": {"customers": "edit"}},
    "Max": {"permissions": ["reports", "members"]},
}
"""Besides the brand manager, a representative, and the storefront."""
ASKING = ("Mia", "Rita", "buyer", *PEOPLE)
CASES = int(os.environ.get("BAILIWICK_CASES", "1000"))
"""Requests to each service, at least; spread over its operations and people."""
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


NO_VERSION = {"If-Match": "*"}
"""Against whichever version there is."""
STEPS = {"confirm_order": (), "fulfil_order": ("confirm",), "cancel_order": (), "list_versions": ()}
"""What must have happened to a placed order before; the others are about a draft."""
ELSEWHERE = {
    "issue_token": "a form with a password; everybody here has signed in by it",
    "revoke_token": "a form with a refresh token, which nobody here keeps",
    "accept_membership": "is for who was invited to a second organization (services/identity)",
}
"""Operations that have no good request here, and why."""


@dataclass
class Asked:
    """What was asked and answered so far: operation → status and code → how often."""

    target: Target
    answers: dict[str, Counter[str]] = field(default_factory=dict)
    read: dict[str, dict[str, str]] = field(default_factory=dict)
    """Operation → the records that it reads."""

    def ids(self, operation: Operation) -> dict[str, str]:
        """Give records for the operation's path: new ones, in a state in which it makes sense.

        Those that are only read are everybody's.
        """
        if operation.method.upper() != "GET":
            return self._new(operation)
        name = name_of(operation)
        if name not in self.read:
            self.read[name] = self._new(operation)
        return self.read[name]

    def _new(self, operation: Operation) -> dict[str, str]:
        company, name = self.target.company, name_of(operation)
        wanted = set(re.findall(r"{(\w+)}", operation.path))
        ids = dict(self.target.ids)
        if "customer_id" in wanted:
            by = company.boss
            if name == "approve_customer":
                by = company["Rita"]
                company.settings(rep_customers_need_approval=True)
            ids["customer_id"] = company.customer("New", by=by)
            if name == "reinstate_customer":
                done(company.boss.post(f"/v1/customers/{ids['customer_id']}/suspend", if_match="*"))
        if "assignment_id" in wanted:
            assigned = company.assign(ids["customer_id"], company["Rita"])
            ids["assignment_id"] = assigned["assignment_id"]
        if "order_id" in wanted:
            is_placed = name in STEPS
            made = company.order(company.boss, self.target.ids["customer_id"], place=is_placed)
            ids["order_id"] = made["order_id"]
            for verb in STEPS.get(name, ()):
                done(company.boss.post(f"/v1/orders/{made['order_id']}/{verb}", if_match="*"))
        if "member_id" in wanted:
            made = done(company.boss.post("/v1/members", self.target.good("create_member")))
            ids["member_id"] = made["member_id"]
            if name == "reactivate_member":
                path = f"/v1/members/{ids['member_id']}/deactivate"
                done(company.boss.post(path, if_match="*"))
        return {one: ids[one] for one in wanted}

    def body(self, name: str) -> dict[str, Any] | None:
        """Give a body that the operation takes, None where there is none."""
        try:
            return self.target.good(name)
        except KeyError:
            return None

    def answered(self, name: str, response: Response) -> None:
        """Count an answer."""
        told = str(response.status_code)
        if response.status_code >= 400:
            told += f" {response.json().get('code')} {response.json().get('errors', '')}"
        self.answers.setdefault(name, Counter())[told] += 1


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


def requests_to(operation: Operation, asked: Asked) -> st.SearchStrategy[tuple[str, Sent]]:
    """Give somebody and a request, good or odd; most are about records that are there, and theirs alone.

    Each kind of request is made from the document once, and not for everybody anew: that takes longest.
    """
    ids = {name: asked.ids(operation) for name in ASKING}
    named: dict[str, Any] = {"path_parameters": ids[ASKING[0]]} if any(ids.values()) else {}
    there = [
        operation.as_strategy(GenerationMode.POSITIVE, **named),
        operation.as_strategy(GenerationMode.NEGATIVE, **named),
    ]

    def about_theirs(asking: tuple[str, Sent]) -> tuple[str, Sent]:
        name, case = asking
        case.path_parameters = dict(ids[name])
        return asking

    who = st.sampled_from(ASKING)
    made = [st.tuples(who, one).map(about_theirs) for one in there]
    if named:
        made.append(st.tuples(who, operation.as_strategy(GenerationMode.POSITIVE)))
    return st.one_of(made)


def good_request(operation: Operation, asked: Asked) -> Sent:
    """Give a request that works for who may make it."""
    body = asked.body(name_of(operation))
    sent: dict[str, Any] = (
        {"body": body, "media_type": "application/json"} if body is not None else {}
    )
    headers = {} if operation.method.upper() == "GET" else NO_VERSION
    return operation.Case(path_parameters=asked.ids(operation), headers=headers, **sent)


def send(case: Sent, who: Someone) -> Response:
    """Send the request as somebody, through the gateway."""
    headers = {"Authorization": f"Bearer {who.token}"}
    response = case.call(base_url=str(who.http.base_url).rstrip("/"), headers=headers)
    case.validate_response(response, checks=CHECKS)
    return response


def hold(operation: Operation, asked: Asked, examples: int) -> None:
    """Hold that no request to the operation breaks anything, whatever it is and whoever sends it."""
    people, name = asked.target.company, name_of(operation)

    @seed(SEED)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(asking=requests_to(operation, asked))
    def each(asking: tuple[str, Sent]) -> None:
        who, case = asking
        asked.answered(name, send(case, people[who]))

    for who in ASKING:
        asked.answered(name, send(good_request(operation, asked), people[who]))
    each()


@pytest.mark.parametrize("service", SERVICES)
def test_no_request_breaks_a_service_or_its_document(asked: Asked, service: str) -> None:
    operations = operations_of(service)
    examples = math.ceil(CASES / len(operations))
    for operation in operations:
        hold(operation, asked, examples)
    answers = {name: asked.answers[name] for name in map(name_of, operations)}
    refused = {
        name: dict(told)
        for name, told in answers.items()
        if name not in ELSEWHERE and not any(one.startswith("2") for one in told)
    }
    assert not refused, refused
    assert sum(sum(told.values()) for told in answers.values()) >= CASES
