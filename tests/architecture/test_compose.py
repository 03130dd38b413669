"""compose.yaml: every service with its OPA and its jobs, all held short, and nothing secret in clear."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from bailiwick_docs import configuration_page, environment
from bailiwick_launcher.services import SERVICES
from bailiwick_testkit.checkout import CHECKOUT, read

FILE = Path("deploy/compose.yaml")
COMPOSE: dict[str, Any] = yaml.safe_load(read(FILE))
PARTS: dict[str, dict[str, Any]] = COMPOSE["services"]
OF_OTHERS = {"postgres", "rabbitmq", "databases", "test-postgres", "test-rabbitmq"}
"""Containers from other people's images: `databases` is PostgreSQL's psql."""
JOBS = {"databases", "subscribers", *(f"migrate-{service}" for service in SERVICES)}
OURS = sorted(PARTS.keys() - OF_OTHERS)
ASKED = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
STANDARD = {"OTEL_EXPORTER_OTLP_ENDPOINT"}


def test_services_are_those_of_the_launcher() -> None:
    built = {
        name for name, part in PARTS.items() if part.get("build", {}).get("target") == "service"
    }
    assert built == set(SERVICES)
    assert {PARTS[name]["build"]["args"]["SERVICE"] for name in built} == built
    assert all(PARTS[name]["command"] == ["serve"] for name in built)


@pytest.mark.parametrize("service", SERVICES)
def test_service_waits_for_its_migration_and_its_policy(service: str) -> None:
    waits = {name: one["condition"] for name, one in PARTS[service]["depends_on"].items()}
    assert waits[f"migrate-{service}"] == "service_completed_successfully"
    assert waits[f"opa-{service}"] == "service_healthy"
    migration = PARTS[f"migrate-{service}"]
    assert migration["image"] == PARTS[service]["image"]
    before = {name: one["condition"] for name, one in migration["depends_on"].items()}
    assert before == {"databases": "service_completed_successfully", "rabbitmq": "service_healthy"}
    assert PARTS["gateway"]["depends_on"][service] == {"condition": "service_healthy"}


@pytest.mark.parametrize("service", SERVICES)
def test_service_shares_a_socket_with_its_own_policy_and_nobody_else(service: str) -> None:
    [volume] = PARTS[service]["volumes"]
    sharing = {name for name, part in PARTS.items() if volume in part.get("volumes", [])}
    assert sharing == {service, f"opa-{service}"}
    assert PARTS[f"opa-{service}"]["network_mode"] == "none"
    assert volume.endswith(":/run/policy")
    assert PARTS[service]["environment"]["BAILIWICK_POLICY_URL"].startswith("unix:///run/policy/")


@pytest.mark.parametrize("name", sorted(PARTS))
def test_container_is_held_short(name: str) -> None:
    part = PARTS[name]
    assert part["mem_limit"]
    assert "no-new-privileges:true" in part["security_opt"]
    assert "privileged" not in part
    assert part["restart"] == (
        "no" if name in JOBS or "test" in part["profiles"] else "unless-stopped"
    )
    assert part["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", [*OURS, "databases"])
def test_what_is_ours_may_nothing_and_writes_to_nothing(name: str) -> None:
    assert PARTS[name]["read_only"] is True
    assert PARTS[name]["cap_drop"] == ["ALL"]


@pytest.mark.parametrize("name", sorted(PARTS))
def test_what_is_published_is_on_loopback(name: str) -> None:
    for port in PARTS[name].get("ports", []):
        assert port.startswith("127.0.0.1:${BAILIWICK_"), port


def test_only_gateway_and_broker_are_published_and_who_has_business_outside_gets_there() -> None:
    default = {name: part for name, part in PARTS.items() if part["profiles"] == ["default"]}
    assert {name for name, part in default.items() if part.get("ports")} == {"gateway", "rabbitmq"}
    outside = {name for name, part in default.items() if "outside" in part.get("networks", [])}
    assert outside == {"gateway", "rabbitmq", "notifier"}
    assert {name for name, one in COMPOSE["networks"].items() if not one.get("internal")} == {
        "outside"
    }


def test_nobody_but_jobs_is_without_a_health_check() -> None:
    off = {name for name, part in PARTS.items() if part.get("healthcheck", {}).get("disable")}
    assert off == JOBS
    # Ours bring their own in the image; see test_images.
    assert all("test" in PARTS[name]["healthcheck"] for name in OF_OTHERS - JOBS)


def _settings(name: str) -> tuple[str, tuple[str, ...]]:
    """Return the service whose image it is, and what it runs as."""
    if name == "subscribers":
        return "notifier", ()
    job = name.startswith("migrate-")
    return name.removeprefix("migrate-"), ("migrate",) if job else ("api", "worker")


TOLD = sorted(name for name in PARTS if _settings(name)[0] in SERVICES)


@pytest.mark.parametrize("name", TOLD)
def test_process_is_told_what_it_needs_and_its_settings_know_it(name: str) -> None:
    service, processes = _settings(name)
    kind = configuration_page.settings(service)
    told = set(PARTS[name]["environment"]) - STANDARD
    # Both are in the image.
    told |= {"BAILIWICK_LISTEN", "BAILIWICK_OPERATIONS_LISTEN"}
    settings = {
        variable.removesuffix("_FILE").removeprefix("BAILIWICK_").lower() for variable in told
    }
    assert settings <= kind.model_fields.keys()
    needed = {one for one in kind.model_fields if kind.needed_by(one) & set(processes)}
    assert needed <= settings


@pytest.mark.parametrize("name", TOLD)
def test_secrets_are_files_that_only_who_needs_them_is_given(name: str) -> None:
    service, _ = _settings(name)
    part, fields = PARTS[name], configuration_page.settings(service).model_fields
    given = {
        one if isinstance(one, str) else one["target"]: one
        if isinstance(one, str)
        else one["source"]
        for one in part["secrets"]
    }
    used = set()
    for variable, value in part["environment"].items():
        setting = variable.removesuffix("_FILE").removeprefix("BAILIWICK_").lower()
        is_secret = setting in fields and fields[setting].annotation in (
            SecretStr,
            SecretStr | None,
        )
        assert variable.endswith("_FILE") == is_secret, f"{variable}: a secret comes from a file"
        if is_secret or variable == "BAILIWICK_SIGNING_KEYS":
            used.add(value.removeprefix("/run/secrets/"))
    assert used == set(given)
    for source in given.values():
        owner = re.split("_database_|_broker_", source)[0]
        assert owner in {source, service, "migrations"}, f"{source} is another service's"
    is_migration = name.startswith("migrate-")
    if not is_migration:
        assert not [source for source in given.values() if source.endswith("_owner_url")]
    # The administrator's account is the operator's alone.
    account = "migrations_" if is_migration else "" if name == "subscribers" else f"{service}_"
    assert given["broker_url"] == f"{account}broker_url"


@pytest.mark.parametrize("name", ["rabbitmq", "test-rabbitmq"])
def test_the_broker_has_its_accounts_from_its_start(name: str) -> None:
    assert "rabbitmq_definitions.json" in PARTS[name]["secrets"]
    made = read(Path("deploy/make-secrets"))
    assert "load_definitions = /run/secrets/rabbitmq_definitions.json" in made


def test_no_address_in_the_file_has_a_password() -> None:
    assert not re.findall(r"\w+://[^\s/@]*:[^\s/@]*@", read(FILE))
    assert not re.findall(
        r"(?i)(?:password|secret|_pass)\w*: *[^\s{/$\[]+$", read(FILE), re.MULTILINE
    )
    for name, secret in COMPOSE["secrets"].items():
        assert secret["file"].startswith("${BAILIWICK_SECRETS:-./secrets}/"), name


def test_gateway_is_told_what_its_start_asks_for() -> None:
    told = PARTS["gateway"]["environment"].keys() | {"BAILIWICK_LISTEN"}
    assert told <= environment.GATEWAY.keys()
    assert environment.GATEWAY.keys() - told == {"BAILIWICK_RESOLVER", "TMPDIR", "NGINX"}
    for service in SERVICES:
        upstream = PARTS["gateway"]["environment"][f"BAILIWICK_{service.upper()}_UPSTREAM"]
        assert upstream == f"{service}:8000"


def test_example_explains_every_variable_and_says_what_holds_without_it() -> None:
    asked = dict(ASKED.findall(read(FILE))) | {"PIP_INDEX_URL": ""}
    example = read(Path("deploy/.env.example"))
    told = dict(re.findall(r"^#?([A-Z][A-Z_]+)=(.*)$", example, re.MULTILINE))
    assert told.keys() - {"COMPOSE_PROFILES"} == asked.keys()
    for name, default in asked.items():
        assert told[name] == default, f"{name}: what .env.example says is not what holds"
    assert (CHECKOUT / "deploy" / "make-secrets").is_file()


def test_profiles_are_told_apart() -> None:
    profiles = {name: part["profiles"] for name, part in PARTS.items()}
    assert {tuple(one) for one in profiles.values()} == {("default",), ("test",), ("operator",)}
    of_tests = {name for name, one in profiles.items() if one == ["test"]}
    assert of_tests == {"test-postgres", "test-rabbitmq", "test-opa"}
    for name in of_tests:
        assert PARTS[name]["ports"]
        assert not PARTS[name].get("volumes"), "what tests leave behind is gone with them"


def test_gateway_is_the_only_way_in_to_a_service() -> None:
    assert all(not PARTS[service].get("ports") for service in SERVICES)
    assert "data" not in PARTS["gateway"]["networks"]


class _Overriding(yaml.SafeLoader):
    """Reads compose's own tags as None."""


_Overriding.add_multi_constructor("!", lambda *_: None)


def test_without_its_servers_the_stack_waits_for_none_of_them() -> None:
    text = read(Path("deploy/servers-elsewhere.yaml"))
    changed = yaml.load(text, _Overriding)["services"]  # noqa: S506 - it is a SafeLoader
    left_out = {name for name, part in changed.items() if part is None}
    assert left_out == {"postgres", "rabbitmq", "databases"}
    waiting = {
        name
        for name, part in PARTS.items()
        if part["profiles"] == ["default"] and left_out & part.get("depends_on", {}).keys()
    }
    assert waiting - left_out == changed.keys() - left_out
