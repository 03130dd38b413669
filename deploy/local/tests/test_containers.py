"""The choice of containers, before a Docker that is only pretended: what would be asked of it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from bailiwick_local.places import Places
from bailiwick_local.servers import containers, providers
from bailiwick_testkit.servers import Servers


class PretendedDocker:
    """Notes what it is asked; has a daemon and images as told."""

    def __init__(self, *, has_images: bool) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.has_images = has_images

    def __call__(self, *arguments: str, **_: float) -> subprocess.CompletedProcess[str]:
        self.asked.append(arguments)
        refused = arguments[0] in {"pull", "image"} and not self.has_images
        return subprocess.CompletedProcess(arguments, int(refused), "", "")


@pytest.fixture
def places(servers: Servers) -> Iterator[Places]:
    with servers.private() as mine:
        yield mine.places


def pretend(monkeypatch: pytest.MonkeyPatch, *, has_images: bool) -> PretendedDocker:
    docker = PretendedDocker(has_images=has_images)
    monkeypatch.setattr(containers, "_docker", docker)
    monkeypatch.setattr(containers, "answers", lambda: True)
    for variable in ("POSTGRES", "RABBITMQ", "OPA"):
        monkeypatch.delenv(f"BAILIWICK_{variable}_URL", raising=False)
    return docker


def test_where_a_daemon_answers_containers_are_taken_on_loopback(
    monkeypatch: pytest.MonkeyPatch, places: Places
) -> None:
    docker = pretend(monkeypatch, has_images=True)
    for server in (
        providers.provide_postgres(places, lambda _: None),
        providers.provide_rabbitmq(places, lambda _: None),
        providers.provide_opa(places, lambda _: None, "opa-orders"),
    ):
        server.runner.start()
    runs = [asked for asked in docker.asked if asked[0] == "run"]
    assert [next(word for word in run if ":" in word and "=" not in word) for run in runs] == [
        containers.IMAGES[name] for name in ("postgres", "rabbitmq", "opa")
    ]
    published = [word for run in runs for word in run if word.startswith("--publish")]
    assert len(published) == 4
    assert all(word.startswith("--publish=127.0.0.1:") for word in published)


def test_image_that_cannot_be_had_is_told_and_a_process_taken(
    monkeypatch: pytest.MonkeyPatch, places: Places
) -> None:
    pretend(monkeypatch, has_images=False)
    told: list[str] = []
    server = providers.provide_postgres(places, told.append)
    assert server.folder is not None
    assert told == ["image postgres:18 cannot be had: postgres runs as a process"]


def test_what_was_chosen_stays_with_its_data(
    monkeypatch: pytest.MonkeyPatch, places: Places
) -> None:
    first = providers.provide_postgres(places, lambda _: None)
    pretend(monkeypatch, has_images=True)
    assert type(providers.provide_postgres(places, lambda _: None).runner) is type(first.runner)
