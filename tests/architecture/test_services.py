"""Every service is laid out like the others, and says in its README what it declares in code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bailiwick_contracts.catalogue import PUBLISHED, SUBSCRIBED
from bailiwick_kit.settings import ServiceSettings
from bailiwick_launcher import services as local
from bailiwick_testkit.checkout import CHECKOUT, SERVICES, files, read, sources, tree
from bailiwick_testkit.checks import introspection

HEADINGS = [
    "Owns",
    "Never does",
    "HTTP",
    "Publishes",
    "Consumes",
    "Tables",
    "Settings",
]
ROOMS = ["__init__.py", "__main__.py", "main.py", "settings.py", "py.typed"] + [
    f"{room}/__init__.py" for room in ("api", "events", "actions", "domain", "store")
]
UNITS = {"OpenUnit", "OpenImport"}
"""What an action opens a transaction with, by the names of its types in ports."""


def package(service: str) -> Path:
    return Path("services", service, "src", f"bailiwick_{service}")


def test_services_are_the_same_wherever_they_are_listed() -> None:
    assert set(SERVICES) == set(PUBLISHED) == set(local.SERVICES), (
        "name it in contracts' catalogue and in bailiwick_launcher.services"
    )


@pytest.mark.parametrize("service", SERVICES)
def test_service_has_the_rooms_that_all_have(service: str) -> None:
    missing = [room for room in ROOMS if not (CHECKOUT / package(service) / room).is_file()]
    assert not missing, f"{service} is laid out like services/customers: add {missing}"
    for folder in ("tests/unit", "tests/integration"):
        tests = (CHECKOUT / "services" / service / folder).glob("**/test_*.py")
        assert any(tests), f"put tests into services/{service}/{folder}"


# Actions


def _is_public(node: ast.stmt) -> bool:
    is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    return is_function and not getattr(node, "name", "_").startswith("_")


def _opens(node: ast.stmt) -> bool:
    """Tell whether a function is handed what opens a transaction: that makes it a verb."""
    if not isinstance(node, ast.AsyncFunctionDef):
        return False
    arguments = [*node.args.args, *node.args.kwonlyargs]
    return any(
        isinstance(one.annotation, ast.Name) and one.annotation.id in UNITS for one in arguments
    )


def _faults_of_action(root: ast.Module, name: str) -> Iterator[str]:
    verbs = [getattr(node, "name", "") for node in root.body if _is_public(node) and _opens(node)]
    if strange := set(verbs) - {name}:
        yield f"{name}.py: one verb a file, named as the file; move {strange} to files of their own"


@pytest.mark.parametrize("service", SERVICES)
def test_an_action_is_one_verb_named_as_its_file(service: str) -> None:
    faults = [
        fault
        for file in sources(str(package(service) / "actions"))
        for fault in _faults_of_action(tree(file), file.stem)
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    "planted",
    [
        "async def place_order(open_unit: OpenUnit): ...\nasync def cancel(open_unit: OpenUnit): ...",
        "async def place(open_unit: OpenUnit): ...",
    ],
)
def test_an_action_of_two_verbs_or_another_name_is_found(planted: str) -> None:
    assert list(_faults_of_action(ast.parse(planted), "place_order"))


def test_an_action_with_steps_beside_it_is_fine() -> None:
    planted = "async def place_order(open_unit: OpenUnit): ...\ndef price(): ..."
    assert not list(_faults_of_action(ast.parse(planted), "place_order"))
    assert not list(_faults_of_action(ast.parse("def permitted(): ..."), "permits"))


@pytest.mark.parametrize("service", SERVICES)
def test_every_action_is_reached(service: str) -> None:
    """An ability that no way in leads to is no ability."""
    actions = {file.stem for file in sources(str(package(service) / "actions"))} - {"__init__"}
    imported = {
        name
        for file in sources(str(package(service)))
        for node in ast.walk(tree(file))
        if isinstance(node, ast.ImportFrom)
        for name in re.findall(rf"^bailiwick_{service}\.actions\.(\w+)$", node.module or "")
    }
    assert actions <= imported, f"{service}: nothing uses {actions - imported}"


# Events


def _named(service: str) -> set[str]:
    return {
        node.id if isinstance(node, ast.Name) else node.attr
        for file in sources(str(package(service)))
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Name | ast.Attribute)
    }


@pytest.mark.parametrize("service", SERVICES)
def test_service_makes_the_events_that_it_publishes(service: str) -> None:
    unmade = {event.__name__ for event in PUBLISHED[service]} - _named(service)
    assert not unmade, f"{service} publishes {unmade} by the catalogue, and makes none of them"


@pytest.mark.parametrize("service", SERVICES)
def test_service_hears_the_publishers_that_the_catalogue_says(service: str) -> None:
    events = {file.stem for file in sources(str(package(service) / "events"))}
    assert events & set(PUBLISHED) == set(SUBSCRIBED.get(service, {})), (
        f"{service}/events has one file of handlers for each service it hears, named after it"
    )
    root = tree(package(service) / "main.py")
    imported = {node.module for node in ast.walk(root) if isinstance(node, ast.ImportFrom)}
    for publisher in SUBSCRIBED.get(service, {}):
        assert f"bailiwick_{service}.events.{publisher}" in imported, "main.py starts the consumer"


# READMEs


def sections(text: str) -> dict[str, str]:
    """Return what is under each heading of the second level, in order."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _page(service: str) -> Mapping[str, str]:
    return sections(read(Path("services", service, "README.md")))


def _first_cells(section: str) -> set[str]:
    cells = re.findall(r"^\|([^|]+)\|", section, flags=re.MULTILINE)
    return {code for cell in cells for code in re.findall(r"`([^`]+)`", cell)}


def _types(section: str) -> set[str]:
    return set(re.findall(r"`([a-z]+\.[a-z]+\.[a-z]+\.v\d+)`", section))


@pytest.mark.parametrize("service", SERVICES)
def test_readme_has_the_headings_that_all_have(service: str) -> None:
    assert list(_page(service)) == HEADINGS, f"services/{service}/README.md: {' · '.join(HEADINGS)}"


@pytest.mark.parametrize("service", SERVICES)
def test_readme_lists_what_is_served(service: str) -> None:
    operations = [one for one in introspection.served(service) if one.method != "HEAD"]
    documented = {f"{one.method} {one.path}" for one in operations if one.is_documented}
    internal = {f"{one.method} {one.path}" for one in operations if not one.is_documented}
    listed = _first_cells(_page(service)["HTTP"])
    assert listed - internal == documented, f"services/{service}/README.md, HTTP"


@pytest.mark.parametrize("service", SERVICES)
def test_readme_lists_what_is_published_and_consumed(service: str) -> None:
    page = _page(service)
    assert _types(page["Publishes"]) == {event.type for event in PUBLISHED[service]}
    heard = {e.type for events in SUBSCRIBED.get(service, {}).values() for e in events}
    assert _types(page["Consumes"]) == heard


@pytest.mark.parametrize("service", SERVICES)
def test_readme_lists_the_tables(service: str) -> None:
    listed = _first_cells(_page(service)["Tables"])
    assert listed == introspection.tables(service).keys(), f"services/{service}/README.md, Tables"


@pytest.mark.parametrize("service", SERVICES)
def test_readme_leads_to_the_settings_of_its_own(service: str) -> None:
    own = introspection.settings(service).model_fields.keys() - ServiceSettings.model_fields.keys()
    wanted = {"every-service"} | ({f"{service}-alone"} if own else set())
    links = re.findall(r"\(\.\./\.\./docs/configuration\.md#([\w-]+)\)", _page(service)["Settings"])
    assert set(links) == wanted, f"services/{service}/README.md, Settings: link to {wanted}"


@pytest.mark.parametrize("package", ["kit", "access"])
def test_readme_of_a_library_lists_its_modules(package: str) -> None:
    text = read(Path("libs", package, "README.md")).partition("\n## ")[0]
    top = CHECKOUT / f"libs/{package}/src/bailiwick_{package}"
    files = [file.relative_to(top).with_suffix("") for file in top.rglob("*.py")]
    modules = {".".join(file.parts) for file in files if file.name != "__init__"}
    listed = _first_cells(text)
    assert listed == modules, f"libs/{package}/README.md: one row a module"


def test_contributing_names_folders_that_are_there() -> None:
    text = read(Path("CONTRIBUTING.md"))
    named = {name.rstrip("/") for name in re.findall(r"`([a-z_]+/[\w./-]*)`", text)}
    known = {str(part) for file in files() for part in (file, *file.parents)}
    for model in (
        Path("services/customers"),
        package("customers"),
    ):  # rooms, as all services have them
        known |= {
            str(Path(name).relative_to(model)) for name in known if model in Path(name).parents
        }
    assert named <= known, f"CONTRIBUTING.md names {named - known}"
