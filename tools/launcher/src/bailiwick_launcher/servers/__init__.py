"""The servers that the stack stands on: given by address, in a container, or as a process here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bailiwick_launcher.data_folder import DataFolder
from bailiwick_launcher.processes import Process, Runner, StackError, wait_until


@dataclass(frozen=True)
class Server:
    """One server: where it is, how it is run, and how one sees that it is ready.

    `stop`, `kill`, `pause` and `resume` come from its runner; `start` may be called again after
    any of them and gives the same address.
    """

    name: str
    url: str
    version: str
    runner: Runner
    is_ready: Callable[[], bool]
    prepare: Callable[[], None] = lambda: None
    helper: Process | None = None
    """What must run beside it (epmd beside the broker); ends after it."""
    patience: float = 60
    folder: Path | None = None
    management: str = ""
    """The address of the API for operators, if it has one."""

    def start(self) -> None:
        """Bring it up and return when it is ready.

        Raises:
            StackError: it did not come up; with the end of its log.

        """
        if not self.runner.is_current():
            self.runner.stop()
            self.prepare()
            if self.helper:
                self.helper.start()
            self.runner.start()
        wait_until(self.is_ready, self.runner, self.name, self.patience)

    def stop(self) -> None:
        """End it in good order, its helper too."""
        self.runner.stop()
        if self.helper:
            self.helper.stop()

    def kill(self) -> None:
        """End it as a crash would."""
        self.runner.kill()

    def pause(self) -> None:
        """Freeze it: its ports stay open and nobody answers."""
        self.runner.pause()

    def resume(self) -> None:
        """Let it go on where it was frozen."""
        self.runner.resume()

    def is_running(self) -> bool:
        """Say whether it lives, frozen or not."""
        return self.runner.is_running()


@dataclass(frozen=True)
class Elsewhere:
    """The runner of a server that somebody else runs: we use it, and never start or end it."""

    variable: str
    origin: str = field(default="somebody else's", init=False)

    def start(self) -> None:
        """Nothing to do: it runs or it does not."""

    def stop(self) -> None:
        """Nothing to do: it is not ours."""

    def kill(self) -> None:
        """Refuse.

        Raises:
            StackError: always.

        """
        raise StackError(f"the server that {self.variable} names is not ours to stop")

    pause = resume = kill

    def is_running(self) -> bool:
        """Say yes, so that the start waits for its answer."""
        return True

    is_current = is_running

    def log(self) -> str:
        """Say where to look."""
        return f"(it is the one that {self.variable} names: see there)"


def kept_port(places: DataFolder, name: str, holder: str = "") -> int:
    """Give a server's port: the one of last time, which the server itself may be holding."""
    in_use = Process(holder or name, places, ()).is_running()
    return places.kept.port(name, in_use=in_use)
