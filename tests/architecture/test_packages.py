"""Packages: who imports whom, what each declares, what is locked, and versions that are known holes."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest

from bailiwick_launcher.servers import opa
from bailiwick_testkit.checkout import CHECKOUT, MEMBERS, SERVICES, read, sources, tree

PACKAGES = {
    member: next(folder.name for folder in (CHECKOUT / member / "src").iterdir() if folder.is_dir())
    for member in MEMBERS
}
BY_NAME_ONLY = {"python-multipart", "fastapi-offline"}
"""FastAPI looks for the one where a route takes a form; of the other only files are served."""
FOR_DEVELOPERS = {
    "libs/testkit",
    "tools/launcher",
    "tools/csv_import",
    "tools/docs",
    "examples/alameda",
    "gateway",
    "deploy/mailbox",
}
"""Members that are in no service; the others must do with requirements.lock."""
FLOORS = {
    "starlette": (0, 49, 1),  # GHSA-7f5h-v6xp-fcq8: Range requests; 0.40: multipart
    "joserfc": (1, 0, 0),
    "aio-pika": (10, 0, 0),  # T3: on_return_raises holds; consumers are restored
    "sqlalchemy": (2, 1, 0),
    "uvicorn": (0, 50, 0),
    "python-multipart": (0, 0, 18),  # CVE-2024-53981
    "aiohttp": (3, 10, 11),  # CVE-2024-52304
    "aiosmtplib": (5, 1, 3),  # PYSEC-2026-2338: CR and LF in commands
    "jinja2": (3, 1, 6),  # CVE-2025-27516
}
ABSENT = {"pyjwt": (2, 13, 0)}
"""Not installed; where it comes to be, from this version on (T13)."""


def _norm(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _project(member: str) -> dict[str, object]:
    project: dict[str, object] = tomllib.loads(read(Path(member, "pyproject.toml")))["project"]
    return project


def _declared(member: str) -> set[str]:
    wanted = _project(member)["dependencies"]
    assert isinstance(wanted, list)
    return {_norm(re.split(r"[\[<>=~! ;]", one, maxsplit=1)[0]) for one in wanted}


def _imported(root: ast.Module) -> set[str]:
    """Return the modules that are imported; of `from a import b` both `a` and `a.b`, which may be one."""
    names: set[str] = set()
    for node in ast.walk(root):
        match node:
            case ast.Import(names=found):
                names |= {one.name for one in found}
            case ast.ImportFrom(module=str(module), names=found, level=0):
                names |= {module, *(f"{module}.{one.name}" for one in found)}
            case _:
                pass
    return {name for name in names if name.partition(".")[0] not in sys.stdlib_module_names}


def _distributions(member: str) -> set[str]:
    of = metadata.packages_distributions()
    modules = {name for file in sources(f"{member}/src") for name in _imported(tree(file))}
    found: set[str] = set()
    for name in modules:
        package = name.partition(".")[0]
        owners = of.get(package, [package]) if package != PACKAGES[member] else []
        # Of a package that many share (opentelemetry), it is who has the module.
        found |= {one for one in owners if len(owners) == 1 or _has(one, name)}
    return {_norm(name) for name in found}


@cache
def _files_of(distribution: str) -> set[str]:
    return {str(path) for path in metadata.files(distribution) or ()}


def _has(distribution: str, module: str) -> bool:
    path = module.replace(".", "/")
    return not _files_of(distribution).isdisjoint({f"{path}.py", f"{path}/__init__.py"})


def test_an_import_is_seen_wherever_it_stands() -> None:
    root = ast.parse("import os, a.b\ndef f():\n    from c.d import e\nfrom . import g\n")
    assert _imported(root) == {"a.b", "c.d", "c.d.e"}


def test_of_a_package_that_many_share_the_one_with_the_module_is_meant() -> None:
    assert _has("opentelemetry-sdk", "opentelemetry.sdk.trace")
    assert not _has("opentelemetry-api", "opentelemetry.sdk.trace")


@pytest.mark.parametrize("member", MEMBERS)
def test_member_declares_what_it_imports_and_nothing_else(member: str) -> None:
    imported, declared = _distributions(member), _declared(member)
    assert imported - declared == set(), f"add them to dependencies in {member}/pyproject.toml"
    assert declared - imported - BY_NAME_ONLY == set(), f"{member} does not import these: drop them"


@pytest.mark.parametrize("member", MEMBERS)
def test_member_is_named_after_its_package(member: str) -> None:
    project = _project(member)
    assert project["name"] == _norm(PACKAGES[member])
    assert project["version"] == "0", "nothing inside the house has versions"
    assert project["requires-python"] == ">=3.11"
    assert (CHECKOUT / member / "src" / PACKAGES[member] / "py.typed").is_file(), "add py.typed"


def _pinned(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", read(Path(lock)), re.MULTILINE))


@pytest.mark.parametrize("member", MEMBERS)
def test_what_a_member_needs_is_locked(member: str) -> None:
    lock = "requirements-dev.lock" if member in FOR_DEVELOPERS else "requirements.lock"
    pinned = {_norm(name) for name in _pinned(lock)}
    ours = {_norm(package) for package in PACKAGES.values()}
    assert _declared(member) - ours <= pinned, f"add it to requirements.in and compile {lock}"


@pytest.mark.parametrize(
    "lock", ["requirements.lock", "requirements-dev.lock", "requirements-go.lock"]
)
def test_lock_has_hashes_and_no_addresses(lock: str) -> None:
    faults = _faults_of_lock(read(Path(lock)))
    assert not faults, (
        f"{faults}: compile it with uv pip compile --universal --generate-hashes, and no --emit-index-url"
    )


def _faults_of_lock(text: str) -> list[str]:
    faults = re.findall(
        r"^\s*--(?!hash=sha256:[0-9a-f]{64}\b).*|\S*://\S*| @ \S+", text, re.MULTILINE
    )
    for entry in re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)):
        if entry.strip() and not re.search(r"==\S+.*\\\n\s+--hash=sha256:", entry):
            faults.append(f"{entry.split()[0]} without a hash")
    return faults


def test_a_lock_with_an_address_or_without_a_hash_is_found() -> None:
    good = "# made by uv\na==1 \\\n    --hash=sha256:" + "0" * 64 + "\n    # via -r x\n"
    assert not _faults_of_lock(good)
    assert _faults_of_lock(f"--index-url https://i\n{good}")
    assert _faults_of_lock(good + "b==2\n")
    assert _faults_of_lock(good + "b @ file:///b.whl\n")


def test_both_locks_pin_the_same_versions() -> None:
    running, developing = _pinned("requirements.lock"), _pinned("requirements-dev.lock")
    differing = {name for name in running if developing.get(name) != running[name]}
    assert not differing, "compile requirements.lock with -c requirements-dev.lock"


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])


@pytest.mark.parametrize("name", sorted(FLOORS))
def test_library_is_above_the_version_that_is_a_hole(name: str) -> None:
    pinned = {_norm(one): version for one, version in _pinned("requirements.lock").items()}
    assert _version(pinned[name]) >= FLOORS[name], f"{name} {pinned[name]} is known to be unsafe"
    assert _version(metadata.version(name)) >= FLOORS[name], "./bailiwick check installs the lock"


@pytest.mark.parametrize("name", sorted(ABSENT))
def test_library_with_a_hole_is_not_there(name: str) -> None:
    pinned = {_norm(one): version for one, version in _pinned("requirements-dev.lock").items()}
    floor = ABSENT[name]
    assert name not in pinned or (floor and _version(pinned[name]) >= floor), (
        f"see T13 about {name}"
    )


def test_opa_is_above_the_version_that_is_a_hole() -> None:
    assert _version(opa.VERSION) >= (1, 22, 2)  # before 1.21.3 unsigned bundles passed


def test_import_rules_are_kept() -> None:
    ran = subprocess.run(  # noqa: S603 - our own tool
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def _import_rules() -> configparser.ConfigParser:
    rules = configparser.ConfigParser()
    rules.read(CHECKOUT / ".importlinter")
    return rules


def test_import_rules_know_every_package() -> None:
    roots = _import_rules()["importlinter"]["root_packages"].split()
    assert set(roots) == set(PACKAGES.values()), "name it in .importlinter's root_packages"


def test_import_rules_speak_of_every_service_wherever_they_speak_of_one() -> None:
    services = {f"bailiwick_{service}" for service in SERVICES}
    rules = _import_rules()
    for section in rules.sections():
        for key in ("containers", "modules", "source_modules"):
            named = {one.partition(".")[0] for one in rules.get(section, key, fallback="").split()}
            if any(one in services for one in named):
                assert services <= named, f"[{section}] {key}: name {services - named} too"


def test_import_rules_have_no_exceptions() -> None:
    rules = _import_rules()
    excused = [name for name in rules.sections() if rules.has_option(name, "ignore_imports")]
    assert not excused, f"{excused}: write an ADR first, and let this test name it"


def test_every_service_has_rooms_and_is_a_stranger_to_the_others() -> None:
    rules = _import_rules()
    assert rules["importlinter:contract:rooms"]["exhaustive"] == "true"
    assert rules["importlinter:contract:strangers"]["type"] == "independence"


def test_tools_know_every_package_as_ours() -> None:
    tools = tomllib.loads(read(Path("pyproject.toml")))["tool"]
    assert set(tools["ruff"]["lint"]["isort"]["known-first-party"]) == set(PACKAGES.values())
