"""docs/configuration_page.md says what code says, and code asks the environment for what is named there."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from opentelemetry.sdk import environment_variables

from bailiwick_docs import configuration_page, environment
from bailiwick_kit.settings import ServiceSettings
from bailiwick_launcher.data_folder import CHECKOUT
from bailiwick_launcher.services import SERVICES

FOLDERS = (
    "contracts",
    "libs",
    "policy",
    "services",
    "gateway",
    "deploy",
    "tools",
    "examples",
    "tests",
)
PYTHON = sorted(file for folder in FOLDERS for file in (CHECKOUT / folder).rglob("*.py"))
NOT_OURS = {"PATH", "THINGS", "BENCH_UNASKED", "BENCH_STALE"}
"""The shell's, and what a test hands to a program of its own."""


@pytest.mark.parametrize("service", SERVICES)
def test_every_setting_says_what_it_is_for(service: str) -> None:
    fields = configuration_page.settings(service).model_fields
    silent = [name for name, field in fields.items() if len(field.description or "") < 20]
    assert not silent, f"bailiwick_{service}.settings: write a docstring below {silent}"


@pytest.mark.parametrize("service", SERVICES)
def test_no_setting_breaks_its_row(service: str) -> None:
    for name, field in configuration_page.settings(service).model_fields.items():
        prose = field.description or ""
        assert "|" not in prose, f"{name}: a bar ends a cell of the table"
        outside = "".join(prose.split("`")[::2])
        assert "<" not in outside, f"{name}: put what is in angle brackets between backticks"


def test_a_setting_is_told_as_its_class_has_it() -> None:
    rows = dict(_rows(configuration_page.page()))
    for service in SERVICES:
        for name in configuration_page.settings(service).model_fields:
            assert f"`BAILIWICK_{name.upper()}`" in rows
    assert rows["`BAILIWICK_DATABASE_OWNER_URL`"][:3] == ["migrate", "secret", "required"]
    assert rows["`BAILIWICK_POLICY_REVISION`"][:3] == ["", "text", ""]
    assert rows["`BAILIWICK_POLICY_DEADLINE`"][1:3] == ["number, over 0, at most 5", "`2.0`"]
    assert rows["`BAILIWICK_SIGNING_KEYS`"][:3] == ["api", "path", "required"]
    assert "database_owner_url" in ServiceSettings.model_fields


def _rows(page: str) -> Iterator[tuple[str, list[str]]]:
    for line in page.splitlines():
        if line.startswith("| `"):
            first, *others = (cell.strip() for cell in line.strip("|").split(" | "))
            yield first, others


def asked_for(root: ast.Module) -> Iterator[str]:
    """Yield the names that a module asks the environment for, through its own constants too."""
    constants = {
        target.id: node.value.value
        for node in root.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(root):
        key: ast.expr | None = None
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"os.environ.get", "os.getenv"}:
            key = node.args[0]
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
            key = node.slice
        if isinstance(key, ast.Constant):
            yield str(key.value)
        elif isinstance(key, ast.Name) and key.id in constants:
            yield str(constants[key.id])


def test_code_asks_for_what_the_page_names() -> None:
    asked = {
        name
        for file in PYTHON
        for name in asked_for(ast.parse(file.read_text("utf-8")))
        if name not in NOT_OURS and not name.startswith("OTEL_")
    }
    # A server's address is asked for by whoever provides it, through the constant of its module.
    asked |= {
        str(node.value.value)
        for file in (CHECKOUT / "tools/launcher/src/bailiwick_launcher/servers").glob("*.py")
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and str(node.value.value).startswith("BAILIWICK_")
    }
    settings = {
        configuration_page.variable(name)
        for service in SERVICES
        for name in configuration_page.settings(service).model_fields
    }
    named = environment.LAUNCHER.keys() | environment.TESTS.keys()
    assert asked - settings - named == set(), "name it in bailiwick_docs.environment"
    assert named - asked == set(), "nobody asks for it: take it out of bailiwick_docs.environment"


def test_what_is_asked_for_is_found() -> None:
    planted = 'NAME = "A"\nos.environ.get(NAME)\nos.environ["B"]\nos.getenv("C", "d")\nx.get("E")\n'
    assert sorted(asked_for(ast.parse(planted))) == ["A", "B", "C"]


def test_the_standard_names_are_known_to_the_library() -> None:
    assert not environment.STANDARD.keys() - vars(environment_variables).keys()
