"""The running installation that is imported into, as far as an import needs it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, BinaryIO, Protocol


class ImportStoppedError(Exception):
    """A service refused what had passed the check, or did not answer; the message says what to do."""


class PrivateFiles(Protocol):
    """Files that nobody but the installation's account reads."""

    def folder(self, name: str) -> Path:
        """Return the folder of that name, made where missing."""

    def write(self, path: Path, text: str) -> Path:
        """Write a file."""

    def opened(self, path: Path, flags: int) -> BinaryIO:
        """Open a file for writing, made where missing."""


class Target(Protocol):
    """What runs the services' own commands, and where files and messages go."""

    @property
    def places(self) -> PrivateFiles:
        """Where the passwords that were made up are kept."""

    @property
    def report(self) -> Callable[[str], None]:
        """Where it is told what is going on, line by line."""

    def feed_service(
        self, service: str, arguments: list[str], sent: IO[bytes], said: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        """Run a service's subcommand that is given a lot and answers as it goes, on its standard output.

        `sent` is its input, `said` takes its standard error.
        """

    def policy(self) -> AbstractContextManager[str]:
        """Return the address of an OPA with the installation's policy, for as long as the block lasts."""
