"""Processes of our own: started detached, known by pid and birth, so that no stranger is ended."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from bailiwick_launcher.data_folder import DataFolder

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LONGEST_LOG = 20_000_000
_children: set[int] = set()
"""What this very process started: it has to collect their ends."""


class StackError(Exception):
    """Something of the stack did not come up or go down; the message says what to do or to read."""


class Runner(Protocol):
    """How a server is run: as a process, in a container, or by somebody else."""

    def start(self) -> None:
        """Start it and return at once."""

    def stop(self) -> None:
        """End it in good order and return when it has ended."""

    def kill(self) -> None:
        """End it as a crash would (SIGKILL)."""

    def pause(self) -> None:
        """Freeze it (SIGSTOP)."""

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""

    def is_running(self) -> bool:
        """Say whether it lives, frozen or not."""

    def is_current(self) -> bool:
        """Say whether it lives and was started with what it would be started with now."""

    def log(self) -> str:
        """Give the last lines that it wrote."""


@dataclass(frozen=True)
class Process:
    """A command that runs detached, its pid file in `run/`, its output in `logs/`.

    A pid file tells pid, birth, the signal that ends it and its rank: what has the higher rank
    is stopped first.
    """

    name: str
    places: DataFolder
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    stop_signal: signal.Signals = signal.SIGTERM
    rank: int = 1
    patience: float = 30

    @property
    def pid_file(self) -> Path:
        """Where its pid and birth are written."""
        return self.places.folder("run") / f"{self.name}.pid"

    @property
    def log_file(self) -> Path:
        """Where its output goes."""
        return self.places.folder("logs") / f"{self.name}.log"

    def pid(self) -> int | None:
        """Give its pid, or None where it does not run or the pid is somebody else's by now."""
        return _pid_in(self.pid_file)

    def is_running(self) -> bool:
        """Say whether it lives, frozen or not."""
        return self.pid() is not None

    def is_current(self) -> bool:
        """Say whether it lives and was started with these arguments and this environment."""
        return self.is_running() and _read(self.pid_file).get("print") == self._print()

    def start(self) -> None:
        """Start it detached; a running one is left alone, unless it was started otherwise."""
        if self.is_current():
            return
        self.stop()
        if self.log_file.exists() and self.log_file.stat().st_size > _LONGEST_LOG:
            self.log_file.unlink()
        with self.places.opened(self.log_file, os.O_WRONLY | os.O_APPEND) as log:
            child = subprocess.Popen(
                self.arguments,
                cwd=self.places.folder("."),
                env=_plain_environment() | dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o077,
                **self.places.account.switch(),
            )
        child.returncode = 0  # it is to outlive us: Popen is not to wait for it or to complain
        _children.add(child.pid)
        self._remember(child.pid)

    def _print(self) -> str:
        started_as = json.dumps([self.arguments, dict(self.environment)], sort_keys=True)
        return hashlib.sha256(started_as.encode()).hexdigest()

    def _remember(self, pid: int) -> None:
        known = {
            "pid": pid,
            "birth": _birth(pid),
            "signal": int(self.stop_signal),
            "rank": self.rank,
            "print": self._print(),
        }
        self.places.write(self.pid_file, json.dumps(known))

    def stop(self) -> None:
        """End it in good order, and by force where it does not end; then forget its pid."""
        _end(self.pid_file, self.stop_signal, self.patience)

    def kill(self) -> None:
        """End it and its children as a crash would."""
        _end(self.pid_file, signal.SIGKILL, self.patience)

    def pause(self) -> None:
        """Freeze it and its children; return when none of their threads runs any more."""
        pid = self.pid()
        _signal(pid, signal.SIGSTOP)
        until = time.monotonic() + self.patience
        while pid and any(map(_runs, _family(pid))) and time.monotonic() < until:
            time.sleep(0.001)

    def resume(self) -> None:
        """Let it and its children go on."""
        _signal(self.pid(), signal.SIGCONT)

    def log(self) -> str:
        """Give the last lines of its log."""
        text = self.log_file.read_text(errors="replace") if self.log_file.exists() else ""
        return "\n".join(_COLOUR.sub("", line) for line in text.splitlines()[-15:])


def wait_until(ready: Callable[[], bool], runner: Runner, name: str, patience: float) -> None:
    """Wait until it is ready.

    Raises:
        StackError: it ended or took too long; with the end of its log.

    """
    until = time.monotonic() + patience
    while not ready():
        if not runner.is_running():
            raise StackError(f"{name} ended while starting. The last it wrote:\n{runner.log()}")
        if time.monotonic() > until:
            raise StackError(
                f"{name} was not ready after {patience:.0f} s. Its log:\n{runner.log()}"
            )
        time.sleep(0.05)


def pid_files(places: DataFolder) -> dict[Path, int]:
    """Give every pid file with its rank, the highest first."""
    files = places.folder("run").glob("*.pid")
    known = {file: int(_read(file).get("rank", 0)) for file in files}
    return dict(sorted(known.items(), key=lambda item: -item[1]))


def stop_by(pid_file: Path, *, force: bool = False) -> bool:
    """End what a pid file names; say whether there was anything to end."""
    was_running = _pid_in(pid_file) is not None
    gentle = signal.Signals(_read(pid_file).get("signal", signal.SIGTERM))
    _end(pid_file, signal.SIGKILL if force else gentle, 30)
    return was_running


def _pid_in(pid_file: Path) -> int | None:
    known = _read(pid_file)
    if known.get("birth") is None:
        return None
    pid = int(known["pid"])
    _collect(pid)
    return pid if _birth(pid) == known["birth"] else None


def _read(pid_file: Path) -> dict[str, Any]:
    try:
        known = json.loads(pid_file.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _collect(pid: int) -> None:
    if pid in _children:
        try:
            has_ended = os.waitpid(pid, os.WNOHANG)[0] == pid
        except ChildProcessError:
            has_ended = True
        if has_ended:
            _children.discard(pid)


def _birth(pid: int) -> str | None:
    """Give what no later process with this pid can have: this boot, and when it was started."""
    stat = _stat(pid)
    if stat is None or stat.state in "ZX":
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{stat.started}"


_STOPPED = {"T", "t", "X", "Z"}
"""States of proc(5): stopped by a signal, traced, dead, not yet waited for."""


class _Stat(NamedTuple):
    state: str
    parent: int
    started: str


def _stat(pid: int) -> _Stat | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return _Stat(fields[0], int(fields[1]), fields[19])


def _runs(pid: int) -> bool:
    """Return whether a thread of the process is not stopped: a signal takes effect a moment later."""
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(OSError):
            if stat.read_text().rpartition(")")[2].split()[0] not in _STOPPED:
                return True
    return False


def _family(pid: int) -> dict[int, str]:
    """Give the process, its children and theirs: pid → birth."""
    parents = {
        int(folder.name): stat.parent
        for folder in Path("/proc").iterdir()
        if folder.name.isdigit() and (stat := _stat(int(folder.name)))
    }
    family, unseen = [pid], [pid]
    while unseen:
        parent = unseen.pop()
        children = [child for child, its_parent in parents.items() if its_parent == parent]
        family += children
        unseen += children
    return {member: birth for member in family if (birth := _birth(member))}


def _signal(pid: int | None, which: signal.Signals) -> None:
    for member in _family(pid) if pid else ():
        _send(member, which)


def _send(pid: int, which: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, which)


def _end(pid_file: Path, how: signal.Signals, patience: float) -> None:
    pid = _pid_in(pid_file)
    if pid is not None:
        family = _family(pid)
        if how is signal.SIGKILL:
            _signal(pid, how)
        else:
            _signal(pid, signal.SIGCONT)  # a frozen process would not hear of its end
            _send(pid, how)
        until = time.monotonic() + patience
        while alive := [member for member, birth in family.items() if _birth(member) == birth]:
            if time.monotonic() > until:
                for member in alive:
                    _send(member, signal.SIGKILL)
            time.sleep(0.02)
        _collect(pid)
    pid_file.unlink(missing_ok=True)


def _plain_environment() -> dict[str, str]:
    """Pass on only what a program needs: a stray PGHOST or RABBITMQ_… changes what it does."""
    path = os.environ.get("PATH", "/usr/bin:/bin")
    return {"PATH": path, "LANG": "C.UTF-8", "TZ": "UTC"}


def found(program: str, *folders: str) -> str | None:
    """Give the full path of a program on PATH or in one of the folders (patterns allowed)."""
    for pattern in folders:
        for folder in sorted(Path("/").glob(pattern.lstrip("/")), reverse=True):
            if os.access(folder / program, os.X_OK):
                return str(folder / program)
    return shutil.which(program)
