"""The stack in containers as far as it goes without a daemon: what compose is told, and what it tells."""

from __future__ import annotations

import shlex
import stat
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from typing_extensions import override

from bailiwick_launcher.data_folder import CHECKOUT, DataFolder
from bailiwick_launcher.processes import StackError
from bailiwick_launcher.services import SERVICES
from bailiwick_launcher.stacks import images
from bailiwick_launcher.stacks.compose import ComposeStack
from bailiwick_launcher.stacks.project import Part, Project
from bailiwick_launcher.stacks.starting import Start

COMPOSE = yaml.safe_load((CHECKOUT / "deploy" / "compose.yaml").read_text())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def part(name: str, state: str = "running", health: str = "", exit_code: int = 0) -> Part:
    return Part(name, f"title-{name}", f"image-{name}", state, health, exit_code)


@dataclass(frozen=True)
class PretendedProject(Project):
    """A compose that runs a script, while its containers go through what is told."""

    script: str = "true"
    secret: str = "s"
    moments: list[list[Part]] = field(default_factory=list)

    @property
    @override
    def plan(self) -> dict[str, Any]:
        names = {one.name for parts in self.moments for one in parts}
        secret = {"file": str(self.places.write(self.places.folder(".") / "secret", self.secret))}
        services = {name: {"image": f"image-{name}"} for name in names}
        return {"services": services, "secrets": {"one": secret}}

    @override
    def command(self, *arguments: str) -> list[str]:
        return ["sh", "-c", self.script]

    @override
    def parts(self) -> list[Part]:
        return self.moments.pop(0) if len(self.moments) > 1 else self.moments[0]

    @override
    def end_of_log(self, name: str) -> str:
        return f"last words of {name}"


def test_data_folders_have_projects_of_their_own(tmp_path: Path) -> None:
    one, other = (Project(DataFolder(tmp_path / name)) for name in ("one", "other"))
    assert one.name != other.name
    assert shlex.quote(one.name) == one.name
    assert one.command("ps")[2:4] == ["--project-name", one.name]
    assert str(one.told) in one.command("ps")


def test_secrets_are_files_that_nobody_else_gets_to(tmp_path: Path) -> None:
    stack = ComposeStack(DataFolder(tmp_path / "data"), lambda _: None)
    stack._make_secrets()
    folder = tmp_path / "data" / "compose" / "secrets"
    assert mode(folder) == 0o700
    named = {Path(one["file"]).name for one in COMPOSE["secrets"].values()}
    made = {file.name: mode(file) for file in folder.iterdir()}
    # Containers run as accounts of their own: any of them may read what it is given, and be given that alone.
    assert named <= made.keys()
    assert set(made.values()) == {0o444}


def test_secrets_stay_once_they_are_made(tmp_path: Path) -> None:
    stack = ComposeStack(DataFolder(tmp_path / "data"), lambda _: None)
    folder = tmp_path / "data" / "compose" / "secrets"
    stack._make_secrets()
    first = {file.name: file.read_text() for file in folder.iterdir()}
    stack._make_secrets()
    assert first == {file.name: file.read_text() for file in folder.iterdir()}
    other = ComposeStack(DataFolder(tmp_path / "other"), lambda _: None)
    other._make_secrets()
    again = tmp_path / "other" / "compose" / "secrets" / "door_secret"
    assert again.read_text() != first["door_secret"]


def test_mail_server_that_is_given_takes_the_mailboxs_place_and_gives_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = ComposeStack(DataFolder(tmp_path / "data"), lambda _: None)
    smtp = tmp_path / "data" / "compose" / "secrets" / "smtp_url"
    monkeypatch.delenv("BAILIWICK_SMTP_URL", raising=False)
    stack._make_secrets()
    assert not stack.mail_goes_out
    monkeypatch.setenv("BAILIWICK_SMTP_URL", "smtps://us:pass@mail.example:465")
    stack._make_secrets()
    assert stack.mail_goes_out
    assert smtp.read_text().strip() == "smtps://us:pass@mail.example:465"
    assert mode(smtp) == 0o444
    monkeypatch.delenv("BAILIWICK_SMTP_URL")
    stack._make_secrets()
    assert not stack.mail_goes_out


def test_what_compose_is_told_is_for_the_account_alone_and_nothing_in_it_is_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Project, "parts", lambda _: [])
    stack = ComposeStack(DataFolder(tmp_path / "data"), lambda _: None)
    stack._make_secrets()
    stack._tell("local-0123456789ab")
    told = stack.project.told
    assert mode(told) == 0o600
    for file in (tmp_path / "data" / "compose" / "secrets").iterdir():
        assert file.read_text().strip() not in told.read_text() or file.name == "smtp_url"
    names = {line.partition("=")[0] for line in told.read_text().splitlines()}
    left_open = (CHECKOUT / "deploy" / "compose.yaml").read_text()
    assert not [name for name in names if f"${{{name}:-" not in left_open]
    assert f"BAILIWICK_ISSUER='{stack.origin}'" in told.read_text()


def test_ports_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Project, "parts", lambda _: [])
    one, again, other = (
        ComposeStack(DataFolder(tmp_path / name), lambda _: None) for name in ("a", "a", "b")
    )
    assert one.origin == again.origin != other.origin


def test_apostrophe_does_not_end_what_is_told(tmp_path: Path) -> None:
    project = Project(DataFolder(tmp_path / "data"))
    project.tell({"BAILIWICK_MAIL_FROM": "Pat O'Brien <pat@shop.example>"})
    assert (
        project.told.read_text() == r"BAILIWICK_MAIL_FROM='Pat O\'Brien <pat@shop.example>'" + "\n"
    )


@pytest.mark.parametrize(
    ("one", "is_well", "is_broken"),
    [
        (part("a"), True, False),
        (part("a", health="healthy"), True, False),
        (part("a", health="starting"), False, False),
        (part("a", health="unhealthy"), False, True),
        (part("a", state="created"), False, False),
        (part("a", state="paused"), False, False),
        (part("a", state="exited"), True, False),
        (part("a", state="exited", exit_code=2), False, True),
        (part("a", state="restarting", exit_code=1), False, True),
    ],
)
def test_how_a_container_is(one: Part, is_well: bool, is_broken: bool) -> None:
    assert (one.is_well, one.is_broken) == (is_well, is_broken)


def test_status_tells_services_and_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = ComposeStack(DataFolder(tmp_path / "data"), lambda _: None)
    parts = [part(name, health="healthy") for name in ("gateway", "postgres", *SERVICES)]
    parts.append(part("migrate-orders", state="exited"))
    monkeypatch.setattr(Project, "parts", lambda _: parts)
    told = stack.status()
    assert told["up"]
    assert {one["health"] for one in told["services"]} == {"ready"}
    assert [one["name"] for one in told["servers"]] == ["gateway", "postgres"]
    assert stack.absent() == []
    del parts[0]
    parts.remove(part("orders", health="healthy"))
    parts.append(part("orders", state="exited", exit_code=137))
    told = stack.status()
    assert (told["up"], told["gateway"], told["servers"]) == (False, None, [])
    assert stack.absent() == ["gateway", "orders"]
    by_name = {one["name"]: one["health"] for one in told["services"]}
    assert by_name["orders"] == "not running"


def test_log_of_what_there_is_not_is_answered_with_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = ComposeStack(DataFolder(tmp_path / "data"), lambda _: None)
    monkeypatch.setattr(Project, "parts", lambda _: [part("orders"), part("postgres")])
    with pytest.raises(StackError, match="Logs: orders, postgres"):
        stack.log_command("nothing", 10, follow=False)
    assert stack.log_command("orders", 10, follow=True)[-1] == "orders"


def test_start_tells_each_container_once_it_is_well(tmp_path: Path) -> None:
    first = [part("postgres"), part("orders", health="starting")]
    then = [part("postgres"), part("orders", health="healthy")]
    project = PretendedProject(DataFolder(tmp_path), moments=[first, first, then])
    told: list[str] = []
    Start(project, told.append).run()
    assert [line.split()[0] for line in told] == ["postgres", "orders"]


def test_what_runs_as_planned_is_known_by_the_plan_and_by_how_it_is(tmp_path: Path) -> None:
    places = DataFolder(tmp_path)
    ends = part("migrate", "exited")
    well = [part("orders", health="healthy"), ends]
    project = PretendedProject(places, moments=[well])
    assert not project.runs_as_planned()
    project.note_plan()
    assert project.runs_as_planned()
    for parts in (
        [part("orders", health="starting"), ends],
        [part("orders", health="healthy"), part("migrate", "exited", exit_code=1)],
        [*well, part("new", health="healthy")],
    ):
        assert not PretendedProject(places, moments=[parts]).runs_as_planned()
    gone = PretendedProject(places, moments=[[ends], well])
    assert not gone.runs_as_planned()
    assert not project.has_other_secrets()
    other = PretendedProject(places, secret="t", moments=[well])
    assert other.has_other_secrets()
    assert not other.runs_as_planned()


def test_container_of_another_image_is_what_was_there_before(tmp_path: Path) -> None:
    before = [Part("orders", "title", "image-of-yesterday", "running", "healthy")]
    then = [part("orders", health="healthy")]
    project = PretendedProject(DataFolder(tmp_path), script="sleep 1", moments=[before, then])
    told: list[str] = []
    Start(project, told.append).run()
    assert ["image-orders" in line for line in told] == [True]


@pytest.mark.parametrize(
    "broken", [part("orders", "exited", exit_code=3), part("orders", health="unhealthy")]
)
def test_start_that_fails_shows_the_last_words_of_who_is_to_blame(
    tmp_path: Path, broken: Part
) -> None:
    parts = [part("gateway", "created"), part("postgres", health="healthy"), broken]
    script = "echo 'dependency failed to start' >&2; exit 1"
    project = PretendedProject(DataFolder(tmp_path), script=script, moments=[parts])
    with pytest.raises(StackError, match="orders") as raised:
        Start(project, lambda _: None).run()
    assert "last words of orders" in str(raised.value)
    assert "dependency failed to start" in str(raised.value)


def test_start_that_goes_no_further_is_given_up(tmp_path: Path) -> None:
    parts = [part("postgres"), part("gateway", health="starting")]
    project = PretendedProject(DataFolder(tmp_path), script="sleep 60", moments=[parts])
    with pytest.raises(StackError, match="gateway"):
        Start(project, lambda _: None, patience=0).run()


def checkout(folder: Path) -> Path:
    """Make a checkout of which `code` and one file are let into builds."""
    (folder / "deploy").mkdir()
    (folder / "deploy" / "Dockerfile").write_text("FROM scratch\n")
    (folder / ".dockerignore").write_text("*\n!code\n!lock\n**/tests\n")
    (folder / "code" / "tests").mkdir(parents=True)
    for name in ("lock", "code/a.py", "code/tests/test_a.py", "other"):
        (folder / name).write_text("1")
    return folder


def test_tag_stands_for_what_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = checkout(tmp_path)
    monkeypatch.setattr(images, "CHECKOUT", folder)
    tags = [images.tag()]
    for name in ("other", "code/tests/test_a.py"):
        (folder / name).write_text("2")
        assert images.tag() == tags[0]
    for name in ("lock", "code/a.py", "deploy/Dockerfile"):
        (folder / name).write_text("2")
        tags.append(images.tag())
    monkeypatch.setenv("BASE", "debian:12")
    tags.append(images.tag())
    assert len(set(tags)) == len(tags)


def test_what_builds_leave_out_is_left_out_of_the_tag_too() -> None:
    lines = (CHECKOUT / ".dockerignore").read_text().splitlines()
    left_out = [line for line in lines if line.startswith("**/")]
    assert {line.removeprefix("**/") for line in left_out} == {
        *images._LEFT_OUT,
        "README.md",
        "*.pyc",
        "*.egg-info",
    }


PLAN = {
    "services": {
        "postgres": {"image": "postgres:18"},
        "orders": {
            "image": "bailiwick/orders:local-1",
            "build": {"args": {"BASE": "python:3", "GATEWAY_BASE": "nginx:1", "OPA_BASE": "opa:1"}},
        },
        "migrate-orders": {"image": "bailiwick/orders:local-1"},
    }
}


def test_image_that_cannot_be_pulled_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(command[-1])
        return subprocess.CompletedProcess(command, int(command[-1] == "opa:1"), "", "")

    monkeypatch.setattr(images, "_is_here", lambda image: image == "postgres:18")
    monkeypatch.setattr(subprocess, "run", run)
    assert images.missing(PLAN, lambda _: None) == "image opa:1 cannot be had"
    assert set(asked) <= {"nginx:1", "opa:1", "python:3"}


def test_nothing_is_pulled_where_all_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_is_here", lambda _: True)
    monkeypatch.setattr(subprocess, "run", None)
    assert images.missing(PLAN, lambda _: None) == ""


def test_bases_are_not_wanted_where_ours_are_built(monkeypatch: pytest.MonkeyPatch) -> None:
    here = {"postgres:18", "bailiwick/orders:local-1"}
    monkeypatch.setattr(images, "_is_here", here.__contains__)
    monkeypatch.setattr(subprocess, "run", None)
    assert images.missing(PLAN, lambda _: None) == ""
