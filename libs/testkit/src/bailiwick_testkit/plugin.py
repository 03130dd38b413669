"""The pytest plugin: servers for whoever asks for them, ended when the run ends.

The controller of a run (or its only process) names the folder; xdist's workers get it from there.
Nothing starts until a fixture is asked for. A run that was killed is swept by the next.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bailiwick_testkit.servers.real import Opa, Postgres, Rabbitmq, Servers
    from bailiwick_testkit.servers.stack import Running

_INPUT = "bailiwick_servers"
_WITH_A_DAEMON = Path("tests", "containers")
"""Tests that are run where they are named, and nowhere else: they need a Docker daemon and images."""
_folder = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Name the folder of this run."""
    given: dict[str, str] = getattr(config, "workerinput", {})
    config.addinivalue_line("markers", "faults: kills, freezes and restarts servers of its own")
    config.addinivalue_line("markers", "slow: a limit at its real size; only with BAILIWICK_SLOW=1")
    config.stash[_folder] = given.get(_INPUT, f"{os.getpid()}-{uuid.uuid4().hex[:8]}")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker the folder of this run."""
    node.workerinput[_INPUT] = node.config.stash[_folder]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep together what belongs together, however many workers there are."""
    from bailiwick_testkit.xdist_groups import Spreading  # noqa: PLC0415 - only where xdist is

    return Spreading(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell with a failure what the services wrote about the requests that it names."""
    report = yield
    if report.failed:
        from bailiwick_testkit.checks.log_lines import lines_about  # noqa: PLC0415 - only if needed
        from bailiwick_testkit.servers.real import folder_of_runs  # noqa: PLC0415

        mine = folder_of_runs() / item.config.stash[_folder]
        if lines := lines_about(report.longreprtext, mine):
            report.sections.append(("What the services wrote of it", lines))
    return report


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what needs a Docker daemon, unless it is named."""
    folder = config.rootpath / _WITH_A_DAEMON
    return True if collection_path == folder and not _named(config, folder) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests marked `slow`, unless they are asked for; arrange what workers share."""
    left_out = [item for item in items if item.get_closest_marker("slow")]
    if left_out and os.environ.get("BAILIWICK_SLOW") != "1":
        items[:] = [item for item in items if not item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=left_out)
    if hasattr(config, "workerinput"):
        from bailiwick_testkit.xdist_groups import arranged  # noqa: PLC0415 - only where xdist is

        known = {item.nodeid: item for item in items}
        items[:] = [known[nodeid] for nodeid in arranged(list(known))]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell what was left out."""
    config = terminalreporter.config
    folder = config.rootpath / _WITH_A_DAEMON
    if any(folder.is_relative_to(path) for path in _paths(config)) and not _named(config, folder):
        command = f"./bailiwick test {_WITH_A_DAEMON}"
        terminalreporter.write_line(f"left out, for it needs a Docker daemon: {command}")


def _paths(config: pytest.Config) -> list[Path]:
    start = config.invocation_params.dir
    return [(start / argument.partition("::")[0]).resolve() for argument in config.args]


def _named(config: pytest.Config, folder: Path) -> bool:
    return any(path.is_relative_to(folder) for path in _paths(config))


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the servers of this run, if any were started, once all workers have ended."""
    if hasattr(config, "workerinput") or _folder not in config.stash:
        return
    from bailiwick_testkit.servers.real import Servers, folder_of_runs  # noqa: PLC0415 - only if needed

    mine = folder_of_runs() / config.stash[_folder]
    for folder in folder_of_runs().iterdir():
        if folder == mine or not _lives(folder):
            Servers(folder).end()


def _lives(folder: Path) -> bool:
    pid = folder.name.partition("-")[0]
    return pid.isdigit() and Path(f"/proc/{pid}").exists()


@pytest.fixture(scope="session")
def servers(pytestconfig: pytest.Config) -> Servers:
    """Give the servers of this run. `servers.private()` gives a set to do harm to."""
    from bailiwick_testkit.servers.real import Servers, folder_of_runs  # noqa: PLC0415 - only if needed

    return Servers(folder_of_runs() / pytestconfig.stash[_folder])


@pytest.fixture(scope="session")
def postgres(servers: Servers) -> Postgres:
    """Give PostgreSQL; `await postgres.fresh_database("orders")` gives a migrated database."""
    return servers.postgres()


@pytest.fixture(scope="session")
def rabbitmq(servers: Servers) -> Rabbitmq:
    """Give RabbitMQ; `rabbitmq.vhost()` gives the address of an empty virtual host."""
    return servers.rabbitmq()


@pytest.fixture(scope="session")
def opa(servers: Servers) -> Opa:
    """Give OPA with the project's bundle."""
    return servers.opa()


@pytest.fixture(scope="session")
def stack(pytestconfig: pytest.Config) -> Running:
    """Give the whole stack, gateway included, for end-to-end tests; one for all workers of the run."""
    from bailiwick_testkit.servers.real import folder_of_runs  # noqa: PLC0415 - only if needed
    from bailiwick_testkit.servers.stack import running  # noqa: PLC0415

    return running(folder_of_runs() / pytestconfig.stash[_folder] / "stack")
