"""The examples fit the chart: Secrets by name and key, roles and databases, keys that identity can read."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy.engine import make_url

from bailiwick_identity.store.signing_keys import SigningKeys
from bailiwick_launcher.databases import ROLES
from bailiwick_launcher.services import SERVICES
from bailiwick_testkit.checkout import read
from bailiwick_testkit.checks.chart import FOLDER, Chart, Manifest, containers, of_kind, ran

EXAMPLES = FOLDER / "examples"
# Stands in for the cluster's client: keeps what it is told to make.
KUBECTL = """#!/usr/bin/env bash
set -euo pipefail
case "$3 $4" in
  "get secrets") cat "$KEPT.names" ;;
  "create secret")
    mkdir -p "$KEPT/$6"
    for one in "${@:7}"; do
      case $one in --from-file=*) one=${one#--from-file=}; cp "${one#*=}" "$KEPT/$6/${one%%=*}" ;; esac
    done
    printf '%s\\n' "$*" >> "$KEPT.commands" ;;
  "label secret") ;;
  *) exit 64 ;;
esac
"""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for each Secret that is made, a file for each of its keys."""
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(KUBECTL)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("KEPT", str(tmp_path / "secrets"))
    monkeypatch.setenv("SMTP_URL", "smtp+starttls://user:password@mail.example.com:587")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets.names").touch()
    return tmp_path / "secrets"


def made() -> subprocess.CompletedProcess[str]:
    return ran([str(EXAMPLES / "secrets.sh"), "sales"])


def test_script_keeps_in_a_folder_what_prepares_servers_of_ones_own(
    cluster: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    done = ran([str(EXAMPLES / "secrets.sh"), "sales", str(folder)])
    assert done.returncode == 0, done.stderr
    for service in SERVICES:
        for role in ROLES:
            kept = (folder / f"{service}_database_{role}_url").read_text()
            told = (cluster / f"bailiwick-database-{service}" / f"{role}-url").read_text()
            assert make_url(kept.strip()) == make_url(told.strip())
    definitions = (folder / "rabbitmq_definitions.json").read_text()
    assert definitions == (cluster / "bailiwick-rabbitmq-definitions/definitions.json").read_text()
    password = (folder / "rabbitmq_password").read_text().strip()
    assert make_url((cluster / "bailiwick-broker" / "url").read_text().strip()).password == password


def requested(manifests: list[Manifest], *, each: int | None = None) -> tuple[float, float]:
    """Return what all pods of the Deployments request, or so many of each: CPUs, and GiB of memory."""
    cpu = memory = 0
    for manifest in of_kind(manifests, "Deployment"):
        pods = each or manifest["spec"]["replicas"]
        for container in containers(manifest):
            wanted = container["resources"]["requests"]
            cpu += pods * int(wanted["cpu"].removesuffix("m"))
            memory += pods * int(wanted["memory"].removesuffix("Mi"))
    return cpu / 1000, memory / 1024


def test_sizes_are_as_stated(chart: Chart) -> None:
    cpu, memory = requested(chart.rendered("default"))
    surge = requested(chart.rendered("default"), each=1)
    done = chart.template("-f", "examples/small.yaml")
    small = [one for one in yaml.load_all(done.stdout, yaml.CSafeLoader) if one]
    trial = requested(small)
    page = " ".join(read(Path("deploy/helm/README.md")).split())
    assert f"request {cpu:.1f} CPU and {memory:.2f} GiB" in page
    assert f"needs {surge[0]:.1f} CPU and {surge[1]:.1f} GiB" in page
    assert f"{trial[0]:.1f} CPU and {trial[1]:.1f} GiB, for a trial" in page
    stated = f"requests {trial[0]:.1f} CPU and {trial[1]:.1f} GiB"
    assert stated in (EXAMPLES / "small.yaml").read_text("utf-8")


def keys(folder: Path) -> set[tuple[str, str]]:
    return {(file.parent.name, file.name) for file in folder.glob("*/*")}


def referenced(manifests: list[Manifest]) -> set[tuple[str, str]]:
    """Give every (Secret, key) that is mounted."""
    return {
        (source["secret"]["name"], item["key"])
        for manifest in of_kind(manifests, "Deployment", "Job")
        for volume in manifest["spec"]["template"]["spec"]["volumes"]
        for source in volume.get("projected", {}).get("sources", [])
        for item in source["secret"]["items"]
    }


def test_script_makes_every_secret_that_the_chart_mounts(chart: Chart, cluster: Path) -> None:
    done = made()
    assert done.returncode == 0, done.stderr
    assert referenced(chart.rendered("default")) <= keys(cluster)


def test_script_shows_no_secret_to_other_accounts(cluster: Path) -> None:
    made()
    commands = Path(f"{cluster}.commands").read_text()
    told = [file.read_text().strip() for file in cluster.glob("*/*") if file.name not in PLAIN]
    assert len(told) > 30
    assert not [secret for secret in told if secret in commands]


PLAIN = {"host", "port", "provider", "type", "username"}


def test_script_makes_nothing_beside_what_is_there(cluster: Path) -> None:
    Path(f"{cluster}.names").write_text("secret/bailiwick-broker\nsecret/default\n")
    done = made()
    assert done.returncode == 1
    assert "secret/bailiwick-broker" in done.stderr
    assert "default" not in done.stderr
    assert not keys(cluster)


def test_addresses_are_of_the_roles_that_postgresql_is_told_to_make(cluster: Path) -> None:
    made()
    roles = {
        role["name"]: role["passwordSecret"]["name"] for role in cluster_of()["managed"]["roles"]
    }
    assert roles.keys() == {f"{service}_{role}" for service in SERVICES for role in ROLES}
    for service in SERVICES:
        for role in ROLES:
            file = cluster / f"bailiwick-database-{service}" / f"{role}-url"
            url = make_url(file.read_text().strip())
            sign_in = cluster / roles[f"{service}_{role}"]
            assert url.drivername == "postgresql+asyncpg"
            assert (url.username, url.password) == (
                (sign_in / "username").read_text(),
                (sign_in / "password").read_text(),
            )
            assert url.username == f"{service}_{role}"
            assert url.database == f"bailiwick_{service}"
            assert url.host == "bailiwick-postgres-rw.sales.svc"


def test_signing_keys_are_such_as_identity_reads(cluster: Path) -> None:
    made()
    file = cluster / "bailiwick-signing-keys" / "signing-keys.json"
    (key,) = SigningKeys.load(file, "https://sales.example.com").public
    assert key.as_dict(private=False)["crv"] == "P-256"
    assert json.loads(file.read_text())["keys"][0]["use"] == "sig"


def documents(name: str) -> Iterator[dict[str, Any]]:
    yield from yaml.safe_load_all((EXAMPLES / name).read_text("utf-8"))


def cluster_of() -> dict[str, Any]:
    (found,) = [one["spec"] for one in documents("postgresql.yaml") if one["kind"] == "Cluster"]
    return dict(found)


def test_each_service_has_a_database_that_its_own_roles_alone_come_into() -> None:
    databases = {
        one["spec"]["name"]: one["spec"]
        for one in documents("postgresql.yaml")
        if one["kind"] == "Database"
    }
    assert databases.keys() == {f"bailiwick_{service}" for service in SERVICES}
    *lines, last = [line.split() for line in cluster_of()["postgresql"]["pg_hba"]]
    assert last == ["host", "all", "all", "all", "reject"]
    by_database = {database: set(roles.split(",")) for _, database, roles, *_ in lines}
    for service in SERVICES:
        database = databases[f"bailiwick_{service}"]
        assert database["owner"] == f"{service}_owner"
        assert database["extensions"] == [{"name": "btree_gist"}]
        assert by_database[f"bailiwick_{service}"] == {f"{service}_{role}" for role in ROLES}


def test_rabbitmq_is_given_the_user_of_the_address(cluster: Path) -> None:
    made()
    (broker,) = documents("rabbitmq.yaml")
    user = cluster / broker["spec"]["secretBackend"]["externalSecret"]["name"]
    url = make_url((cluster / "bailiwick-broker" / "url").read_text().strip())
    assert url.host == f"{broker['metadata']['name']}.sales.svc"
    assert (user / "username").read_text() == url.username
    assert (user / "password").read_text() == url.password
    accounts = {one["name"] for one in json.loads(loaded(broker, cluster))["users"]}
    told = {file.name.removesuffix("-url") for file in (cluster / "bailiwick-broker").glob("*-url")}
    assert accounts == told - {"management"} | {url.username}
    said = (user / "default_user.conf").read_text()
    assert said == f"default_user = {url.username}\ndefault_pass = {url.password}\n"


def loaded(broker: Manifest, cluster: Path) -> str:
    """Give what the nodes of the broker load at their start."""
    pod = broker["spec"]["override"]["statefulSet"]["spec"]["template"]["spec"]
    [mount] = pod["containers"][0]["volumeMounts"]
    [volume] = [one for one in pod["volumes"] if one["name"] == mount["name"]]
    told = broker["spec"]["rabbitmq"]["additionalConfig"]
    [path] = re.findall(r"^load_definitions = (.+)$", told, re.MULTILINE)
    assert Path(path).parent == Path(mount["mountPath"])
    return Path(cluster, volume["secret"]["secretName"], Path(path).name).read_text()


def test_values_of_the_example_are_taken(chart: Chart) -> None:
    done = chart.template("-f", "examples/values.yaml")
    assert done.returncode == 0, done.stderr
    assert "bailiwick-postgres-ca" in done.stdout


def test_instructions_wait_for_whole_servers_before_queues_are_declared() -> None:
    # A quorum queue is made of the nodes that there are when it is declared: of one alone, it stays on one.
    page = read(Path("docs/how-to/install-kubernetes.md"))
    install = page.index("helm upgrade --install")
    for kind, condition in (("Cluster", "Ready"), ("RabbitmqCluster", "AllReplicasReady")):
        (name,) = [
            one["metadata"]["name"]
            for file in ("postgresql.yaml", "rabbitmq.yaml")
            for one in documents(file)
            if one["kind"] == kind
        ]
        assert f"wait {kind.lower()}/{name} --for=condition={condition} " in page[:install]
