"""What the gateway's image asks of itself: by an address that nginx listens on, whatever `localhost` is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

START = Path(__file__).parents[1] / "start"


@pytest.fixture
def asking(tmp_path: Path) -> Path:
    """A folder with a wget that tells what it is asked for, and fails where it is told to."""
    wget = tmp_path / "wget"
    wget.write_text('#!/bin/sh\nfor last in "$@"; do :; done; echo "$last"\nexit ${FAILS:-0}\n')
    wget.chmod(0o755)
    return tmp_path


def health(asking: Path, **told: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(START), "health"],
        env={"PATH": f"{asking}{os.pathsep}/usr/bin{os.pathsep}/bin", **told},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("listen", "asked"),
    [
        # Alpine's wget takes the first address of a name, and of `localhost` that is ::1.
        ("0.0.0.0:8080", "http://127.0.0.1:8080/docs/"),
        ("[::]:8080", "http://[::1]:8080/docs/"),
        ("127.0.0.1:80", "http://127.0.0.1:80/docs/"),
        ("[::1]:80", "http://[::1]:80/docs/"),
    ],
)
def test_page_is_asked_for_where_nginx_listens(asking: Path, listen: str, asked: str) -> None:
    done = health(asking, BAILIWICK_LISTEN=listen)
    assert (done.returncode, done.stdout.strip()) == (0, asked)


def test_page_that_does_not_come_is_told_by_the_exit_code(asking: Path) -> None:
    assert health(asking, BAILIWICK_LISTEN="0.0.0.0:8080", FAILS="1").returncode == 1
