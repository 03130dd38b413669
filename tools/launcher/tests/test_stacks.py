"""Which stack a data folder has, and that both kinds of it can do the same; no daemon is needed for that."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from bailiwick_launcher.data_folder import DataFolder
from bailiwick_launcher.processes import StackError
from bailiwick_launcher.servers import daemon
from bailiwick_launcher.services import signing_keys
from bailiwick_launcher.stacks import Stack, choosing, images
from bailiwick_launcher.stacks.compose import ComposeStack
from bailiwick_launcher.stacks.native import NativeStack
from bailiwick_launcher.stacks.project import Project

INTERFACE = sorted(name for name in vars(Stack) if not name.startswith("_"))


@pytest.fixture
def places(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path / "data")


def pretend(
    monkeypatch: pytest.MonkeyPatch,
    *,
    obstacle: str = "",
    missing: str = "",
    asked_for: str = "",
    given: str = "",
) -> None:
    """Have a machine on which compose answers and has its images, but for what is told."""
    monkeypatch.setattr(choosing, "obstacle", lambda: obstacle)
    monkeypatch.setattr(images, "missing", lambda *_: missing)
    monkeypatch.setattr(Project, "plan", {})
    monkeypatch.setattr(daemon, "answers", lambda: not obstacle.startswith("no Docker"))
    for variable in choosing._GIVEN:
        monkeypatch.delenv(variable, raising=False)
    if given:
        monkeypatch.setenv(given, "anything")
    monkeypatch.setenv(daemon.VARIABLE, asked_for)


def test_interface_says_everything_that_is_needed() -> None:
    assert {"up", "down", "status", "run_service", "feed_service", "mail"} <= set(INTERFACE)


@pytest.mark.parametrize("name", INTERFACE)
def test_both_stacks_are_called_alike(name: str) -> None:
    def parameters(kind: type) -> list[tuple[str, object]] | None:
        member = inspect.getattr_static(kind, name)
        if not callable(member):
            return None
        asked = inspect.signature(member).parameters.values()
        return [(one.name, one.kind) for one in asked]

    if name in {"places", "report"}:
        for kind in (NativeStack, ComposeStack):
            assert name in kind.__dataclass_fields__
    else:
        assert parameters(NativeStack) == parameters(ComposeStack) == parameters(Stack)


def test_where_compose_answers_and_has_its_images_it_is_taken(
    monkeypatch: pytest.MonkeyPatch, places: DataFolder
) -> None:
    pretend(monkeypatch)
    assert isinstance(choosing.begin(places, lambda _: None), ComposeStack)


@pytest.mark.parametrize(
    ("obstacle", "missing", "told"),
    [
        ("no Docker daemon answers", "", []),
        ("docker has no compose", "", ["docker has no compose: the stack runs as processes"]),
        ("", "image x cannot be had", ["image x cannot be had: the stack runs as processes"]),
    ],
)
def test_what_compose_lacks_is_told_in_a_sentence_and_processes_taken(
    monkeypatch: pytest.MonkeyPatch,
    places: DataFolder,
    obstacle: str,
    missing: str,
    told: list[str],
) -> None:
    pretend(monkeypatch, obstacle=obstacle, missing=missing)
    said: list[str] = []
    assert isinstance(choosing.begin(places, said.append), NativeStack)
    assert said == told


@pytest.mark.parametrize(
    ("obstacle", "missing"), [("no Docker daemon answers", ""), ("", "image x cannot be had")]
)
def test_containers_that_are_insisted_on_and_cannot_be_had_are_an_error(
    monkeypatch: pytest.MonkeyPatch, places: DataFolder, obstacle: str, missing: str
) -> None:
    pretend(monkeypatch, obstacle=obstacle, missing=missing, asked_for="docker")
    with pytest.raises(StackError, match=obstacle or missing):
        choosing.begin(places, lambda _: None)
    assert places.kept.chosen("stack") is None


def test_processes_can_be_asked_for_where_compose_answers(
    monkeypatch: pytest.MonkeyPatch, places: DataFolder
) -> None:
    pretend(monkeypatch, asked_for="native")
    assert isinstance(choosing.begin(places, lambda _: None), NativeStack)


@pytest.mark.parametrize("variable", choosing._GIVEN)
def test_servers_that_are_given_are_used_by_processes(
    monkeypatch: pytest.MonkeyPatch, places: DataFolder, variable: str
) -> None:
    pretend(monkeypatch, given=variable)
    said: list[str] = []
    assert isinstance(choosing.begin(places, said.append), NativeStack)
    assert said == [f"{variable}: the services run as processes beside what was given"]


def test_what_was_chosen_stays_with_its_data(
    monkeypatch: pytest.MonkeyPatch, places: DataFolder
) -> None:
    pretend(monkeypatch)
    choosing.begin(places, lambda _: None)
    pretend(monkeypatch, obstacle="docker has no compose")
    told: list[str] = []
    assert isinstance(choosing.begin(places, told.append), ComposeStack)
    assert isinstance(choosing.known(places, told.append), ComposeStack)
    assert told == []  # nobody looks again


def test_stack_of_processes_from_before_there_was_a_choice_stays_one(
    monkeypatch: pytest.MonkeyPatch, places: DataFolder
) -> None:
    signing_keys(places)
    pretend(monkeypatch)
    assert isinstance(choosing.begin(places, lambda _: None), NativeStack)


def test_looking_at_a_folder_without_a_stack_chooses_none(
    monkeypatch: pytest.MonkeyPatch, places: DataFolder
) -> None:
    pretend(monkeypatch, obstacle="no Docker daemon answers")
    assert isinstance(choosing.known(places, lambda _: None), NativeStack)
    pretend(monkeypatch)
    assert isinstance(choosing.begin(places, lambda _: None), ComposeStack)


def test_data_in_containers_are_not_begun_anew_as_processes(
    monkeypatch: pytest.MonkeyPatch, places: DataFolder
) -> None:
    pretend(monkeypatch)
    choosing.begin(places, lambda _: None)
    monkeypatch.setenv(daemon.VARIABLE, "native")
    for ask in (choosing.begin, choosing.known):
        with pytest.raises(StackError, match="BAILIWICK_DATA"):
            ask(places, lambda _: None)


def test_data_of_processes_are_not_begun_anew_in_containers(
    monkeypatch: pytest.MonkeyPatch, places: DataFolder
) -> None:
    pretend(monkeypatch, asked_for="native")
    choosing.begin(places, lambda _: None)
    monkeypatch.setenv(daemon.VARIABLE, "docker")
    with pytest.raises(StackError, match="BAILIWICK_DATA"):
        choosing.begin(places, lambda _: None)
