"""The choice of containers, before a Docker that is only pretended: what would be asked of it.

What a real one does with it is seen by running any test with BAILIWICK_SERVERS=docker.
"""

from __future__ import annotations

import gc
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import testcontainers.core.container
from testcontainers.core.config import testcontainers_config

from bailiwick_launcher.data_folder import DataFolder
from bailiwick_launcher.processes import Process, StackError
from bailiwick_launcher.servers import Server, daemon, docker_runner, providers
from bailiwick_launcher.servers.docker_runner import Container
from bailiwick_testkit.servers.real import Servers


@pytest.fixture
def places(servers: Servers) -> Iterator[DataFolder]:
    with servers.private() as mine:
        yield mine.places


def pretend(
    monkeypatch: pytest.MonkeyPatch,
    *,
    answering: bool = True,
    images: bool = True,
    asked_for: str = "",
) -> None:
    """Have a daemon and images as told."""
    monkeypatch.setattr(daemon, "answers", lambda: answering)
    monkeypatch.setattr(daemon, "can_have", lambda *_: images)
    monkeypatch.setattr(Container, "is_running", lambda _: False)
    monkeypatch.setattr(Container, "stop", lambda _: None)
    for variable in ("POSTGRES", "RABBITMQ", "OPA"):
        monkeypatch.delenv(f"BAILIWICK_{variable}_URL", raising=False)
    monkeypatch.setenv(daemon.VARIABLE, asked_for)


def all_servers(places: DataFolder) -> list[Server]:
    return [
        providers.provide_postgres(places, lambda _: None),
        providers.provide_rabbitmq(places, lambda _: None),
        providers.provide_opa(places, lambda _: None, "opa-orders"),
    ]


class PretendedContainer:
    """Notes what testcontainers is given."""

    made: list[PretendedContainer]

    def __init__(self, image: str, **told: Any) -> None:
        self.image, self.told, self.ports = image, told, dict[str, Any]()
        self.command: list[str] = []
        self.made.append(self)

    def with_command(self, command: list[str]) -> None:
        self.command = command

    def start(self) -> None:
        assert testcontainers_config.ryuk_disabled

    def get_docker_client(self) -> PretendedContainer:
        return self

    @property
    def client(self) -> PretendedContainer:
        return self

    def close(self) -> None:
        """Forget the connection, of which there is none."""


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[PretendedContainer]:
    made: list[PretendedContainer] = []
    monkeypatch.setattr(PretendedContainer, "made", made, raising=False)
    monkeypatch.setattr(testcontainers.core.container, "DockerContainer", PretendedContainer)
    return made


def test_where_a_daemon_answers_containers_are_taken_on_loopback(
    monkeypatch: pytest.MonkeyPatch, places: DataFolder, made: list[PretendedContainer]
) -> None:
    pretend(monkeypatch)
    for server in all_servers(places):
        server.runner.start()
    assert [one.image for one in made] == [
        docker_runner.IMAGES[name] for name in ("postgres", "rabbitmq", "opa")
    ]
    published = [where for one in made for where in one.ports.values()]
    assert len(published) == 4
    assert all(host == "127.0.0.1" for host, _ in published)


def test_names_tell_data_folders_apart(places: DataFolder, tmp_path: Path) -> None:
    other = Container("postgres", DataFolder(tmp_path))
    assert other.title != Container("postgres", places).title
    assert other.title.startswith(docker_runner.prefix(other.places))


def test_no_password_is_among_the_arguments_that_everybody_can_read(
    monkeypatch: pytest.MonkeyPatch, places: DataFolder, made: list[PretendedContainer]
) -> None:
    pretend(monkeypatch)
    servers = all_servers(places)[:2]
    for server in servers:
        server.runner.start()
    for server, one in zip(servers, made, strict=True):
        password = urlsplit(server.url).password or ""
        assert password in one.told["env"].values()
        assert password not in repr([one.command, one.told["labels"], server.runner])


def test_database_is_told_the_same_in_a_container_as_beside_it(
    monkeypatch: pytest.MonkeyPatch, places: DataFolder, tmp_path: Path
) -> None:
    def told(durable: bool, where: DataFolder) -> set[str]:
        server = providers.provide_postgres(where, lambda _: None, durable=durable)
        assert isinstance(server.runner, Container | Process)
        words = server.runner.arguments
        return {word for before, word in itertools.pairwise(words) if before == "-c"}

    pretend(monkeypatch)
    contained = [told(durable, places) for durable in (True, False)]
    pretend(monkeypatch, answering=False)
    for durable, inside in zip((True, False), contained, strict=True):
        assert inside < told(durable, DataFolder(tmp_path))
        assert ("fsync=off" in inside) is not durable


def test_server_that_would_be_started_otherwise_has_another_print(
    monkeypatch: pytest.MonkeyPatch, places: DataFolder, made: list[PretendedContainer]
) -> None:
    pretend(monkeypatch)
    for durable in (True, True, False):
        providers.provide_postgres(places, lambda _: None, durable=durable).runner.start()
    first, again, otherwise = (one.told["labels"] for one in made)
    assert first == again != otherwise


def test_image_that_cannot_be_had_is_told_and_a_process_taken(
    monkeypatch: pytest.MonkeyPatch, places: DataFolder
) -> None:
    pretend(monkeypatch, images=False)
    told: list[str] = []
    server = providers.provide_postgres(places, told.append)
    assert server.folder is not None
    assert told == ["image postgres:18 cannot be had: postgres runs as a process"]


def test_what_was_chosen_stays_with_its_data(
    monkeypatch: pytest.MonkeyPatch, places: DataFolder
) -> None:
    pretend(monkeypatch, answering=False)
    first = providers.provide_postgres(places, lambda _: None)
    pretend(monkeypatch)
    assert type(providers.provide_postgres(places, lambda _: None).runner) is type(first.runner)


def test_where_no_daemon_listens_nothing_is_left_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    left_open: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", left_open.append)
    assert not daemon.answers.__wrapped__()
    gc.collect()
    assert not left_open


def test_processes_can_be_asked_for_where_a_daemon_answers(
    monkeypatch: pytest.MonkeyPatch, places: DataFolder
) -> None:
    pretend(monkeypatch, asked_for="native")
    assert all(isinstance(server.runner, Process) for server in all_servers(places))


@pytest.mark.parametrize(
    ("asked_for", "answering", "told"),
    [
        ("docker", False, "no Docker daemon answers"),
        ("docker", True, "image postgres:18 cannot be had"),
        ("podman", True, "native or docker, not 'podman'"),
    ],
)
def test_what_is_asked_for_and_cannot_be_had_is_an_error(
    monkeypatch: pytest.MonkeyPatch, places: DataFolder, asked_for: str, answering: bool, told: str
) -> None:
    pretend(monkeypatch, answering=answering, images=False, asked_for=asked_for)
    with pytest.raises(StackError, match=told):
        providers.provide_postgres(places, lambda _: None)


@pytest.mark.parametrize(("first", "then"), [("native", "docker"), ("docker", "native")])
def test_data_are_not_begun_anew_elsewhere(
    monkeypatch: pytest.MonkeyPatch, places: DataFolder, first: str, then: str
) -> None:
    pretend(monkeypatch, asked_for=first)
    providers.provide_postgres(places, lambda _: None)
    monkeypatch.setenv(daemon.VARIABLE, then)
    with pytest.raises(StackError, match="BAILIWICK_DATA"):
        providers.provide_postgres(places, lambda _: None)
