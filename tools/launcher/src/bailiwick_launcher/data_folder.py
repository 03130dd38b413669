"""Where things lie: the checkout, the data folder, and what is kept there between two starts."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import random
import secrets
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from bailiwick_launcher.accounts import Account, account_to_run_as

CHECKOUT = Path(__file__).resolve().parents[4]
_MEMBERS = ("*/pyproject.toml", "*/*/pyproject.toml")
_PORTS = range(20000, 32000)
"""Below the range from which Linux takes the ports of outgoing connections."""
_CLAIM_HOLDS = 600
"""Seconds. Far longer than a server takes from its start to listening."""
_LONGEST_SOCKET = 100
"""A Unix socket's path has room for 107 bytes."""


@dataclass(frozen=True)
class DataFolder:
    """A data folder and the account that owns it. Two of them never share a process or a port."""

    data: Path
    account: Account = field(default_factory=account_to_run_as)

    def folder(self, name: str) -> Path:
        """Give a folder below the data folder; it is made where missing, for the account alone."""
        path = self.data / name
        for folder in (*reversed([p for p in path.parents if p.is_relative_to(self.data)]), path):
            if not folder.exists():
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self.account.owns(folder)
        return path

    def write(self, path: Path, text: str) -> Path:
        """Write a file that the account alone may read."""
        with self.opened(path, os.O_WRONLY | os.O_TRUNC) as file:
            file.write(text.encode())
        return path

    def opened(self, path: Path, flags: int) -> BinaryIO:
        """Open a file that the account alone may read; it is made where missing.

        Never through a link: as root we would be led out of the folder by whoever owns it.
        """
        descriptor = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        if self.account.is_switched:
            os.fchown(descriptor, self.account.uid, self.account.gid)
        return os.fdopen(descriptor, "wb")

    def socket(self, name: str) -> Path:
        """Give the path of a Unix socket, elsewhere if the data folder's path is too long."""
        path = self.folder("sockets") / f"{name}.sock"
        if len(os.fsencode(path)) <= _LONGEST_SOCKET:
            return path
        short = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"bailiwick-{short}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid not in {os.geteuid(), self.account.uid}:
            message = f"{folder} belongs to somebody else; set BAILIWICK_DATA to a shorter path"
            raise PermissionError(message)
        self.account.owns(folder)
        return folder / f"{name}.sock"

    @cached_property
    def kept(self) -> Kept:
        """What is decided once and then stays: ports and passwords."""
        return Kept(self)


class Kept:
    """Ports and secrets, decided at the first asking; one JSON file, safe between processes."""

    def __init__(self, places: DataFolder) -> None:
        self._places = places
        self._path = places.folder(".") / "kept.json"

    @contextmanager
    def _opened(self) -> Iterator[dict[str, dict[str, str]]]:
        with locked(self._path.with_suffix(".lock")):
            content = json.loads(self._path.read_text()) if self._path.exists() else {}
            before = json.dumps(content)
            yield content
            if json.dumps(content) != before:
                self._places.write(self._path, json.dumps(content, indent=2))

    def secret(self, name: str) -> str:
        """Give the secret of that name."""
        with self._opened() as content:
            return content.setdefault("secrets", {}).setdefault(name, secrets.token_hex(24))

    def choice(self, name: str, choose: Callable[[], str]) -> str:
        """Give what was chosen when this was first asked: data stay where they were begun."""
        with self._opened() as content:
            choices = content.setdefault("choices", {})
            if name not in choices:
                choices[name] = choose()
            return str(choices[name])

    def chosen(self, name: str) -> str | None:
        """Give what was chosen before, None where nothing was."""
        with self._opened() as content:
            return content.get("choices", {}).get(name)

    def port(self, name: str, *, in_use: bool = False) -> int:
        """Give the port of that name: the one of last time, unless a stranger has taken it.

        `in_use` says that our own server holds it just now.
        """
        with self._opened() as content:
            ports = content.setdefault("ports", {})
            if not (in_use and name in ports):
                ports[name] = str(claimed_port(int(ports[name]) if name in ports else None))
            return int(ports[name])


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes for the length of the block."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def claimed_port(wished: int | None = None) -> int:
    """Return a free port of loopback that nobody else is given in the next ten minutes.

    A server listens seconds after its port was chosen. All stacks of one user on this machine
    choose from one list, so that two which start at once never choose the same. The wished one
    is returned where it is free.
    """
    folder = Path(tempfile.gettempdir()) / f"bailiwick-ports-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.geteuid():
        raise PermissionError(f"{folder} belongs to somebody else; set TMPDIR to another folder")
    with locked(folder / "lock"):
        claims = _claims(folder / "claims.json")
        port = wished if wished and _is_free(wished) else _unclaimed(claims)
        (folder / "claims.json").write_text(json.dumps(claims | {str(port): time.time()}))
    return port


def _claims(file: Path) -> dict[str, float]:
    try:
        claims = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    oldest = time.time() - _CLAIM_HOLDS
    return {port: since for port, since in claims.items() if since > oldest}


def _unclaimed(claims: Mapping[str, float]) -> int:
    chooser = random.SystemRandom()
    while True:
        port = chooser.choice(_PORTS)
        if str(port) not in claims and _is_free(port):
            return port


def of_the_checkout() -> DataFolder:
    """Give BAILIWICK_DATA, else `.local` beside the script, else a folder that others can reach.

    The last is for root with a checkout below its own home: the stack's account, which is not
    root, could not even enter it.
    """
    account = account_to_run_as()
    if given := os.environ.get("BAILIWICK_DATA"):
        return DataFolder(Path(given).resolve(), account)
    if account.reaches(CHECKOUT):
        return DataFolder(CHECKOUT / ".local", account)
    name = hashlib.sha256(os.fsencode(CHECKOUT)).hexdigest()[:12]
    return DataFolder(Path("/var/lib") / f"bailiwick-{name}", account)


def tools() -> Path:
    """Give the folder of the programs that were built for this checkout."""
    return of_the_checkout().folder("bin")


def source_folders() -> list[Path]:
    """Give the `src` folder of every member of the workspace."""
    return sorted(
        project.parent / "src" for pattern in _MEMBERS for project in CHECKOUT.glob(pattern)
    )
