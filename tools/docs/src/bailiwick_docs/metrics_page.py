"""docs/metrics.md: every metric as kit declares it, and every alarm as the chart has it."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from bailiwick_docs.checkout import CHECKOUT
from bailiwick_docs.configuration_page import section
from bailiwick_kit.telemetry.metrics import DECLARED

ALARMS = CHECKOUT / "deploy" / "helm" / "bailiwick" / "files" / "alerts.yaml"
_RUNBOOK = "RUNBOOK/"

_HEAD = """\
# Metrics and alarms

Made from code by `./bailiwick contracts`. How to read them: [operating](operating.md).

Prometheus reads them at `/metrics` of the operations port, from the API and the worker of each service. No
label holds an organization, a person or a path. A metric that a process cannot measure is absent, not 0.
Besides these there are prometheus-client's own metrics of the process: memory, CPU time, open files.
"""


def page() -> str:
    """Return the page as it should be."""
    return "\n".join([_HEAD, *_metrics(), *_alarms()])


def _metrics() -> Iterator[str]:
    rows = [
        (f"`{one.name}`", one.kind, ", ".join(f"`{label}`" for label in one.labels), one.help)
        for one in DECLARED.values()
    ]
    yield section("Metrics", ("metric", "kind", "labels", "meaning"), rows)


def _alarms() -> Iterator[str]:
    rows = []
    for group in yaml.safe_load(ALARMS.read_text("utf-8"))["groups"]:
        for rule in group["rules"]:
            name = rule["annotations"]["runbook_url"].removeprefix(_RUNBOOK)
            when = " ".join(rule["expr"].split())
            rows.append(
                (
                    f"`{rule['alert']}`",
                    rule["labels"]["severity"],
                    f"`{when}`",
                    rule.get("for", ""),
                    f"[{name.removesuffix('.md').replace('-', ' ')}](runbook/{name})",
                )
            )
    yield section("Alarms", ("alarm", "severity", "when", "for", "what to do"), rows)
    yield (
        "Prometheus calls them alerts. The chart turns them into a PrometheusRule (`prometheusRule.enabled`)."
        " Without the operator, load\n[the same file](../deploy/helm/bailiwick/files/alerts.yaml).\n"
    )
