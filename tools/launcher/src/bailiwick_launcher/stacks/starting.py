"""One start of the containers: compose at work, and a line for each of them as soon as it is well."""

from __future__ import annotations

import subprocess
import tempfile
import time
from dataclasses import dataclass, field

from bailiwick_launcher.processes import StackError
from bailiwick_launcher.stacks import Report
from bailiwick_launcher.stacks.project import Part, Project, environment

_PATIENCE = 300.0
"""Seconds without a step forward, after which the start is given up."""
_PAUSE = 0.4


@dataclass
class Start:
    """What is being started, and how far it is."""

    project: Project
    report: Report
    anew: bool = False
    """Make every container anew, whatever compose knows of changes."""
    patience: float = _PATIENCE
    _well: set[str] = field(default_factory=set)
    _began: float = field(default_factory=time.monotonic)

    def run(self) -> None:
        """Start everything, and return when all of it is well.

        Raises:
            StackError: something is not; with the end of its log.
        """
        options = ["--detach", "--no-build", "--pull=never", "--remove-orphans"]
        options += ["--force-recreate"] * self.anew
        with tempfile.TemporaryFile("w+") as said:
            command = self.project.command("--progress=quiet", "up", *options)
            compose = subprocess.Popen(
                command,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
            )
            try:
                self._wait(compose)
            finally:
                compose.terminate()
                compose.wait()
            if compose.returncode > 0:
                said.seek(0)
                raise StackError(self._told(said.read()))

    def _wait(self, compose: subprocess.Popen[bytes]) -> None:
        """Wait until all is well, or compose has given up."""
        last_step = time.monotonic()
        while True:
            has_ended = compose.poll() is not None
            parts = [part for part in self.project.parts() if part.name in self._expected()]
            if self._tell(parts):
                last_step = time.monotonic()
            if has_ended and (compose.returncode or all(part.is_well for part in parts)):
                return
            if has_ended and any(part.is_broken for part in parts):
                raise StackError(self._told(""))
            if time.monotonic() - last_step > self.patience:
                waiting = ", ".join(part.name for part in parts if not part.is_well)
                told = self._told(f"Not ready after {self.patience:.0f} s: {waiting}.")
                raise StackError(told)
            time.sleep(_PAUSE)

    def _expected(self) -> dict[str, str]:
        """Give name → image of what is to be started."""
        return {name: one["image"] for name, one in self.project.plan["services"].items()}

    def _tell(self, parts: list[Part]) -> bool:
        """Tell which are well that were not; one of another image is what was there before."""
        new = [
            part
            for part in parts
            if part.is_well
            and part.name not in self._well
            and part.image == self._expected()[part.name]
        ]
        for part in new:
            self._well.add(part.name)
            took = time.monotonic() - self._began
            what = part.image if part.is_running else f"{part.image}, done"
            self.report(f"{part.name:<20} {what:<50} {took:5.1f} s")
        return bool(new)

    def _told(self, said: str) -> str:
        """Say what is wrong: which container, and the last that it wrote; else what compose says."""
        end = "\n".join(said.strip().splitlines()[-5:])
        parts = [part for part in self.project.parts() if not part.is_well]
        culprit = next((part for part in parts if part.is_broken), None)
        if culprit is None:
            return f"The containers did not come up:\n{end}"
        log = self.project.end_of_log(culprit.name)
        how = (
            f"ended ({culprit.exit_code})" if culprit.exit_code else culprit.health or culprit.state
        )
        return f"{culprit.name} {how}. The last it wrote:\n{log}\n{end}".rstrip()
