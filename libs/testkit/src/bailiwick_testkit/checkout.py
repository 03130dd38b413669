"""The checkout, for tests about the set of things: its files, their syntax trees, and the last release."""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path

from bailiwick_launcher.data_folder import CHECKOUT as CHECKOUT

MEMBERS = tuple(
    sorted(
        str(project.parent.relative_to(CHECKOUT))
        for pattern in ("*/pyproject.toml", "*/*/pyproject.toml")
        for project in CHECKOUT.glob(pattern)
    )
)
"""The workspace's members, as paths from the checkout."""

SERVICES = tuple(
    sorted(folder.name for folder in CHECKOUT.glob("services/*") if (folder / "src").is_dir())
)
"""The services, by the names of their folders."""


def git(*arguments: str) -> str:
    """Run git in the checkout, whoever owns that, and return what it prints.

    Raises:
        CalledProcessError: git says no, or this is no checkout; what it says is on stderr.
    """
    return subprocess.run(  # noqa: S603 - only tests call it, with their own words
        ["git", "-c", "safe.directory=*", "-c", "core.quotePath=false", *arguments],  # noqa: S607 - the PATH's git
        cwd=CHECKOUT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ).stdout


@cache
def files() -> tuple[Path, ...]:
    """Return every file that is committed or would be, as paths from the checkout."""
    listed = git("ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    return tuple(sorted({Path(name) for name in listed if (CHECKOUT / name).is_file()}))


def sources(*folders: str) -> tuple[Path, ...]:
    """Return the Python files below these folders of the checkout, tests left out."""
    return tuple(
        file
        for file in files()
        if file.suffix == ".py"
        and "tests" not in file.parts
        and any(file.is_relative_to(folder) for folder in folders)
    )


@cache
def tree(file: Path) -> ast.Module:
    """Return a file's syntax tree."""
    return ast.parse(read(file), str(file))


def read(file: Path) -> str:
    """Return a file's text."""
    return (CHECKOUT / file).read_text("utf-8")


@cache
def last_release() -> str:
    """Return the newest tag; where nothing was released yet, the last commit."""
    tags = git("tag", "--list", "v*", "--merged", "HEAD", "--sort=-creatordate").splitlines()
    return tags[0] if tags else "HEAD"


def released(folder: str) -> dict[Path, str]:
    """Return the files below a folder as the last release has them."""
    names = git("ls-tree", "-r", "-z", "--name-only", last_release(), "--", folder).split("\0")
    return {Path(name): git("show", f"{last_release()}:{name}") for name in names if name}
