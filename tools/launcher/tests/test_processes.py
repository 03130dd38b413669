"""Processes of our own: what is ended, and above all what is not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bailiwick_launcher.data_folder import DataFolder
from bailiwick_launcher.processes import (
    Process,
    StackError,
    stop_by,
    wait_until,
)
from bailiwick_testkit.servers.real import Servers

_SLEEP = (sys.executable, "-c", "import time; print('here', flush=True); time.sleep(60)")


@pytest.fixture
def places(servers: Servers) -> Iterator[DataFolder]:
    with servers.private() as mine:
        yield mine.places


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(_SLEEP, stdout=subprocess.DEVNULL) as process:
        yield process
        process.kill()


def sleeper(places: DataFolder, name: str = "sleeper", **environment: str) -> Process:
    program = "/usr/bin/sleep" if places.account.is_switched else "sleep"
    return Process(name, places, (program, "60"), environment)


def test_started_process_is_known_until_it_is_stopped(places: DataFolder) -> None:
    process = sleeper(places)
    assert not process.is_running()
    process.start()
    pid = process.pid()
    assert pid
    assert Path(f"/proc/{pid}").exists()
    process.stop()
    assert not process.is_running()
    assert not process.pid_file.exists()


def test_process_never_runs_as_root(places: DataFolder) -> None:
    process = sleeper(places)
    process.start()
    status = Path(f"/proc/{process.pid()}/status").read_text()
    uids = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
    assert set(uids) == {str(places.account.uid)}
    assert places.account.uid != 0


def test_reused_pid_of_a_stranger_is_left_alone(
    places: DataFolder, stranger: subprocess.Popen[bytes]
) -> None:
    process = sleeper(places)
    process.start()
    known = json.loads(process.pid_file.read_text())
    process.stop()
    process.pid_file.write_text(
        json.dumps(known | {"pid": stranger.pid, "birth": known["birth"] + "0"})
    )
    assert process.pid() is None
    process.kill()
    process.pause()
    assert stop_by(process.pid_file) is False
    assert stranger.poll() is None


@pytest.mark.parametrize("text", ["", "{", "17", '{"pid": 1}', '{"pid": 1, "birth": null}'])
def test_unreadable_pid_file_names_nobody(places: DataFolder, text: str) -> None:
    process = sleeper(places)
    process.pid_file.write_text(text)
    assert process.pid() is None
    assert stop_by(process.pid_file) is False


def test_start_leaves_the_same_alone_and_replaces_what_was_started_otherwise(
    places: DataFolder,
) -> None:
    process = sleeper(places)
    process.start()
    first = process.pid()
    process.start()
    assert process.pid() == first
    sleeper(places, CHANGED="yes").start()
    assert process.pid() not in {None, first}


def test_killed_and_frozen_processes_are_told_apart(places: DataFolder) -> None:
    process = sleeper(places)
    process.start()
    process.pause()
    assert process.is_running()
    process.stop()  # a frozen one too
    assert not process.is_running()
    process.start()
    pid = process.pid()
    assert pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not process.is_running(), _Patient(), "the end", 5)


def test_what_is_frozen_runs_no_more(places: DataFolder) -> None:
    """A signal takes effect a moment later, and a test that asks at once got an answer."""
    busy = Process("busy", places, ("/bin/sh", "-c", "while :; do :; done"))
    busy.start()
    for _ in range(50):
        busy.pause()
        state = Path(f"/proc/{busy.pid()}/stat").read_text().rpartition(")")[2].split()[0]
        assert state == "T"
        busy.resume()
    busy.stop()


class _Patient(Process):
    def __init__(self) -> None:
        """Stand for a runner that never ends."""

    def is_running(self) -> bool:  # type: ignore[explicit-override] # a stand-in
        return True


def test_failed_start_shows_the_end_of_the_log(places: DataFolder) -> None:
    shell = Process("broken", places, ("/bin/sh", "-c", "echo port is taken; exit 3"))
    shell.start()
    with pytest.raises(StackError, match="port is taken"):
        wait_until(lambda: False, shell, "broken", 5)


def test_files_of_the_folder_are_private(places: DataFolder) -> None:
    process = sleeper(places)
    process.start()
    places.kept.secret("one")
    for path in (process.pid_file, process.log_file, places.data / "kept.json"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert places.data.stat().st_mode & 0o077 == 0


def test_ports_and_secrets_stay(places: DataFolder) -> None:
    again = DataFolder(places.data)
    assert places.kept.port("a") == again.kept.port("a")
    assert places.kept.secret("a") == again.kept.secret("a")
    assert places.kept.secret("a") != places.kept.secret("b")


def test_written_file_is_never_reached_through_a_link(places: DataFolder, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("kept")
    link = places.folder("run") / "link"
    link.symlink_to(target)
    with pytest.raises(OSError, match="symbolic links"):
        places.write(link, "overwritten")
    assert target.read_text() == "kept"
