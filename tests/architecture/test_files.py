"""House rules about files: names, sizes, what may not be in them; licence, decisions, lock files."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bailiwick_testkit.checkout import CHECKOUT, MEMBERS, files, read, tree

NO_NAME = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers", "modules"}
NO_NAME |= {"core", "base", "shared", "lib"}
LONGEST_FILE, LONGEST_TEST, LONGEST_FUNCTION = 400, 500, 60
HEADINGS = ("Context", "Decision", "Consequences", "Price")
NO_TEXT = {".png", ".jpg", ".ico", ".svg", ".gz", ".woff2"}
# Written so that they do not match themselves.
OF_A_MACHINE = re.compile(r"(?<![\w.~@$}:/-])/(?:root|work|home|Users)/[\w.]")
OF_A_REGISTRY = re.compile(
    r"pypi[.]org|pythonhosted[.]org|npmjs[.](?:org|com)|yarnpkg[.]com|proxy[.]golang[.]org"
    r"|sum[.]golang[.]org|registry-1[.]docker[.]io|crates[.]io",
    re.IGNORECASE,
)
PYTHON = [file for file in files() if file.suffix == ".py"]


def _badly_named(paths: tuple[Path, ...]) -> list[str]:
    return [str(p) for p in paths if NO_NAME & {part.partition(".")[0] for part in p.parts}]


def test_nothing_is_named_after_nothing() -> None:
    found = _badly_named(files())
    assert not found, f"name it after what it does (GLOSSARY.md): {found}"


@pytest.mark.parametrize(
    ("path", "is_bad"),
    [
        ("libs/kit/utils.py", True),
        ("services/x/core/a.py", True),
        ("base/a.py", True),
        ("libs/kit/a.py", False),
        ("docs/base-image.md", False),
    ],
)
def test_a_name_that_says_nothing_is_found(path: str, is_bad: bool) -> None:
    assert bool(_badly_named((Path(path),))) is is_bad


def _too_long(file: Path, text: str) -> bool:
    most = LONGEST_TEST if "tests" in file.parts else LONGEST_FILE
    return len(text.splitlines()) > most


def test_files_are_read_in_one_sitting() -> None:
    found = [str(file) for file in PYTHON if _too_long(file, read(file))]
    assert not found, f"split it by what it is about; at most {LONGEST_FILE} lines: {found}"


def test_a_file_that_is_too_long_is_found() -> None:
    assert _too_long(Path("a.py"), "\n" * (LONGEST_FILE + 1))
    assert not _too_long(Path("tests/a.py"), "\n" * (LONGEST_FILE + 1))


def _long_functions(root: ast.Module) -> Iterator[str]:
    for node in ast.walk(root):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            # A function that only holds others (a program's commands) is as long as their sum.
            inner = sum(
                (one.end_lineno or one.lineno) - one.lineno + 1
                for one in node.body
                if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
            )
            if length - inner > LONGEST_FUNCTION:
                yield f"{node.name} ({length} lines)"


def test_functions_are_seen_at_once() -> None:
    found = [
        f"{file}: {name}"
        for file in PYTHON
        if "versions" not in file.parts
        for name in _long_functions(tree(file))
    ]
    assert not found, f"take a step out and name it; at most {LONGEST_FUNCTION} lines: {found}"


def test_a_function_that_is_too_long_is_found() -> None:
    assert list(_long_functions(ast.parse("def f():\n" + "    g()\n" * (LONGEST_FUNCTION + 1))))
    assert not list(_long_functions(ast.parse("def f():\n" + "    g()\n" * 10)))


def _foreign(pattern: re.Pattern[str]) -> list[str]:
    found = []
    for file in files():
        if file.suffix not in NO_TEXT:
            text = (CHECKOUT / file).read_text("utf-8", errors="replace")
            found += [f"{file}: {match.group()}" for match in pattern.finditer(text)]
    return found


def test_no_file_holds_a_path_of_one_machine() -> None:
    found = _foreign(OF_A_MACHINE)
    assert not found, f"say it from the checkout, or ask the environment: {found}"


def test_no_file_holds_the_address_of_a_package_registry() -> None:
    found = _foreign(OF_A_REGISTRY)
    assert not found, f"whoever installs chooses the registry; name the package alone: {found}"


@pytest.mark.parametrize("text", ["cd /{}/main", "'/{}/x'", "(/{}/a"])
@pytest.mark.parametrize("folder", ["root", "work", "home", "Users"])
def test_a_path_of_one_machine_is_found(text: str, folder: str) -> None:
    assert OF_A_MACHINE.search(text.format(folder))


@pytest.mark.parametrize("text", ["a/{}/b", "/v1/{}", "./{}/x", "http://h/{}/x", "$HOME/{}/x"])
def test_other_paths_are_no_faults(text: str) -> None:
    assert not OF_A_MACHINE.search(text.format("work"))


def test_an_address_of_a_registry_is_found() -> None:
    assert OF_A_REGISTRY.search("https://files.python" + "hosted.org/packages")
    assert OF_A_REGISTRY.search("--index-url https://py" + "pi.org/simple")
    assert not OF_A_REGISTRY.search("github.com/open-policy-agent/opa")


def test_licence_is_apache_for_the_whole_and_each_member() -> None:
    text = read(Path("LICENSE"))
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    for member in MEMBERS:
        project = tomllib.loads(read(Path(member, "pyproject.toml")))["project"]
        assert project["license"] == "Apache-2.0", f"{member}: say license = 'Apache-2.0'"


@pytest.mark.parametrize("member", MEMBERS)
def test_every_member_has_a_readme(member: str) -> None:
    assert (CHECKOUT / member / "README.md").is_file(), f"{member}: say what it is for in README.md"


DECISIONS = sorted(file for file in files() if file.parent == Path("docs/adr"))


def _faults_of_decision(number: int, name: str, text: str) -> Iterator[str]:
    if not re.fullmatch(rf"{number:04}-[a-z0-9-]+\.md", name):
        yield f"{name}: call it NNNN-words-of-its-title.md"
    if not text.startswith(f"# {number}. "):
        yield f"{name}: begin with '# {number}. Title'"
    places = [text.find(f"\n**{heading}.** ") for heading in HEADINGS]
    if -1 in places or places != sorted(places):
        yield f"{name}: say {', '.join(f'**{heading}.**' for heading in HEADINGS)}, in this order"


def test_decisions_are_numbered_and_say_four_things() -> None:
    found = [
        fault
        for file in DECISIONS
        for fault in _faults_of_decision(_number(file), file.name, read(file))
    ]
    assert not found, "\n".join(found)
    numbers = [_number(file) for file in DECISIONS]
    assert len(set(numbers)) == len(numbers), "two decisions have one number: take the next one"


def _number(decision: Path) -> int:
    """Return a decision's number; those of branches that are not merged yet may be missing in between."""
    return int(decision.name.partition("-")[0])


def test_a_decision_that_lacks_its_price_is_found() -> None:
    whole = "# 2. A\n\n**Context.** a\n\n**Decision.** b\n\n**Consequences.** c\n\n**Price.** d\n"
    assert not list(_faults_of_decision(2, "0002-a.md", whole))
    assert list(_faults_of_decision(2, "0002-a.md", whole.replace("**Price.** d", "")))
    assert list(_faults_of_decision(3, "0002-a.md", whole))


def test_decisions_that_code_cites_are_there() -> None:
    cited = {
        int(number)
        for file in files()
        if file.suffix in {".py", ".md", ".rego", ".yaml"}
        for number in re.findall(r"\bADR (\d+)\b", read(file))
    }
    assert cited <= {_number(file) for file in DECISIONS}, "cite a decision that is in docs/adr"
