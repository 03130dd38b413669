"""What the chart tells each process, beside what the services' settings ask for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import SecretStr

from bailiwick_kit.settings import PREFIX, Process
from bailiwick_launcher.servers import docker_runner as docker
from bailiwick_launcher.servers import opa
from bailiwick_launcher.services import SERVICES
from bailiwick_policy import bundle
from bailiwick_testkit.checkout import read
from bailiwick_testkit.checks.chart import (
    VALUES,
    Chart,
    Manifest,
    component,
    containers,
    environment,
    of_kind,
)
from bailiwick_testkit.checks.introspection import settings

STANDARD = {"PGSSLMODE", "PGSSLROOTCERT"} | {
    f"OTEL_{name}"
    for name in (
        "EXPORTER_OTLP_ENDPOINT",
        "EXPORTER_OTLP_HEADERS",
        "TRACES_SAMPLER",
        "TRACES_SAMPLER_ARG",
    )
}
"""What drivers and OpenTelemetry's SDK read by themselves."""
SECRETS = Path("/run/bailiwick/secrets")


def processes(manifests: list[Manifest]) -> Iterator[tuple[str, str, Manifest]]:
    """Give each process of a service: (service, api or worker or migrate, its manifest)."""
    for manifest in of_kind(manifests, "Deployment", "Job"):
        service, _, process = component(manifest).partition("-")
        if process:
            yield service, process, manifest


def told(manifest: Manifest) -> dict[str, str]:
    return environment(list(containers(manifest))[-1])


def test_chart_runs_every_service_as_each_process(chart: Chart) -> None:
    run = {(service, process) for service, process, _ in processes(chart.rendered("default"))}
    assert run == {(service, process) for service in SERVICES for process in get_args(Process)}


@pytest.mark.parametrize("values", VALUES)
def test_process_is_told_what_it_needs_and_nothing_secret_besides(
    chart: Chart, values: str
) -> None:
    for service, process, manifest in processes(chart.rendered(values)):
        kind = settings(service)
        names = {
            name.removeprefix(PREFIX).removesuffix("_FILE").lower()
            for name in told(manifest)
            if name.startswith(PREFIX)
        }
        needed = {name for name in kind.model_fields if process in kind.needed_by(name)}
        secret = {name for name, one in kind.model_fields.items() if one.annotation is SecretStr}
        assert needed <= names, f"{service} {process} is not told {needed - names}"
        assert names <= kind.model_fields.keys(), f"{service} knows no such setting"
        assert names & secret <= needed, f"{service} {process} needs no {names & secret - needed}"


@pytest.mark.parametrize("values", VALUES)
def test_no_variable_is_made_up(chart: Chart, values: str) -> None:
    for _, _, manifest in processes(chart.rendered(values)):
        assert {name for name in told(manifest) if not name.startswith(PREFIX)} <= STANDARD


def mounted(manifest: Manifest) -> set[Path]:
    volumes = {one["name"]: one for one in manifest["spec"]["template"]["spec"]["volumes"]}
    mounts = list(containers(manifest))[-1]["volumeMounts"]
    assert {"name": "secrets", "mountPath": str(SECRETS), "readOnly": True} in mounts
    return {
        SECRETS / item["path"]
        for source in volumes["secrets"]["projected"]["sources"]
        for item in source["secret"]["items"]
    }


@pytest.mark.parametrize("values", VALUES)
def test_secrets_come_from_files_that_are_mounted(chart: Chart, values: str) -> None:
    for service, _, manifest in processes(chart.rendered(values)):
        kind = settings(service)
        files = {Path(value) for value in told(manifest).values() if value.startswith(f"{SECRETS}")}
        assert files == mounted(manifest)
        for name in told(manifest):
            field = kind.model_fields.get(name.removeprefix(PREFIX).lower())
            assert not field or field.annotation is not SecretStr, f"{name} is shown"


@pytest.mark.parametrize("values", VALUES)
def test_services_start_with_what_they_are_told(
    chart: Chart, values: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for service, process, manifest in processes(chart.rendered(values)):
        with monkeypatch.context() as patch:
            for name, value in told(manifest).items():
                file = tmp_path / Path(value).name
                if value.startswith(f"{SECRETS}"):
                    file.write_text("sixteen characters at least")
                patch.setenv(name, str(file) if value.startswith(f"{SECRETS}") else value)
            loaded = settings(service).load(process)  # type: ignore[arg-type] # one of them
        assert loaded.policy_revision == (None if process == "migrate" else revision(values))


def revision(values: str) -> str:
    return "4f1c2d3e4a5b" if values == "remote-policy" else bundle.revision()


def served(manifests: list[Manifest]) -> dict[str, int]:
    """Give the port of each Service."""
    return {
        one["metadata"]["name"]: one["spec"]["ports"][0]["port"]
        for one in of_kind(manifests, "Service")
    }


def test_ports_agree(chart: Chart) -> None:
    manifests = chart.rendered("default")
    for _, process, manifest in processes(manifests):
        if process == "migrate":
            continue
        (main,) = [one for one in containers(manifest) if one["name"] == process]
        ports = {one["name"]: one["containerPort"] for one in main["ports"]}
        assert told(manifest)["BAILIWICK_OPERATIONS_LISTEN"] == f"0.0.0.0:{ports['operations']}"
        if process == "api":
            assert told(manifest)["BAILIWICK_LISTEN"] == f"0.0.0.0:{ports['http']}"
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert main[probe]["httpGet"]["port"] == "operations"
    ports = served(manifests)
    for _, _, manifest in processes(manifests):
        for name in ("BAILIWICK_IDENTITY_URL", "BAILIWICK_CUSTOMERS_URL"):
            if url := told(manifest).get(name):
                host, _, port = url.removeprefix("http://").partition(":")
                assert ports[host] == int(port)


def test_pod_that_starts_while_its_database_is_away_waits_and_is_not_restarted(
    chart: Chart,
) -> None:
    # `/started` needs the database once: a restart every few minutes, each later than the last, until
    # PostgreSQL is long back (F7). Ready alone goes by what others do.
    for _, process, manifest in processes(chart.rendered("default")):
        if process != "migrate":
            main = list(containers(manifest))[-1]
            probes = ("startupProbe", "livenessProbe", "readinessProbe")
            asked = [main[probe]["httpGet"]["path"] for probe in probes]
            assert asked == ["/live", "/live", "/ready"]


def test_gateway_is_told_what_its_program_asks_for(chart: Chart) -> None:
    program = read(Path("gateway/start"))
    known = set(re.findall(r"^#   (BAILIWICK_\w+) ", program, re.MULTILINE))
    known |= {f"BAILIWICK_{service.upper()}_UPSTREAM" for service in SERVICES}
    for values in VALUES:
        (gateway,) = [
            one
            for one in of_kind(chart.rendered(values), "Deployment")
            if component(one) == "gateway"
        ]
        names = environment(gateway["spec"]["template"]["spec"]["containers"][0])
        assert names.keys() <= known
        upstreams = {f"BAILIWICK_{service.upper()}_UPSTREAM" for service in SERVICES}
        assert names.keys() >= upstreams | {"BAILIWICK_LISTEN", "BAILIWICK_ISSUER"}


def test_gateway_has_memory_for_a_body_on_every_connection(chart: Chart) -> None:
    # nginx keeps bodies and headers in memory: else whoever sends many of them slowly ends it.
    told_nginx = read(Path("gateway/nginx.conf"))
    connections = int(*re.findall(r"worker_connections (\d+);", told_nginx))
    body = int(*re.findall(r"client_body_buffer_size (\d+)m;", told_nginx)) * 1024
    ((number, size),) = re.findall(r"large_client_header_buffers (\d+) (\d+)k;", told_nginx)
    (gateway,) = [
        one
        for one in of_kind(chart.rendered("default"), "Deployment")
        if component(one) == "gateway"
    ]
    limit = next(containers(gateway))["resources"]["limits"]["memory"]
    assert int(limit.removesuffix("Mi")) * 1024 > connections * (body + int(number) * int(size))


def test_gateway_finds_services_by_the_addresses_that_the_chart_makes(chart: Chart) -> None:
    manifests = chart.rendered("default")
    ports = served(manifests)
    (gateway,) = [one for one in of_kind(manifests, "Deployment") if component(one) == "gateway"]
    upstreams = {
        name: value
        for name, value in environment(next(containers(gateway))).items()
        if name.endswith("_UPSTREAM")
    }
    assert upstreams == {
        # In full: nginx looks names up by itself, without a search list.
        f"BAILIWICK_{service.upper()}_UPSTREAM": f"{name}.sales.svc.cluster.local:{ports[name]}"
        for service in SERVICES
        for name in [f"acme-bailiwick-{service}"]
    }


def test_images_are_those_of_the_dockerfile(chart: Chart) -> None:
    text = read(Path("deploy/Dockerfile"))
    exposed = set(re.findall(r"\d+", " ".join(re.findall(r"^EXPOSE (.+)$", text, re.MULTILINE))))
    users = set(re.findall(r"^USER (\d+):\1$", text, re.MULTILINE))
    named = {f"bailiwick/{name}" for name in (*SERVICES, "gateway")}
    assert "-t bailiwick/orders " in text
    assert "-t bailiwick/gateway " in text
    for manifest in of_kind(chart.rendered("default"), "Deployment", "Job"):
        pod = manifest["spec"]["template"]["spec"]
        main = pod["containers"][0]
        assert {str(port["containerPort"]) for port in main.get("ports", [])} <= exposed
        assert {str(pod["securityContext"]["runAsUser"])} == users
        assert main["image"].partition(":")[0] in named


@pytest.mark.parametrize("values", VALUES)
def test_opa_is_run_as_on_one_machine(chart: Chart, values: str) -> None:
    for _, process, manifest in processes(chart.rendered(values)):
        if process == "migrate":
            continue
        engine = next(containers(manifest))
        assert environment(engine) == opa.TUNED
        assert f"openpolicyagent/opa:{opa.VERSION}-static" in docker.IMAGES["opa"]
        tag = engine["image"].partition("@")[0].rpartition(":")[2]
        assert tag == docker.IMAGES["opa"].rpartition(":")[2]


def test_what_is_scaled_by_load_has_no_number_of_pods_that_an_upgrade_would_go_back_to(
    chart: Chart,
) -> None:
    manifests = chart.rendered("large")
    scaled = {
        one["spec"]["scaleTargetRef"]["name"]
        for one in of_kind(manifests, "HorizontalPodAutoscaler")
    }
    counted = {
        one["metadata"]["name"]
        for one in of_kind(manifests, "Deployment")
        if "replicas" in one["spec"]
    }
    everything = {one["metadata"]["name"] for one in of_kind(manifests, "Deployment")}
    assert len(scaled) == len(SERVICES) + 1
    assert counted == everything - scaled


def test_workers_stand_by_and_end_within_what_they_are_given(chart: Chart) -> None:
    for _, process, manifest in processes(chart.rendered("default")):
        if process != "migrate":
            assert manifest["spec"]["replicas"] == 2
            assert manifest["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 30
            assert told(manifest)["BAILIWICK_DRAIN_DELAY"] == "5"
