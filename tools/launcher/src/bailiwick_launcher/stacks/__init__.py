"""The whole stack in one data folder, whatever it runs as: processes of this machine, or containers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, Protocol

from bailiwick_launcher.data_folder import DataFolder
from bailiwick_mailbox import Mailbox

Report = Callable[[str], None]


class Stack(Protocol):
    """What the commands, the import and the story need of a stack; every method may be repeated."""

    @property
    def places(self) -> DataFolder:
        """The data folder."""

    @property
    def report(self) -> Report:
        """Where it tells what is going on, line by line."""

    @property
    def origin(self) -> str:
        """The gateway's address: the one origin for clients."""

    @property
    def mail(self) -> Mailbox:
        """The mail that was sent and kept here."""

    @property
    def mail_goes_out(self) -> bool:
        """Whether mail goes to a server that is not ours, and none is kept."""

    def up(self) -> None:
        """Bring everything up; what runs as it should is left alone.

        Raises:
            StackError: something did not come up; with what to do or the end of its log.
        """

    def down(self) -> list[str]:
        """End everything that was started here, and give the names of what was running. Data stay."""

    def absent(self) -> list[str]:
        """Give those of the services and the gateway that do not run."""

    def status(self) -> dict[str, Any]:
        """Tell what runs where, for people and programs."""

    def log_command(self, name: str, lines: int, *, follow: bool) -> list[str]:
        """Give the command that shows the end of a service's or server's log.

        Raises:
            StackError: there is none of that name; with those that there are.
        """

    def run_service(
        self, service: str, *arguments: str, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a service's subcommand (`dead-letters list` …), `text` on its input; collect what it says."""

    def feed_service(
        self, service: str, arguments: list[str], sent: IO[bytes], said: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        """Run a service's subcommand that is given a lot and answers as it goes, on its standard output.

        `sent` is its input, `said` takes its standard error.
        """

    def policy(self) -> AbstractContextManager[str]:
        """Give the address of an OPA with the stack's policy, for as long as the block lasts."""


def sign_ins_file(places: DataFolder) -> Path:
    """Give where the sample company's sign-ins are kept: a list of name, role, email, password."""
    return places.data / "sign-ins.json"


def sign_ins(places: DataFolder) -> list[dict[str, str]]:
    """Give those sign-ins, none where the sample company was never loaded."""
    try:
        known: list[dict[str, str]] = json.loads(sign_ins_file(places).read_text("utf-8"))
    except (OSError, ValueError):
        return []
    return known
