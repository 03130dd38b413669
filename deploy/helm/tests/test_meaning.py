"""What the chart names is there: each address, link, port, account and key of a Secret."""

from __future__ import annotations

import copy
import fnmatch
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from bailiwick_kit.bus.broker_accounts import OPERATOR, accounts
from bailiwick_launcher.services import SERVICES
from bailiwick_testkit.checks.chart import (
    VALUES,
    Chart,
    Manifest,
    component,
    containers,
    environment,
    of_kind,
)
from bailiwick_testkit.checks.links import leads_somewhere, order_link

OWN = "app.kubernetes.io/instance"
"""The label by which a selector means pods of this release."""


def words(manifest: Any) -> Iterator[tuple[str, Any]]:
    """Give each member of a manifest, however deep, as (name, value)."""
    if isinstance(manifest, dict):
        for name, value in manifest.items():
            yield name, value
            yield from words(value)
    elif isinstance(manifest, list):
        for one in manifest:
            yield from words(one)


def pods(manifests: list[Manifest]) -> list[Manifest]:
    return [one["spec"]["template"] for one in of_kind(manifests, "Deployment", "Job")]


def served(manifests: list[Manifest]) -> set[tuple[str, Any]]:
    """Give each Service with a port, by number and by name, behind which a container listens."""
    found = set()
    for service in of_kind(manifests, "Service"):
        behind = {
            port["name"]
            for pod in pods(manifests)
            if service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
            for container in pod["spec"]["containers"]
            for port in container.get("ports", [])
        }
        for port in service["spec"]["ports"]:
            if port["targetPort"] in behind:
                name = service["metadata"]["name"]
                found |= {(name, port["port"]), (name, port["name"])}
    return found


def asked(manifests: list[Manifest]) -> Iterator[tuple[str, Any]]:
    """Give each Service with a port that a process is told of, or that a way from outside leads to."""
    for manifest in of_kind(manifests, "Deployment", "Job"):
        for container in containers(manifest):
            yield from told(environment(container))
    for name, value in words(of_kind(manifests, "HTTPRoute")):
        if name == "backendRefs":
            yield from ((one["name"], one["port"]) for one in value)
    for name, value in words(of_kind(manifests, "Ingress")):
        if name == "service":
            yield value["name"], value["port"]["name"]


def told(variables: dict[str, str]) -> Iterator[tuple[str, int]]:
    for name, value in variables.items():
        if re.fullmatch(r"BAILIWICK_(\w+_UPSTREAM|(IDENTITY|CUSTOMERS)_URL)", name):
            host, _, port = value.removeprefix("http://").partition(":")
            service, _, rest = host.partition(".")
            assert not rest or re.fullmatch(r"sales\.svc\.[\w.]+", rest), host
            yield service, int(port)


def nowhere(manifests: list[Manifest]) -> set[str]:
    """Give what manifests name and nothing is."""
    found = {f"{name}:{port}" for name, port in {*asked(manifests)} - served(manifests)}
    there = {(one["kind"], one["metadata"]["name"]) for one in manifests}
    for manifest in manifests:
        of_pods = manifest["kind"] != "ServiceMonitor"
        chosen = pods(manifests) if of_pods else of_kind(manifests, "Service")
        labels = [one["metadata"]["labels"].items() for one in chosen]
        for name, value in words({key: one for key, one in manifest.items() if key != "metadata"}):
            if name in {"selector", "matchLabels"} and OWN in value:
                if not any(value.items() <= one for one in labels):
                    found.add(f"{manifest['kind']} of {value}")
            elif name == "scaleTargetRef" and (value["kind"], value["name"]) not in there:
                found.add(value["name"])
            elif name == "serviceAccountName" and ("ServiceAccount", value) not in there:
                found.add(value)
        if manifest["kind"] == "Deployment":
            found |= without_port(manifest)
    return found


def without_port(deployment: Manifest) -> set[str]:
    """Give the ports that probes ask for and no container of the pod has."""
    had = {port["name"] for one in containers(deployment) for port in one.get("ports", [])}
    probed = {value["port"] for name, value in words(deployment) if name == "httpGet"}
    return {f"port {port}" for port in probed - had}


@pytest.mark.parametrize("values", VALUES)
def test_each_address_selector_account_and_port_is_of_something_that_is_there(
    chart: Chart, values: str
) -> None:
    manifests = chart.rendered(values)
    by_hand = {
        one for one in nowhere(manifests) if re.search(r"NetworkPolicy of .*-migrate'}", one)
    }
    assert nowhere(manifests) == by_hand
    assert bool(by_hand) == (values == "migrations-by-hand")  # for pods that an operator runs
    assert {service for service, _ in asked(manifests)} >= {
        one["metadata"]["name"]
        for one in of_kind(manifests, "Service")
        if component(one).endswith("-api")
    }


@pytest.mark.parametrize("values", ["default", "gateway-api", "ingress", "large", "watched"])
@pytest.mark.parametrize("kind", ["Service", "Deployment", "ServiceAccount"])
def test_whatever_is_taken_away_is_missed(chart: Chart, values: str, kind: str) -> None:
    manifests = chart.rendered(values)
    for gone in of_kind(manifests, kind):
        if kind == "Service" and component(gone) in {"gateway", "operations"}:
            continue  # for people and for Prometheus: nothing needs to name it
        left = copy.deepcopy([one for one in manifests if one is not gone])
        assert nowhere(left), gone["metadata"]["name"]


@pytest.mark.parametrize("values", VALUES)
def test_tokens_are_issued_by_the_address_that_leads_to_the_gateway(
    chart: Chart, values: str
) -> None:
    manifests = chart.rendered(values)
    issuers = {
        told["BAILIWICK_ISSUER"]
        for one in of_kind(manifests, "Deployment")
        for told in map(environment, containers(one))
        if "BAILIWICK_ISSUER" in told
    }
    assert len(issuers) == 1
    routed = [one for kind in ("HTTPRoute", "Ingress") for one in of_kind(manifests, kind)]
    for route in routed:
        hosts = route["spec"].get("hostnames") or [one["host"] for one in route["spec"]["rules"]]
        host = urlsplit(next(iter(issuers))).hostname
        assert any(fnmatch.fnmatch(str(host), pattern) for pattern in hosts)


def test_each_process_has_the_account_of_the_broker_that_is_its_own(chart: Chart) -> None:
    had = {}
    for manifest in of_kind(chart.rendered("default"), "Deployment", "Job"):
        for name, value in words(manifest):
            if name == "secret" and value["name"] == "bailiwick-broker":
                [item] = value["items"]
                had[component(manifest)] = item["key"].removesuffix("-url")
    assert had == {f"{service}-worker": service for service in SERVICES} | {
        f"{service}-migrate": "migrations" for service in SERVICES
    }
    assert {*had.values()} == {one.name for one in accounts()} - {OPERATOR}


@pytest.mark.parametrize("values", VALUES)
def test_mails_link_to_nothing_that_the_gateway_does_not_serve(chart: Chart, values: str) -> None:
    for manifest in of_kind(chart.rendered(values), "Deployment"):
        for container in containers(manifest):
            if base := environment(container).get("BAILIWICK_PUBLIC_URL"):
                assert leads_somewhere(order_link(base))
