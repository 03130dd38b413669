"""Alerts ask for metrics that there are, by labels that they have, and name pages that can be read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from bailiwick_kit.telemetry.metrics import DECLARED
from bailiwick_testkit.checkout import CHECKOUT
from bailiwick_testkit.checks.chart import FOLDER, Chart, of_kind

RULES: list[dict[str, Any]] = yaml.safe_load(
    (FOLDER / "bailiwick" / "files" / "alerts.yaml").read_text("utf-8")
)["groups"][0]["rules"]
OF_THE_SCRAPE = {"namespace", "service", "le"}
"""Labels that Prometheus adds, or a histogram has."""


def metric(name: str) -> str:
    return name if name in DECLARED else re.sub("_(bucket|count|sum)$", "", name)


def faults(rule: dict[str, Any]) -> set[str]:
    """Give the names in an alert's expression that nothing has."""
    asked = re.findall(r"\b(bailiwick_\w+)(?:\{([^}]*)\})?", rule["expr"])
    unknown = {name for name, _ in asked if metric(name) not in DECLARED}
    known = [DECLARED[metric(name)] for name, _ in asked if metric(name) in DECLARED]
    labels = {label for one in known for label in one.labels} | OF_THE_SCRAPE
    wanted = {label for _, matched in asked for label in re.findall(r"(\w+)\s*=", matched)}
    for grouped in re.findall(r"by \(([^)]*)\)", rule["expr"]):
        wanted |= set(re.findall(r"\w+", grouped))
    shown = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    return unknown | (wanted | shown) - labels


def test_alerts_ask_for_what_is_measured() -> None:
    assert len(RULES) > 10
    assert not {rule["alert"]: faults(rule) for rule in RULES if faults(rule)}


def test_made_up_metric_and_label_are_found() -> None:
    rule = {"annotations": {"summary": "{{ $labels.colour }}"}}
    expr = 'sum by (shade) (bailiwick_relay_actif{tone="x"}) + bailiwick_dead_letters'
    assert faults(rule | {"expr": expr}) == {"bailiwick_relay_actif", "shade", "tone", "colour"}


def test_values_of_labels_are_those_that_are_counted() -> None:
    for rule in RULES:
        for name, matched in re.findall(r"\b(bailiwick_\w+)\{([^}]*)\}", rule["expr"]):
            for value in re.findall(r'(?:outcome|process)="(\w+)"', matched):
                assert value in DECLARED[metric(name)].help, f"{rule['alert']}: {value}"


def test_alerts_lead_to_pages_of_the_runbook(chart: Chart) -> None:
    (rendered,) = of_kind(chart.rendered("watched"), "PrometheusRule")
    rules = rendered["spec"]["groups"][0]["rules"]
    assert [rule["alert"] for rule in rules] == [rule["alert"] for rule in RULES]
    for rule in rules:
        base, _, page = rule["annotations"]["runbook_url"].rpartition("/")
        assert base == "https://runbooks.example.com/bailiwick"
        assert (CHECKOUT / "docs" / "runbook" / page).is_file(), f"{rule['alert']}: write {page}"
        assert rule["labels"]["severity"] in {"critical", "warning"}


def test_runbook_knows_every_alert_that_it_names() -> None:
    named = {
        alert
        for page in Path(CHECKOUT, "docs", "runbook").glob("*.md")
        for alert in re.findall(r"\bBailiwick[A-Z]\w+", page.read_text("utf-8"))
    }
    assert named <= {rule["alert"] for rule in RULES}
