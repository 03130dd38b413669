"""Who may come to whom: beside what the services' code asks of each other."""

from __future__ import annotations

import pytest

from bailiwick_launcher.services import SERVICES
from bailiwick_testkit.checkout import CHECKOUT
from bailiwick_testkit.checks.chart import Chart, Manifest, component, of_kind

NAMES, POSTGRESQL, RABBITMQ, MAIL, SIBLINGS, TRACES = 53, 5432, 5672, 587, 8000, 4318


def callers(manifests: list[Manifest], service: str) -> set[str]:
    """Give who may come to a service's requests."""
    (policy,) = [
        one
        for one in of_kind(manifests, "NetworkPolicy")
        if one["metadata"]["name"].endswith(f"{service}-api")
    ]
    (way,) = [one for one in policy["spec"]["ingress"] if one["ports"] == [{"port": "http"}]]
    return {one["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for one in way["from"]}


def knocks_at(service: str) -> set[str]:
    """Give the siblings whose change feeds a service's code opens."""
    code = "\n".join(
        file.read_text("utf-8") for file in (CHECKOUT / "services" / service / "src").rglob("*.py")
    )
    return {one for one in SERVICES if f"{one}_replica(" in code}


def test_network_lets_services_knock_where_their_code_does(chart: Chart) -> None:
    for owner in SERVICES:
        knocking = {service for service in SERVICES if owner in knocks_at(service)}
        allowed = callers(chart.rendered("default"), owner)
        assert allowed == {"gateway"} | {
            f"{service}-{process}" for service in knocking for process in ("api", "worker")
        }
    assert knocks_at("orders") == {"identity", "customers"}


def ways_out(manifests: list[Manifest], pod: Manifest) -> set[int]:
    """Give the ports that a pod may go to, by all policies that hold for it."""
    labels = pod["spec"]["template"]["metadata"]["labels"].items()
    return {
        port["port"]
        for policy in of_kind(manifests, "NetworkPolicy")
        if policy["spec"]["podSelector"]["matchLabels"].items() <= labels
        and "Egress" in policy["spec"]["policyTypes"]
        for way in policy["spec"].get("egress", [])
        for port in way["ports"]
    }


def expected(of: str, *more: int) -> set[int]:
    service, _, process = of.partition("-")
    ports = {NAMES} | ({SIBLINGS} if of == "gateway" else {POSTGRESQL})
    if process in {"worker", "migrate"}:
        ports |= {RABBITMQ}
    if process in {"api", "worker"}:
        ports |= set(more) | ({SIBLINGS} if service != "identity" else set())
    return ports | ({MAIL} if of == "notifier-worker" else set())


@pytest.mark.parametrize(("values", "more"), [("default", ()), ("watched", (TRACES,))])
def test_each_process_is_let_out_to_what_it_asks_and_no_more(
    chart: Chart, values: str, more: tuple[int, ...]
) -> None:
    manifests = chart.rendered(values)
    pods = of_kind(manifests, "Deployment", "Job")
    assert len(pods) == 3 * len(SERVICES) + 1
    for pod in pods:
        assert ways_out(manifests, pod) == expected(component(pod), *more), component(pod)


def test_operations_port_is_for_prometheus_alone(chart: Chart) -> None:
    for values, readers in (("default", 5 * 2), ("narrow-network", 0)):
        ways = [
            way
            for policy in of_kind(chart.rendered(values), "NetworkPolicy")
            for way in policy["spec"].get("ingress", [])
            if way["ports"] == [{"port": "operations"}]
        ]
        assert len(ways) == readers
        assert all("podSelector" in peer for way in ways for peer in way["from"])
