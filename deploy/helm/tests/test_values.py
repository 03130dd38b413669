"""What may be said to the chart: the schema, the table of the README, and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from bailiwick_launcher.services import SERVICES
from bailiwick_testkit.checks.chart import (
    FOLDER,
    Chart,
    component,
    containers,
    environment,
    of_kind,
    ran,
)
from bailiwick_testkit.checks.introspection import settings

VALUES: dict[str, Any] = yaml.safe_load((FOLDER / "bailiwick" / "values.yaml").read_text("utf-8"))
SCHEMA: dict[str, Any] = json.loads(
    (FOLDER / "bailiwick" / "values.schema.json").read_text("utf-8")
)
SAID_ONCE = {"resources", "autoscaling"}
"""Values that have one line in the table."""

WRONG = {
    "image: {tag: latest}": "/image/tag",
    "image: {digests: {orders: sha256:12}}": "/image/digests/orders",
    "publicUrl: sales.example.com": "/publicUrl",
    "publicUrl: https://sales.example.com/": "/publicUrl",
    "service: {orders: {}}": "'service' not allowed",
    "services: {catalog: {}}": "'catalog' not allowed",
    "services: {orders: {api: {replica: 3}}}": "'replica' not allowed",
    "services: {orders: {api: {replicas: three}}}": "/services/orders/api/replicas",
    "services: {orders: {worker: {replicas: 0}}}": "/services/orders/worker/replicas",
    "services: {orders: {settings: {PASSWORDS_AT_ONCE: 4}}}": "'PASSWORDS_AT_ONCE' not allowed",
    "services: {identity: {settings: {PASSWORDS_AT_ONCE: 99}}}": "PASSWORDS_AT_ONCE",
    "services: {orders: {settings: {DOOR_SECRET: abc}}}": "'DOOR_SECRET' not allowed",
    "secrets: {broker: {url: amqp://u:p@h}}": "'url' not allowed",
    "secrets: {databases: {orders: ''}}": "/secrets/databases/orders",
    "mail: {from: orders@example.com}": "/mail/from",
    "tls: {postgresql: verify-full}": "/tls/authority",
    "tls: {postgresql: disable}": "/tls/postgresql",
    "policy: {remote: {url: https://policy.example.com}}": "/policy/remote/publicKey",
    "policy: {remote: {url: http://policy.example.com}}": "/policy/remote/url",
    "opa: {image: {tag: latest}}": "/opa/image/tag",
    "defaults: {api: {resources: {limits: null}}}": "missing property 'limits'",
    "defaults: {worker: {resources: {requests: {memory: 1G}}}}": "/resources/requests/memory",
    "httpRoute: {enabled: true}": "/httpRoute/parentRefs",
    "ingress: {enabled: true}": "/ingress/hosts",
    "networkPolicy: {clients: [{}]}": "/networkPolicy/clients/0",
    "gateway: {trustedProxies: [everybody]}": "/gateway/trustedProxies/0",
    "podLabels: {app.kubernetes.io/name: x}": "invalid propertyName 'app.kubernetes.io/name'",
    "bindAddress: 127.0.0.1": "/bindAddress",
    "topologySpreadConstraints: [{maxSkew: 1}]": "missing properties",
    "topologySpreadConstraints: [{maxSkew: 0, topologyKey: a, whenUnsatisfiable: Wait}]": "/maxSkew",
    "tolerations: [{keyy: a}]": "'keyy' not allowed",
    "affinity: {nodeAfinity: {}}": "'nodeAfinity' not allowed",
    "podLabels: {team: sales team}": "/podLabels/team",
    "serviceMonitor: {labels: {helm.sh/chart: x}}": "invalid propertyName 'helm.sh/chart'",
    "publicUrl: https://sales.example.com/~app": "/publicUrl",
    "publicUrl: 'https://sales.example.com:'": "/publicUrl",
    "image: {tag: 1 4}": "/image/tag",
    "image: {prefix: Sales/}": "/image/prefix",
    "image: {registry: https://registry.example.com}": "/image/registry",
    "opa: {image: {repository: opa:latest}}": "/opa/image/repository",
    "tracing: {endpoint: http://us:pass@collector:4318}": "/tracing/endpoint",
    "policy: {remote: {url: https://us:pass@policy.example.com}}": "/policy/remote/url",
    "policy: {remote: {publicKey: -----BEGIN PRIVATE KEY-----}}": "/policy/remote/publicKey",
    "tls: {authority: {configMap: one, secret: other}}": "/tls/authority",
    "gateway: {trustedProxies: [10.0.0.0/33]}": "/gateway/trustedProxies/0",
    "gateway: {trustedProxies: ['10']}": "/gateway/trustedProxies/0",
    "gateway: {autoscaling: {enabled: true, minReplicas: 7}}": "gateway.autoscaling: minReplicas is above",
    "services: {orders: {api: {autoscaling: {enabled: true, maxReplicas: 1}}}}": (
        "services.orders.api.autoscaling: minReplicas is above"
    ),
    "defaults: {api: {resources: {limits: {cpu: 0}}}}": "/resources/limits/cpu",
    "networkPolicy: {clients: [{ipBlock: {}}]}": "missing property 'cidr'",
    "networkPolicy: {mail: {to: [{ipBlock: {cidr: mail.example.com}}]}}": "/ipBlock/cidr",
    "networkPolicy: {clients: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}": "/networkPolicy/clients",
    "clusterDomain: '*.local'": "/clusterDomain",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_value_is_refused_by_name(chart: Chart, wrong: str) -> None:
    done = chart.template("-f", "-", text=wrong)
    assert done.returncode != 0, f"{wrong} is taken"
    assert WRONG[wrong] in done.stderr


@pytest.mark.parametrize("release", ["2026", "1-sales", "sales.test"])
def test_release_whose_services_could_have_no_name_is_refused(chart: Chart, release: str) -> None:
    # At once: Kubernetes would refuse the Services (RFC 1035) when migrations have run.
    command = [chart.helm, "template", release, "bailiwick"]
    done = ran(command)
    assert done.returncode != 0
    assert "fullnameOverride" in done.stderr
    assert ran([*command, "--set", "fullnameOverride=sales"]).returncode == 0


def test_older_kubernetes_is_refused(chart: Chart) -> None:
    done = chart.template("--kube-version", "1.28.9")
    assert done.returncode != 0
    assert "1.29" in done.stderr


def schema_at(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        found: dict[str, Any] = SCHEMA["$defs"][node["$ref"].rpartition("/")[2]]
        return found
    return node


def open_objects(value: Any, node: dict[str, Any], path: str = "") -> Iterator[str]:
    """Give the values whose schema lets in what the chart does not have, or lacks what it has."""
    node = schema_at(node)
    if not isinstance(value, dict) or not value:
        return
    if node.get("additionalProperties") is not False or not set(value) <= set(node["properties"]):
        yield path
        return
    for name, one in value.items():
        yield from open_objects(one, node["properties"][name], f"{path}/{name}")


def test_schema_knows_every_value_and_lets_no_other_in() -> None:
    (constraint,) = VALUES["topologySpreadConstraints"]
    assert constraint["topologyKey"]
    assert not list(open_objects(VALUES, SCHEMA))
    assert SCHEMA["properties"].keys() == VALUES.keys() | {"global"}
    assert set(SCHEMA["required"]) == VALUES.keys()


def test_further_settings_are_those_that_the_chart_does_not_set(chart: Chart) -> None:
    for service in SERVICES:
        fields = settings(service).model_fields
        set_by_chart = {
            name.removeprefix("BAILIWICK_").removesuffix("_FILE").lower()
            for manifest in of_kind(chart.rendered("default"), "Deployment", "Job")
            if component(manifest).startswith(f"{service}-")
            for name in environment(list(containers(manifest))[-1])
        }
        secret = {
            name for name, one in fields.items() if one.annotation in (SecretStr, SecretStr | None)
        }
        offered = SCHEMA["properties"]["services"]["properties"][service]["properties"]["settings"]
        further = {name.upper() for name in fields.keys() - set_by_chart - secret}
        assert offered["properties"].keys() == further, service


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value and path.rpartition(".")[2] not in SAID_ONCE:
        for name, one in value.items():
            yield from leaves(one, f"{path}.{name}" if path else name)
    else:
        yield path, value


def expected_table() -> dict[str, Any]:
    """Give values and defaults, those of all services as one."""
    each = re.compile(
        rf"^(services|secrets\.databases|secrets\.broker\.keys)\.({'|'.join(SERVICES)})\b"
    )
    found: dict[str, Any] = {}
    for path, value in leaves(VALUES):
        service = (match := each.match(path)) and match[2]
        shown = value.replace(service, "<service>") if service and value else value
        name = each.sub(r"\1.<service>", path)
        assert found.setdefault(name, shown) == shown, f"{path} differs from the other services'"
    return found


def test_readme_lists_every_value_with_its_default() -> None:
    text = (FOLDER / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| `([\w.<>]+)` \| `(.+?)` \| ", text, re.MULTILINE)
    assert {name: json.loads(default) for name, default in rows} == expected_table()


def test_values_file_says_what_is_what() -> None:
    text = (FOLDER / "bailiwick" / "values.yaml").read_text("utf-8")
    assert text.count("# ") > len(VALUES)
    assert not re.search(r"password:\s*\S", text, re.IGNORECASE)


def test_readme_leads_somewhere() -> None:
    file = FOLDER / "README.md"
    targets = re.findall(r"\]\((?!https?://)([^)#]+)", file.read_text("utf-8"))
    assert not [one for one in targets if not Path(file.parent, one).exists()]
