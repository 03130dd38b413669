"""Chooses who provides a server: a given address, else a container, else a process on this machine.

What was chosen for a data folder stays, because its data lie there. Nothing is skipped silently:
a server that cannot be had is an error that says what to do.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from bailiwick_launcher.data_folder import DataFolder
from bailiwick_launcher.processes import StackError
from bailiwick_launcher.servers import (
    Server,
    daemon,
    docker_runner,
    install,
    opa,
    postgres,
    rabbitmq,
    server_containers,
)

Report = Callable[[str], None]
_CONTAINER, _PROCESS = "container", "native"


def provide_postgres(
    places: DataFolder, report: Report, *, durable: bool = True, own: bool = False
) -> Server:
    """Give PostgreSQL, not started yet. `own`: a given address will not do."""
    if (url := os.environ.get(postgres.VARIABLE)) and not own:
        return postgres.given(url)
    if _in_container(places, "postgres", report):
        return server_containers.run_postgres(places, durable=durable)
    install.ensure(["postgres"], report)
    return postgres.native(places, durable=durable)


def provide_rabbitmq(places: DataFolder, report: Report, *, own: bool = False) -> Server:
    """Give RabbitMQ, not started yet. `own`: a given address will not do."""
    if (url := os.environ.get(rabbitmq.VARIABLE)) and not own:
        return rabbitmq.given(url, os.environ.get(rabbitmq.MANAGEMENT_VARIABLE, ""))
    if _in_container(places, "rabbitmq", report):
        return server_containers.run_rabbitmq(places)
    install.ensure(["rabbitmq"], report)
    return rabbitmq.native(places)


def provide_opa(
    places: DataFolder,
    report: Report,
    name: str = "opa",
    bundle_file: Path | None = None,
    *,
    own: bool = False,
) -> Server:
    """Give an OPA with a bundle, not started yet. `own`: a given address will not do."""
    if (url := os.environ.get(opa.VARIABLE)) and not own:
        return opa.given(url)
    if _in_container(places, "opa", report):
        return server_containers.run_opa(places, name, bundle_file)
    install.ensure(["opa"], report)
    return opa.native(places, name, bundle_file)


def prepare(places: DataFolder | None, report: Report) -> None:
    """Install at once whatever of this machine's own the stack will need.

    Without places it is for tests: each of their data folders is new, and chooses for itself.

    Raises:
        StackError: something is missing and cannot be installed; with the commands that would.
    """
    given = {"postgres": postgres.VARIABLE, "rabbitmq": rabbitmq.VARIABLE, "opa": opa.VARIABLE}
    wanted = [
        name
        for name, variable in given.items()
        if not os.environ.get(variable)
        and not (
            _in_container(places, name, report) if places else _choose(name, report) == _CONTAINER
        )
    ]
    if not daemon.may_be_used():
        wanted.append("gateway")
    install.ensure(wanted, report)


def _choose(name: str, report: Report) -> str:
    if not daemon.may_be_used():
        return _PROCESS
    if daemon.can_have(docker_runner.IMAGES[name], report):
        return _CONTAINER
    told = f"image {docker_runner.IMAGES[name]} cannot be had"
    if asked_for := daemon.asked_for():
        raise StackError(f"{told}, and {daemon.VARIABLE}={asked_for}")
    report(f"{told}: {name} runs as a process")
    return _PROCESS


def _in_container(places: DataFolder, name: str, report: Report) -> bool:
    asked_for = daemon.asked_for()
    chosen = places.kept.choice(f"provider of {name}", lambda: _choose(name, report))
    is_contained = chosen == _CONTAINER
    if asked_for and is_contained is not (asked_for == daemon.DOCKER):
        where = "in a container" if is_contained else "a process"
        raise StackError(
            f"The data of {places.data} were begun with {name} {where}, and stay there:"
            f" {daemon.VARIABLE}={asked_for} takes another folder (BAILIWICK_DATA)."
        )
    return is_contained
