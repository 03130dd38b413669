"""What the README and docs/ tell to type is there, links lead somewhere, and every page is found."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from bailiwick_launcher.cli import app
from bailiwick_testkit.checkout import CHECKOUT, SERVICES, files, read, sources, tree

README = Path("README.md")
PAGES = [file for file in files() if file.suffix == ".md"]
TOLD = [file for file in PAGES if file.parts[0] == "docs" or file == README]
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?!https?://)([^)#\s]*)(?:#([^)\s]*))?\)")
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_IN_TEXT = re.compile(r"`((?:\./bailiwick|docker compose|kubectl) [^`]+)`")
_ENDS_A_COMMAND = set("();<>|&")
_COMPOSE: dict[str, Any] = yaml.safe_load(read(Path("deploy/compose.yaml")))["services"]
_TAKES_A_SERVICE = {"exec", "run", "logs", "up", "restart", "build"}


def prose(text: str) -> str:
    return _FENCED.sub("", text)


def anchors(text: str) -> set[str]:
    """Return what headings can be linked to by, as GitHub makes it of them."""
    found = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", one).lower() for one in found)
    return {re.sub(r"[^\w\- ]", "", one).strip().replace(" ", "-") for one in plain}


def broken_links(folder: Path, name: str, text: str) -> list[str]:
    broken = []
    for path, anchor in _LINK.findall(prose(text)):
        target = folder / path if path else folder / name
        if not target.exists():
            broken.append(path)
        elif anchor and target.suffix == ".md":
            own = text if not path else target.read_text("utf-8")
            broken += [f"{path}#{anchor}"] if anchor not in anchors(own) else []
    return broken


@pytest.mark.parametrize("file", PAGES, ids=str)
def test_links_lead_somewhere(file: Path) -> None:
    broken = broken_links(CHECKOUT / file.parent, file.name, read(file))
    assert not broken, f"{file} links to what is not there; mend the link"


def _led_to(file: Path) -> Iterator[Path]:
    """Yield the pages that a page leads to; a folder shows its README, and without one all its pages."""
    for path, _ in _LINK.findall(prose(read(file))):
        target = (CHECKOUT / file.parent / path).resolve()
        if (target / "README.md").is_file():
            target /= "README.md"
        yield from target.glob("*.md") if target.is_dir() else [target]


def test_every_page_is_found_from_the_readme() -> None:
    found, new = {README}, [README]
    while new:
        led_to = {page.relative_to(CHECKOUT) for page in _led_to(new.pop()) if page.suffix == ".md"}
        new += led_to - found
        found |= led_to
    lost = [str(file) for file in PAGES if file.parts[0] == "docs" and file not in found]
    assert not lost, f"nobody finds {lost}: link it from a page that the README leads to"


# Commands


def _lines(text: str) -> Iterator[str]:
    for language, block in _FENCED.findall(text):
        if language in {"", "sh"}:
            yield from block.replace("\\\n", " ").splitlines()
    yield from _IN_TEXT.findall(prose(text))


def commands(text: str) -> Iterator[list[str]]:
    """Yield the simple commands of what is to be typed, word by word."""
    for line in _lines(text):
        words = shlex.shlex(line, posix=True, punctuation_chars=True)
        words.whitespace_split = True
        command: list[str] = []
        try:
            for word in words:
                if set(word) <= _ENDS_A_COMMAND:
                    yield command
                    command = []
                else:
                    command.append(word)
        except ValueError:  # output, not input: a quote that nothing ends
            continue
        yield command


def _unknown_to(program: Any, words: Sequence[str]) -> bool:
    """Tell whether a program lacks a subcommand or an option."""
    while hasattr(program, "commands"):
        if not words or words[0] == "--help":
            return False
        if words[0] not in program.commands:
            return True
        program, words = program.commands[words[0]], words[1:]
    known = {name for one in program.params for name in (*one.opts, *one.secondary_opts)}
    options = {word.partition("=")[0] for word in words if word.startswith("-") and word != "-"}
    return not options <= known | {"--help"}


@cache
def _program(service: str) -> Any:
    return typer.main.get_command(importlib.import_module(f"bailiwick_{service}.main").program)


def _of_service(service: str, words: Sequence[str]) -> bool:
    return service not in SERVICES or _unknown_to(_program(service), words)


def _of_launcher(words: Sequence[str]) -> bool:
    if words[:1] == ["service"] and len(words) > 1:
        return _of_service(words[1], words[2:])
    # What follows is pytest's.
    return _unknown_to(typer.main.get_command(app), words[:1] if words[:1] == ["test"] else words)


def _of_compose(words: Sequence[str]) -> bool:
    """Tell whether a container is not in compose.yaml, or its program lacks what it is told."""
    verb, *rest = [word for word in words if word not in {"-T", "--rm", "-f", "-d"}]
    if verb not in _TAKES_A_SERVICE:
        return False
    names = [word for word in rest if not word.startswith("-")]
    if verb not in {"exec", "run"}:
        return not set(names) <= _COMPOSE.keys()
    if not names or names[0] not in _COMPOSE:
        return True
    inside = rest[rest.index(names[0]) + 1 :]
    entrypoint = _COMPOSE[names[0]].get("entrypoint", []) if verb == "run" else []
    line = [*entrypoint, *inside]
    service = names[0] if names[0] in SERVICES else "notifier"
    return line[:1] == ["bailiwick"] and _of_service(service, line[1:])


def _of_kubectl(words: Sequence[str]) -> bool:
    if "--" not in words:
        return False
    pod = next((word for word in words if word.startswith("deploy/bailiwick-")), "")
    service, _, process = pod.removeprefix("deploy/bailiwick-").partition("-")
    inside = words[words.index("--") + 1 :]
    is_ours = inside[:1] == ["bailiwick"]
    return is_ours and (process not in {"api", "worker"} or _of_service(service, inside[1:]))


def unknown_commands(text: str) -> list[str]:
    wrong = []
    for words in commands(text):
        match words:
            case ["./bailiwick", *rest] if rest and _of_launcher(rest):
                wrong.append(" ".join(words))
            case ["docker", "compose", *rest] if rest and _of_compose(rest):
                wrong.append(" ".join(words))
            case ["kubectl", *rest] if _of_kubectl(rest):
                wrong.append(" ".join(words))
            case _:
                pass
    return wrong


@pytest.mark.parametrize("file", TOLD, ids=str)
def test_its_commands_exist(file: Path) -> None:
    unknown = unknown_commands(read(file))
    assert not unknown, f"{file} tells to type what there is not: {unknown}"


def test_readme_begins_with_what_a_stranger_types() -> None:
    typed = {words[1] for words in commands(read(README)) if words[:1] == ["./bailiwick"]}
    assert {"demo", "test"} <= typed


def test_paths_that_commands_name_are_there() -> None:
    named = re.findall(r"\b(?:deploy|services|tests|contracts)/[\w/.-]+", read(README))
    assert named
    assert not [path for path in named if not (CHECKOUT / path).exists()]


@cache
def _logged() -> frozenset[str]:
    """Return what services call the facts in their logs."""
    return frozenset(
        node.args[0].value
        for file in sources("libs", "services")
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Call)
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    )


def unknown_values(text: str) -> list[str]:
    """Return the chart's values that a text names and the chart does not have; logs have such names too."""
    values = yaml.safe_load(read(Path("deploy/helm/bailiwick/values.yaml")))
    wrong = []
    for path in re.findall(r"`([a-zA-Z]+(?:\.\w+)+)(?:: [^`]+)?`", prose(text)):
        first, *rest = path.split(".")
        here = values.get(first)
        for name in rest if isinstance(here, dict) else ():
            here = here.get(name) if isinstance(here, dict) else None
        wrong += [path] if first in values and here is None and path not in _logged() else []
    return wrong


@pytest.mark.parametrize("file", TOLD, ids=str)
def test_values_that_it_names_are_the_charts(file: Path) -> None:
    assert not unknown_values(read(file)), "deploy/helm/bailiwick/values.yaml has no such value"


def test_a_wrong_value_is_found() -> None:
    assert unknown_values("`opa.decisionLog: true` `policy.remote.address`") == [
        "opa.decisionLog",
        "policy.remote.address",
    ]
    assert not unknown_values("`opa.decisionLogs: true` `policy.remote` `policy.refused`")


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("# One & two\n")
    text = "# Here\n[a](b.md) [b](b.md#one--two) [c](#here) [away](https://example.org/c.md)"
    (tmp_path / "a.md").write_text(text)
    assert not broken_links(tmp_path, "a.md", text)
    wrong = "[a](c.md) [b](b.md#three) [c](#there)"
    assert broken_links(tmp_path, "a.md", wrong) == ["c.md", "b.md#three", "#there"]


@pytest.mark.parametrize(
    "line",
    [
        "./bailiwick fly  # away",
        "./bailiwick up --soon",
        "./bailiwick service order migrate",
        "./bailiwick service orders dead-letters burn",
        "true | ./bailiwick service reports verify --organization ORG",
        "docker compose exec order bailiwick migrate",
        "docker compose exec -T orders bailiwick republish --org ORG --at reports.orders",
        "docker compose run --rm subscribers rotated",
        "docker compose logs elsewhere",
        "kubectl exec deploy/bailiwick-orders-worker -c worker -- bailiwick dead-letter list",
        "kubectl exec deploy/bailiwick-orders -- bailiwick dead-letters list",
    ],
)
def test_a_wrong_command_is_found(line: str) -> None:
    assert unknown_commands(f"```sh\n{line}\n```\n")
    assert unknown_commands(f"```sh\n./bailiwick up\n{line} && ./bailiwick status\n```\n")


@pytest.mark.parametrize(
    "line",
    [
        "./bailiwick up --empty  # alone",
        "./bailiwick test -n 2 services/orders",
        "./bailiwick service orders dead-letters replay EVENT_ID",
        "./bailiwick service orders tally --org ORG | ./bailiwick service reports verify --org ORG",
        "docker compose exec postgres psql -U postgres bailiwick_orders",
        "docker compose run --rm subscribers add --org ORG --name erp",
        "docker compose logs orders | grep -E 'relay|consumer'",
        "kubectl exec -i deploy/bailiwick-identity-api -c api -- bailiwick import --org ORG --source old",
        "kubectl get pods",
    ],
)
def test_a_right_command_is_none(line: str) -> None:
    assert not unknown_commands(f"```sh\n{line}\n```\n")
    assert not unknown_commands(f"as `{line}` says")
