"""What the chart renders, for every set of values: for Helm, for Kubernetes, and by our own rules."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Callable

import kubernetes_validate
import pytest
import yaml
from kubernetes_validate import utils as validating

from bailiwick_testkit.checks.chart import FOLDER, VALUES, Chart, Manifest, of_kind, ran

OLDEST, NEWEST = "1.29", kubernetes_validate.latest_version()
OF_OPERATORS = {"HTTPRoute", "PrometheusRule", "ServiceMonitor"}
"""Kinds that Kubernetes itself does not know; their schemas are not in the package."""
MEANT = {"no-network-policy": {"network"}}
"""Rules that a set of values switches off."""
_READ_ONCE = functools.cache(validating.schema_contents)
"""The package would read megabytes for each manifest."""


@pytest.mark.parametrize("values", VALUES)
def test_helm_has_no_objection(chart: Chart, values: str) -> None:
    done = chart.lint(values)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def objections(monkeypatch: pytest.MonkeyPatch) -> Callable[[Manifest, str], str]:
    """What Kubernetes of a version would say of a manifest."""
    monkeypatch.setattr(validating, "schema_contents", _READ_ONCE)
    return _objections


def _objections(manifest: Manifest, version: str) -> str:
    try:
        kubernetes_validate.validate(manifest, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return str(error.message)
    return ""


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_takes_every_manifest(
    chart: Chart, objections: Callable[[Manifest, str], str], version: str
) -> None:
    own = [one for one in chart.everything() if one["kind"] not in OF_OPERATORS]
    found = [(one["metadata"]["name"], objections(one, version)) for one in own]
    assert not [(name, said) for name, said in found if said]


NUMBERS = """
imagePullSecrets: ["1"]
fullnameOverride: sales
secrets:
  databases: {identity: "1", customers: "2", orders: "1e3", reports: "true", notifier: "null"}
  databaseKeys: {owner: "1", api: "2", worker: "0x3"}
  broker: {name: "1.0", keys: {identity: "true", orders: "1", migrations: "null"}}
  signingKeys: {name: "1", key: "null"}
tls: {postgresql: verify-full, authority: {secret: "1", key: "2"}}
policy: {remote: {url: https://a, resource: "1", revision: "2", publicKey: "3", token: {name: "4", key: "5"}}}
gateway: {trustedProxies: ["fe80::"]}
ingress: {enabled: true, className: "1", hosts: ["2.0"], tls: [{secretName: "3", hosts: ["4.0"]}]}
tracing: {endpoint: http://a, headers: {name: "1", key: "2"}}
image: {tag: "1.10"}
podLabels: {a: "1"}
"""


def test_words_that_look_like_numbers_stay_words(
    chart: Chart, objections: Callable[[Manifest, str], str]
) -> None:
    command = [chart.helm, "template", "2026", "bailiwick", "--namespace", "7", "-f", "-"]
    done = ran(command, NUMBERS)
    assert done.returncode == 0, done.stderr
    rendered = [one for one in yaml.load_all(done.stdout, yaml.CSafeLoader) if one]
    assert not [said for one in rendered if (said := objections(one, OLDEST))]
    (told,) = [
        yaml.safe_load(one["data"]["config.yaml"])
        for one in of_kind(rendered, "ConfigMap")
        if "config.yaml" in one["data"]
    ]
    assert told["bundles"]["bailiwick"]["resource"] == "1"


def test_misspelt_member_is_not_taken(
    chart: Chart, objections: Callable[[Manifest, str], str]
) -> None:
    planted = copy.deepcopy(of_kind(chart.rendered("default"), "Deployment")[0])
    planted["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    assert "livenesProbe" in objections(planted, OLDEST)


def test_only_kinds_of_operators_go_unchecked(chart: Chart) -> None:
    rendered = {one["kind"] for one in chart.everything()}
    assert rendered > OF_OPERATORS, "drop the kinds that nothing renders"


def faults(opa_program: str, manifests: list[Manifest]) -> dict[str, list[str]]:
    """Give what each of our rules finds wrong."""
    command = [
        opa_program,
        "eval",
        "--data",
        "policy/manifests",
        "--stdin-input",
        "--format",
        "raw",
    ]
    done = ran([*command, "data.manifests.faults"], json.dumps(manifests))
    assert done.returncode == 0, done.stderr
    told: dict[str, list[str]] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("values", VALUES)
def test_our_rules_find_no_fault(chart: Chart, opa_program: str, values: str) -> None:
    found = faults(opa_program, chart.rendered(values))
    meant = MEANT.get(values, set())
    assert {rule for rule, said in found.items() if said} == meant, json.dumps(found, indent=2)


def test_rules_are_formatted_and_every_line_of_them_is_tried(opa_program: str) -> None:
    mask = "bailiwick/files/decision_log_mask.rego"
    for command in (
        ("fmt", "--fail", "--list", "policy", mask),
        ("check", "--strict", "policy", mask),
        ("test", "policy", mask),
        ("test", "policy", mask, "--coverage", "--threshold", "100"),
    ):
        done = ran([opa_program, *command])
        assert done.returncode == 0, done.stdout + done.stderr


def test_sets_of_values_are_ten_and_no_two_render_the_same(chart: Chart) -> None:
    rendered = {json.dumps(chart.rendered(values)) for values in VALUES}
    assert len(rendered) == len(VALUES) >= 10


@pytest.mark.parametrize("values", VALUES)
def test_set_of_values_says_what_it_is_for(values: str) -> None:
    assert (FOLDER / "tests" / "values" / f"{values}.yaml").read_text("utf-8").startswith("# ")
