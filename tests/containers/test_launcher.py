"""The launcher with a real Docker daemon: the stack by compose, and servers in single containers.

What cannot be pulled can be made to stand in: `make-stand-ins`.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bailiwick_launcher import demo
from bailiwick_launcher.data_folder import DataFolder
from bailiwick_launcher.demo.person import at_gateway, signed_in
from bailiwick_launcher.processes import StackError
from bailiwick_launcher.servers import daemon, docker_runner
from bailiwick_launcher.stacks import choosing, images, sign_ins
from bailiwick_launcher.stacks.compose import ComposeStack
from bailiwick_testkit.servers.real import Servers, folder_of_runs, report


@contextmanager
def compose_stack(folder: Path) -> Iterator[ComposeStack]:
    """Give a stack in containers, not started yet; afterwards nothing of it is left."""
    stack = choosing.begin(DataFolder(folder), report)
    assert isinstance(stack, ComposeStack)
    try:
        yield stack
    finally:
        stack.down()
        Servers(folder).end()


@pytest.fixture(scope="module")
def insisting() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(daemon.VARIABLE, daemon.DOCKER)
        yield


@pytest.fixture(scope="module")
def stack(servers: Servers, insisting: None) -> Iterator[ComposeStack]:
    folder = servers.places.data / "compose"
    tag = images.tag()
    with pytest.MonkeyPatch.context() as patch, compose_stack(folder) as stack:
        patch.setattr(images, "tag", lambda: tag)  # somebody may be at work on the code
        stack.up()
        demo.load(stack)
        yield stack


def orders(stack: ComposeStack) -> int:
    with at_gateway(stack.origin) as gateway:
        manager = signed_in(gateway, sign_ins(stack.places)[0])
        return int(manager.count("orders")["count"])


def docker(*arguments: str) -> str:
    command = ["docker", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own words
    return done.stdout


def test_story_comes_out_as_told(stack: ComposeStack, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.play(stack)
    assert "All 34 checks passed." in capsys.readouterr().out


def test_nothing_is_published_but_on_loopback(stack: ComposeStack) -> None:
    titles = [part.title for part in stack.project.parts() if part.is_running]
    published = [
        binding["HostIp"]
        for one in json.loads(docker("inspect", *titles))
        for bindings in one["NetworkSettings"]["Ports"].values()
        for binding in bindings or ()
    ]
    assert len(published) == 2
    assert set(published) == {"127.0.0.1"}


def test_no_secret_is_in_what_docker_tells_of_containers(stack: ComposeStack) -> None:
    titles = [part.title for part in stack.project.parts()]
    told = docker("inspect", *titles) + docker("inspect", *{p.image for p in stack.project.parts()})
    secrets = [
        file.read_text().strip() for file in stack.places.folder("compose/secrets").iterdir()
    ]
    assert len(secrets) > 20
    assert not [secret for secret in secrets if secret in told and not secret.startswith("smtp:")]


def test_services_own_commands_run_beside_them(stack: ComposeStack) -> None:
    done = stack.run_service("orders", "dead-letters", "list")
    assert done.returncode == 0, done.stderr
    done = stack.run_service("notifier", "subscribers", "--help")
    assert done.returncode == 0, done.stderr
    assert stack.run_service("orders", "no-such-command").returncode == 2


def test_second_start_changes_nothing_that_runs(stack: ComposeStack) -> None:
    def started() -> dict[str, str]:
        running = [part.title for part in stack.project.parts() if part.is_running]
        return {
            one["Name"]: one["State"]["StartedAt"]
            for one in json.loads(docker("inspect", *running))
        }

    before = started()
    stack.up()
    assert started() == before


def test_data_and_ports_survive_down_and_up(stack: ComposeStack) -> None:
    before, origin = orders(stack), stack.origin
    assert "gateway" in stack.down()
    assert stack.down() == []
    assert not stack.status()["up"]
    stack.up()
    assert stack.status()["up"]
    assert (orders(stack), stack.origin) == (before, origin)


def test_start_that_fails_shows_the_log_of_who_is_to_blame(stack: ComposeStack) -> None:
    secret = stack.places.folder("compose/secrets") / "orders_database_owner_url"
    right = secret.read_text()
    secret.chmod(0o644)
    secret.write_text("nowhere\n")
    try:
        with pytest.raises(StackError, match="databases ended") as raised:
            stack.up()
        assert "orders_database_owner_url is no postgresql+asyncpg://" in str(raised.value)
    finally:
        secret.write_text(right)
        stack.up()


def test_other_data_folder_has_everything_for_itself(servers: Servers, stack: ComposeStack) -> None:
    with compose_stack(servers.places.data / "other") as other:
        other.up()
        assert other.origin != stack.origin
        assert sign_ins(other.places) == []
        assert orders(stack) > 1000
        other.down()
    assert stack.absent() == []


def test_what_a_killed_run_left_is_swept(insisting: None) -> None:
    folder = folder_of_runs() / "0-killed"
    left = Servers(folder)
    left.opa()
    mine = ("--all", "--quiet", "--filter", f"name={docker_runner.project(left.places)}")
    assert docker("ps", *mine)
    Servers(folder).end()
    assert not docker("ps", *mine)
    assert not folder.exists()
