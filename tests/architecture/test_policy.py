"""How the policy is laid out, and that Rego, Python and contracts use the same words."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from bailiwick_access.authorizer import _UNKNOWNS
from bailiwick_contracts import identity
from bailiwick_contracts.reasons import Reason
from bailiwick_kit.policy.client import SENTINEL
from bailiwick_launcher.servers.opa import program

CHECKOUT = Path(__file__).parents[2]
POLICY = CHECKOUT / "policy"
RULES = POLICY / "bailiwick"
LONGEST = 120

FILES = sorted(POLICY.rglob("*.rego"))
SOURCES = sorted(
    file for folder in ("services", "libs") for file in CHECKOUT.glob(f"{folder}/*/src/**/*.py")
)
MAY_NAME_ROLES = {"bailiwick_identity", "bailiwick_testkit"}
MAY_NAME_PACKAGES = ("bailiwick_access/authorizer.py", "bailiwick_kit/policy/client.py")


def relative(file: Path) -> str:
    return str(file.relative_to(CHECKOUT))


def data(folder: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((RULES / folder / "data.yaml").read_text())
    return loaded


def role_names() -> set[str]:
    return set(get_args(identity.Role))


def schema() -> dict[str, Any]:
    loaded: dict[str, dict[str, Any]] = json.loads((POLICY / "schemas" / "input.json").read_text())
    return loaded["properties"]


@pytest.fixture(scope="module")
def metadata() -> dict[str, dict[str, Any]]:
    """What the metadata of each package and rule says, by its path (`bailiwick/orders/include`)."""
    opa = program()
    assert opa, "install OPA: go install github.com/open-policy-agent/opa@v1.22.2"
    told = subprocess.run(  # noqa: S603 - our own OPA
        [opa, "inspect", "--annotations", "--format", "json", "."],
        cwd=POLICY,
        capture_output=True,
        text=True,
        check=True,
    )
    return {
        "/".join(part["value"] for part in each["path"][1:]): each["annotations"]
        for each in json.loads(told.stdout)["annotations"]
    }


@pytest.fixture(scope="module")
def entrypoints(metadata: dict[str, dict[str, Any]]) -> set[str]:
    return {path for path, said in metadata.items() if said.get("entrypoint")}


@pytest.mark.parametrize("file", FILES, ids=relative)
def test_a_package_is_named_as_its_folder(file: Path) -> None:
    package = re.search(r"^package (\S+)$", file.read_text(), re.MULTILINE)
    assert package, "the package stands on a line of its own"
    suffix = "_test" if file.stem.endswith("_test") else ""
    assert package[1] == ".".join(file.parent.relative_to(POLICY).parts) + suffix


@pytest.mark.parametrize("file", FILES, ids=relative)
def test_a_file_is_read_in_one_sitting(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= LONGEST, "split it by what its rules are for"


@pytest.mark.parametrize("file", FILES, ids=relative)
def test_packages_are_imported_and_not_rules(file: Path) -> None:
    packages = {path.name for path in RULES.iterdir()}
    for imported in re.findall(r"^import data\.(\S+)", file.read_text(), re.MULTILINE):
        root, name, *deeper = imported.split(".")
        assert not deeper, f"import data.{root}.{name} and name the rule where it is used"
        assert root == "cases" or name.removesuffix("_test") in packages


@pytest.mark.parametrize("folder", sorted(RULES.iterdir()), ids=relative)
def test_every_rule_has_its_tests_beside_it(folder: Path) -> None:
    if list(folder.glob("*.rego")):
        assert (folder / f"{folder.name}_test.rego").exists()


@pytest.mark.parametrize("file", FILES, ids=relative)
def test_no_rule_names_a_role(file: Path) -> None:
    if not file.stem.endswith("_test"):
        named = [role for role in role_names() if role in file.read_text()]
        assert not named, "say it in capabilities/data.yaml"


def test_a_bundle_holds_data_only_in_files_that_it_loads() -> None:
    files = {file.name for file in RULES.rglob("*") if file.is_file() and file.suffix != ".rego"}
    assert files == {"data.yaml"}


def test_every_entrypoint_says_what_it_is(
    metadata: dict[str, dict[str, Any]], entrypoints: set[str]
) -> None:
    for path in entrypoints:
        assert metadata[path].get("title"), path
        assert metadata[path].get("description"), path


def test_every_package_of_rules_says_what_it_is(metadata: dict[str, dict[str, Any]]) -> None:
    for folder in RULES.iterdir():
        if list(folder.glob("*.rego")) and folder.name != "tables":
            assert metadata[f"bailiwick/{folder.name}"].get("description"), folder.name


def test_python_asks_for_every_entrypoint_and_for_nothing_else(entrypoints: set[str]) -> None:
    asked = {
        f"bailiwick/{resource}/{rule}"
        for resource in _UNKNOWNS
        for rule in ("decision", "include", "masks")
    }
    assert entrypoints == asked | {SENTINEL}


def test_python_and_rego_name_the_same_unknowns_and_masks(
    metadata: dict[str, dict[str, Any]],
) -> None:
    for resource, unknown in _UNKNOWNS.items():
        said = metadata[f"bailiwick/{resource}/include"]["compile"]
        (named,) = [".".join(part["value"] for part in path) for path in said["unknowns"]]
        assert named == unknown
        masks = ".".join(part["value"] for part in said["mask_rule"])
        assert masks == f"data.bailiwick.{resource}.masks"


@pytest.mark.parametrize("file", SOURCES, ids=relative)
def test_policy_is_asked_in_one_place(file: Path) -> None:
    if not file.as_posix().endswith(MAY_NAME_PACKAGES):
        named = re.findall(r"""f?["']bailiwick/[a-z{]""", file.read_text())
        assert not named, "ask through bailiwick_access.authorizer"


@pytest.mark.parametrize("file", SOURCES, ids=relative)
def test_no_service_but_identity_names_a_role(file: Path) -> None:
    if not MAY_NAME_ROLES & set(file.parts):
        named = [role for role in role_names() if re.search(rf"\b{role}\b", file.read_text())]
        assert not named, "what a role may do is policy's: capabilities/data.yaml"


def test_reasons_are_the_contracts_in_the_same_order() -> None:
    assert data("reasons")["precedence"] == [reason.value for reason in Reason]


def test_the_matrix_knows_the_contracts_roles_and_permissions() -> None:
    matrix = data("capabilities")
    assert set(matrix["roles"]) == role_names()
    assert set(matrix["permissions"]["known"]) == set(get_args(identity.Permission))
    for role in matrix["roles"].values():
        assert set(role.get("gives_by_tick", {})) <= set(get_args(identity.TickColumn))


def test_the_input_is_described_in_the_contracts_words() -> None:
    described = schema()
    assert set(described["settings"]["properties"]) == set(identity.Settings.model_fields)
    subject = described["subject"]["properties"]
    assert set(subject["kind"]["enum"]) == set(get_args(identity.MemberKind))
    assert set(subject["mode"]["enum"]) == set(get_args(identity.MembershipMode))
    assert set(subject["status"]["enum"]) == set(get_args(identity.MembershipStatus))
