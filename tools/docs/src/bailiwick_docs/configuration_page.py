"""docs/configuration.md, made from the settings classes of the services.

What a variable is for is its attribute's docstring; what needs it, of what type it is and what it is unless
set come from the class. So nothing that is said there can be said otherwise elsewhere.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from bailiwick_docs import environment
from bailiwick_docs.checkout import SERVICES
from bailiwick_kit.settings import PREFIX, ServiceSettings

_PROCESSES = ("api", "worker", "migrate")
_TYPES = {SecretStr: "secret", str: "text", Path: "path", float: "number", int: "whole number"}
_BOUNDS = {"gt": "over", "ge": "at least", "lt": "below", "le": "at most"}
_SETTINGS = ("variable", "needed by", "type", "default", "what it is for")
_NAMES = ("variable", "what it is for")

_HEAD = """\
# Configuration

Made from code by `./bailiwick contracts`: change the docstring of the setting, not this page.

Services read all settings from environment variables. `./bailiwick`, compose and the chart set them for
the stacks that they start. They are read once, at the start: a change needs a restart.

- **needed by**: the processes that do not start without it; if empty, the setting is optional. `serve` is
  api and worker in one. Give a process only what it needs: the API has no use for the owner of the database.
  Operators' commands use the settings of the worker; identity's `create-organization` and `import` those of
  the API, notifier's `subscribers` only the broker's.
- **secret**: may come from a file instead. `BAILIWICK_DOOR_SECRET_FILE=/run/secrets/door` stands for
  `BAILIWICK_DOOR_SECRET`; trailing line breaks are ignored. If both are set, the variable takes precedence.
- An empty variable counts as absent. Missing and wrong settings are named on standard error, without their
  values, and the exit code is 2.
"""


def settings(service: str) -> type[ServiceSettings]:
    """Return a service's settings class."""
    kind: type[ServiceSettings] = importlib.import_module(f"bailiwick_{service}.settings").Settings
    return kind


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"{PREFIX}{name.upper()}"


def page() -> str:
    """Return the page as it should be."""
    kinds = {service: settings(service) for service in SERVICES}
    return "\n".join([_HEAD, *_sections(kinds), *_traces(), *_gateway(), *_launcher()])


def _sections(kinds: Mapping[str, type[ServiceSettings]]) -> Iterator[str]:
    shared = [_row(name, kinds) for name in ServiceSettings.model_fields]
    yield section("Every service", _SETTINGS, shared)
    for service, kind in kinds.items():
        own = [name for name in kind.model_fields if name not in ServiceSettings.model_fields]
        if own:
            rows = [_row(name, {service: kind}) for name in own]
            yield section(f"{service} alone", _SETTINGS, rows)
    without = [
        service
        for service, kind in kinds.items()
        if kind.model_fields.keys() == ServiceSettings.model_fields.keys()
    ]
    yield f"{_joined(without)} have no settings of their own.\n"


def _row(name: str, kinds: Mapping[str, type[ServiceSettings]]) -> tuple[str, ...]:
    field = next(iter(kinds.values())).model_fields[name]
    if name in ServiceSettings.model_fields:
        field = ServiceSettings.model_fields[name]
    is_needed = any(kind.needed_by(name) for kind in kinds.values())
    return (
        f"`{variable(name)}`",
        _needed_by(name, kinds),
        _type(field),
        "required" if is_needed else _default(field),
        _prose(field),
    )


def _needed_by(name: str, kinds: Mapping[str, type[ServiceSettings]]) -> str:
    """Say which processes need it, and by which services that differs from what most say."""
    by_processes = [
        (", ".join(one for one in _PROCESSES if one in kind.needed_by(name)), service)
        for service, kind in kinds.items()
    ]
    groups = {
        processes: [service for _, service in of_those]
        for processes, of_those in groupby(sorted(by_processes), key=lambda one: one[0])
    }
    usual, *others = sorted(groups, key=lambda one: -len(groups[one]))
    said = [usual, *(f"{_joined(groups[one])}: {one or 'none'}" for one in others)]
    return "; ".join(filter(None, said))


def _type(field: FieldInfo) -> str:
    kinds = [one for one in get_args(field.annotation) or [field.annotation] if one in _TYPES]
    bounds = [
        f"{word} {getattr(mark, sign):,}"
        for mark in field.metadata
        for sign, word in _BOUNDS.items()
        if hasattr(mark, sign)
    ]
    return ", ".join([*(_TYPES[kind] for kind in kinds), *bounds])


def _default(field: FieldInfo) -> str:
    value: Any = field.default
    return "" if value is None else f"`{value}`"


def _prose(field: FieldInfo) -> str:
    return " ".join((field.description or "").split())


def _traces() -> Iterator[str]:
    rows = [(f"`{name}`", what) for name, what in environment.STANDARD.items()]
    yield section("Traces", _NAMES, rows)
    yield (
        "Names and values are OpenTelemetry's own; its other variables work too. Traces are off until an"
        " endpoint is set.\n"
    )


def _gateway() -> Iterator[str]:
    """Give the variables of the gateway, whose image has these only."""
    rows = [(f"`{name}`", what) for name, what in environment.GATEWAY.items()]
    yield section("The gateway", _NAMES, rows)


def _launcher() -> Iterator[str]:
    yield "The rest is only for `./bailiwick`; no service reads it.\n"
    rows = [(f"`{name}`", what) for name, what in environment.LAUNCHER.items()]
    yield section("The stack on one machine", _NAMES, rows)
    rows = [(f"`{name}`", what) for name, what in environment.TESTS.items()]
    yield section("Tests", _NAMES, rows)


def section(title: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a heading with a table below it."""
    head = [f"## {title}\n", f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows), ""])


def _joined(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
