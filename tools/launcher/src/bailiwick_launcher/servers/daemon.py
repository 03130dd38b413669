"""Docker's daemon: whether one of this machine answers, whether it is wanted, and what images it has.

The standard library alone, until something is asked of it: the script installs servers beside pip.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

from bailiwick_launcher.processes import StackError

VARIABLE = "BAILIWICK_SERVERS"
NATIVE, DOCKER = "native", "docker"
_KNOCK = 2.0
_unavailable: set[str] = set()
"""What this process could not pull: it does not try again for each of a test's servers."""

Report = Callable[[str], None]


def asked_for() -> str:
    """Give what BAILIWICK_SERVERS asks for, "" where it leaves the choice to us.

    Raises:
        StackError: it asks for something that there is not.
    """
    word = os.environ.get(VARIABLE, "")
    if word not in {"", NATIVE, DOCKER}:
        raise StackError(f"{VARIABLE} is {NATIVE} or {DOCKER}, not {word!r}.")
    return word


def may_be_used() -> bool:
    """Say whether a Docker daemon answers and is not ruled out; otherwise nothing here may be called.

    Raises:
        StackError: BAILIWICK_SERVERS insists on one, and none answers.
    """
    word = asked_for()
    if word == NATIVE:
        return False
    if word == DOCKER and not answers():
        raise StackError(f"{VARIABLE}={DOCKER}, and no Docker daemon answers.")
    return answers()


@cache
def answers() -> bool:
    """Say whether a Docker daemon of this machine answers: one elsewhere has other ports and files."""
    try:
        if _listens():
            with connected(patience=10) as docker:
                return bool(docker.ping())
    except (StackError, ImportError):  # what testcontainers stands on comes with pip
        pass
    return False


def _listens() -> bool:
    """Knock at the daemon's socket. docker-py leaves its own open where nobody answers."""
    from testcontainers.core.docker_client import get_docker_host  # noqa: PLC0415

    scheme, _, path = (get_docker_host() or "unix:///var/run/docker.sock").partition("://")
    if scheme not in {"unix", "http+unix"}:
        return False
    try:
        with socket.socket(socket.AF_UNIX) as knocking:
            knocking.settimeout(_KNOCK)
            knocking.connect(path)
    except OSError:
        return False
    return True


def can_have(image: str, report: Report) -> bool:
    """Say whether an image is here, or could be pulled."""
    with connected() as docker:
        if has(docker, image):
            return True
        if image in _unavailable:
            return False
        report(f"pulling image {image}")
        with suppress(*refusals()):
            docker.images.pull(image)
            return True
    _unavailable.add(image)
    return False


def has(docker: Any, image: str) -> bool:
    """Say whether an image is here."""
    with suppress(*refusals()):
        docker.images.get(image)
        return True
    return False


def refusals() -> tuple[type[Exception], ...]:
    """Give what is raised where Docker would not, or does not answer: requests' errors are OSErrors."""
    try:
        from docker.errors import DockerException  # noqa: PLC0415
    except ImportError:
        return (OSError,)
    return (DockerException, OSError)


@contextmanager
def connected(patience: float = 180) -> Iterator[Any]:
    """Talk to the daemon, which is where the environment or Docker's own context says.

    Raises:
        StackError: it does not answer, or would not; in its words.
    """
    from testcontainers.core.docker_client import DockerClient  # noqa: PLC0415

    try:
        client = DockerClient(timeout=patience).client
        try:
            yield client
        finally:
            client.close()
    except refusals() as refusal:
        raise StackError(f"Docker: {refusal}") from None
