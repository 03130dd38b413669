"""Chooses what a stack runs as: containers where compose answers and images can be had, else processes.

What was chosen for a data folder stays: its data lie there. Nothing is passed over silently.
"""

from __future__ import annotations

import os

from bailiwick_launcher.data_folder import DataFolder
from bailiwick_launcher.processes import StackError
from bailiwick_launcher.servers import daemon, opa, postgres, rabbitmq
from bailiwick_launcher.services import signing_keys_file
from bailiwick_launcher.stacks import Report, Stack, images
from bailiwick_launcher.stacks.compose import ComposeStack
from bailiwick_launcher.stacks.native import NativeStack
from bailiwick_launcher.stacks.project import Project, obstacle

_CHOICE = "stack"
_COMPOSE, _NATIVE = "compose", "native"
_GIVEN = (postgres.VARIABLE, rabbitmq.VARIABLE, opa.VARIABLE)


def begin(places: DataFolder, report: Report) -> Stack:
    """Give the stack to bring up; for a data folder that has none yet, choose.

    Raises:
        StackError: BAILIWICK_SERVERS insists on what cannot be had, or on what the data do not lie in.
    """
    if places.kept.chosen(_CHOICE) is None:
        choice = _choose(places, report)  # which asks what else is kept, and may take minutes
        places.kept.choice(_CHOICE, lambda: choice)
    return known(places, report)


def known(places: DataFolder, report: Report) -> Stack:
    """Give the stack that was chosen before; where none was, that of processes, of which none runs.

    Raises:
        StackError: BAILIWICK_SERVERS insists on what the data do not lie in.
    """
    chosen, asked_for = places.kept.chosen(_CHOICE), daemon.asked_for()
    another = {_COMPOSE: daemon.NATIVE, _NATIVE: "" if _given() else daemon.DOCKER}
    if chosen and asked_for and asked_for == another[chosen]:
        where = "in containers" if chosen == _COMPOSE else "as processes"
        raise StackError(
            f"The stack of {places.data} was begun {where}, and its data stay there:"
            f" {daemon.VARIABLE}={asked_for} takes another folder (BAILIWICK_DATA)."
        )
    return ComposeStack(places, report) if chosen == _COMPOSE else NativeStack(places, report)


def _given() -> list[str]:
    return [variable for variable in _GIVEN if os.environ.get(variable)]


def _choose(places: DataFolder, report: Report) -> str:
    asked_for = daemon.asked_for()
    if asked_for == daemon.NATIVE or signing_keys_file(places).exists():
        return _NATIVE
    if given := _given():
        report(f"{' and '.join(given)}: the services run as processes beside what was given")
        return _NATIVE
    reason = obstacle() or images.missing(Project(places).plan, report)
    if not reason:
        return _COMPOSE
    if asked_for:
        raise StackError(f"{reason}, and {daemon.VARIABLE}={asked_for}")
    if daemon.answers():  # where there is no Docker at all, nobody has asked for it
        report(f"{reason}: the stack runs as processes")
    return _NATIVE
