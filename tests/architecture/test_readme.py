"""What README.md tells a stranger to run is there, and its links lead somewhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from bailiwick_local.cli import app
from bailiwick_local.services import SERVICES

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
_LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)[^)]*\)")
_COMMAND = re.compile(r"^\./bailiwick (.+?)(?:\s+#.*)?$", re.MULTILINE)
_IN_TEXT = re.compile(r"`\./bailiwick ([^`]+)`")


def commands(text: str) -> Iterator[list[str]]:
    for pattern in (_COMMAND, _IN_TEXT):
        yield from (shlex.split(match[1]) for match in pattern.finditer(text))


def broken_links(file: Path) -> list[str]:
    targets = (match[1] for match in _LINK.finditer(file.read_text()))
    return [target for target in targets if not (file.parent / target).exists()]


def unknown_commands(text: str) -> list[str]:
    verbs = typer.main.get_command(app).commands  # type: ignore[attr-defined] # a group
    wrong = []
    for verb, *arguments in commands(text):
        known = (
            {name for option in verbs[verb].params for name in option.opts} if verb in verbs else ()
        )
        # What follows is pytest's, or the service's own.
        passed_on = verb in {"test", "service"}
        options = [one for one in arguments if one.startswith("-") and not passed_on]
        if verb not in verbs or not set(options) <= {*known, "--help"}:
            wrong.append(" ".join([verb, *arguments]))
        if verb == "service" and arguments[0] not in SERVICES:
            wrong.append(" ".join([verb, *arguments]))
    return wrong


def test_its_commands_exist() -> None:
    text = README.read_text()
    assert {"demo", "test"} <= {command[0] for command in commands(text)}
    assert not unknown_commands(text), "README.md names commands that ./bailiwick does not have"


@pytest.mark.parametrize(
    "file", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "deploy/local/README.md"]
)
def test_links_lead_somewhere(file: str) -> None:
    assert not broken_links(ROOT / file), f"{file} links to what is not there; mend the link"


def test_paths_that_commands_name_are_there() -> None:
    named = re.findall(r"\b(?:deploy|services|tests|contracts)/[\w/.-]+", README.read_text())
    assert named
    assert not [path for path in named if not (ROOT / path).exists()]


def test_a_wrong_command_and_a_broken_link_are_found(tmp_path: Path) -> None:
    assert unknown_commands(
        "./bailiwick fly  # away\n`./bailiwick up --soon`\n./bailiwick up\n"
    ) == [
        "fly",
        "up --soon",
    ]
    file = tmp_path / "a.md"
    file.write_text("[here](a.md) [there](b.md#part) [away](https://example.org/c.md)")
    assert broken_links(file) == ["b.md"]
