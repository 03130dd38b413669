"""`./bailiwick service`: what a service's command is given on its standard input."""

from __future__ import annotations

import subprocess

import pytest
from typer.testing import CliRunner

from bailiwick_launcher import cli


class _Stack:
    """A stack of which one thing alone is asked: to run a command. It keeps what that was given."""

    text = ""

    def run_service(
        self, service: str, *arguments: str, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        self.text = text
        return subprocess.CompletedProcess([service, *arguments], 0, "done\n", "")


@pytest.mark.parametrize(
    ("arguments", "is_given"),
    [
        ("identity create-organization --name Alameda --password-stdin", True),
        ("identity create-organization --password-stdin --name Alameda", True),
        ("customers import --org 1", True),
        ("reports verify", True),
        ("orders dead-letters list", False),
        ("identity create-organization --name --stdin-", False),
    ],
)
def test_input_reaches_the_commands_that_read_it(
    monkeypatch: pytest.MonkeyPatch, arguments: str, *, is_given: bool
) -> None:
    stack = _Stack()
    monkeypatch.setattr(cli, "_running", lambda: stack)
    done = CliRunner().invoke(cli.app, ["service", *arguments.split()], input="a password\n")
    assert done.exit_code == 0, done.output
    assert stack.text == ("a password\n" if is_given else "")
