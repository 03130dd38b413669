"""The handbook over the running stack: what the API explorer does, done as it does it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from uuid import uuid4

import httpx2
import pytest

from bailiwick_launcher.services import SERVICES
from bailiwick_testkit.servers.stack import Running
from bailiwick_testkit.services.company import Company, a_company, done


@pytest.fixture(scope="module")
def company(stack: Running) -> Iterator[Company]:
    with a_company(stack) as company:
        yield company


@pytest.fixture(scope="module")
def browser(stack: Running) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=stack.gateway, timeout=30) as browser:
        yield browser


@pytest.mark.parametrize("service", SERVICES)
def test_document_leads_to_operations_that_are_there(
    browser: httpx2.Client, company: Company, service: str
) -> None:
    document = browser.get(f"/docs/openapi/{service}.json").json()
    lists = [path for path, item in document["paths"].items() if "get" in item and "{" not in path]
    assert lists
    for path in lists:
        answer = company.boss.get(path)
        assert answer.status_code in {200, 422}, f"{path}: {answer.text}"


def test_explorer_signs_in_where_the_document_says_with_the_empty_client_that_it_sends(
    browser: httpx2.Client, company: Company
) -> None:
    document = browser.get("/docs/openapi/customers.json").json()
    [scheme] = document["components"]["securitySchemes"].values()
    address = scheme["flows"]["password"]["tokenUrl"]
    email, password = f"{uuid4().hex}@wines.example", secrets.token_urlsafe(18)
    ana = {"name": "Ana", "email": email, "password": password, "permissions": ["seller"]}
    done(company.boss.post("/v1/members", ana))
    form = {"grant_type": "password", "username": email, "password": password}
    token = done(browser.post(address, data=form, auth=("", "")))["access_token"]
    shown = browser.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert done(shown)["member"]["permissions"] == ["seller"]
