"""`docker compose` for one data folder: a project of its own, with its own secrets, ports and volumes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bailiwick_launcher.data_folder import CHECKOUT, DataFolder
from bailiwick_launcher.processes import StackError, found
from bailiwick_launcher.servers import daemon, docker_runner

_FILE = CHECKOUT / "deploy" / "compose.yaml"
_LABEL = "com.docker.compose"


@dataclass(frozen=True)
class Part:
    """One container of the project, as Docker tells of it."""

    name: str
    title: str
    image: str
    state: str
    health: str = ""
    exit_code: int = 0

    @property
    def is_running(self) -> bool:
        """Whether it runs, however well."""
        return self.state == "running"

    @property
    def is_well(self) -> bool:
        """Whether it is what it should be: it answers, or it has done its job and ended."""
        if self.state == "exited":
            return not self.exit_code
        return self.is_running and self.health in {"", "healthy"}

    @property
    def is_broken(self) -> bool:
        """Whether it has ended without having been told to, or does not answer for long."""
        ended = self.state in {"exited", "dead", "restarting"} and self.exit_code != 0
        return ended or self.health == "unhealthy"


@dataclass(frozen=True)
class Project:
    """What compose is told, and what it tells."""

    places: DataFolder

    @property
    def name(self) -> str:
        """The project's name, which no other data folder's has."""
        return docker_runner.project(self.places)

    @property
    def told(self) -> Path:
        """The file of what compose.yaml leaves open; nothing in it is secret."""
        return self.places.folder("compose") / "compose.env"

    def tell(self, values: dict[str, str]) -> None:
        """Write that file."""
        quoted = {name: value.replace("'", "\\'") for name, value in values.items()}
        lines = [f"{name}='{value}'\n" for name, value in quoted.items()]
        self.places.write(self.told, "".join(lines))

    def command(self, *arguments: str) -> list[str]:
        """Give a command of compose for this project."""
        if not self.told.exists():
            self.tell({})
        where = ("--project-name", self.name, "--file", str(_FILE), "--env-file", str(self.told))
        return ["docker", "compose", *where, "--profile", "default", *arguments]

    def run(
        self, *arguments: str, text: str | None = None, patience: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of compose to its end and collect what it says."""
        return _run(self.command(*arguments), text, patience)

    @cached_property
    def plan(self) -> dict[str, Any]:
        """What compose.yaml comes to, all that it leaves open filled in.

        Raises:
            StackError: compose does not take it; in its words.
        """
        done = self.run("config", "--format", "json")
        if done.returncode:
            raise StackError(f"docker compose config: {done.stderr.strip()}")
        plan: dict[str, Any] = json.loads(done.stdout)
        return plan

    def runs_as_planned(self) -> bool:
        """Say whether everything is well, and was started by the plan and secrets as they are now."""
        if self._noted() != self._now():
            return False
        well = {part.name for part in self.parts() if part.is_well}
        return well >= set(self.plan["services"])

    def has_other_secrets(self) -> bool:
        """Say whether they are not those that it was last started with: compose would not notice."""
        noted = self._noted()
        return bool(noted) and noted["secrets"] != self._now()["secrets"]

    def note_plan(self) -> None:
        """Note that everything was started by the plan and secrets as they are now."""
        self.places.write(self._note, json.dumps(self._now()))

    @property
    def _note(self) -> Path:
        return self.told.with_name("started-by.json")

    def _noted(self) -> dict[str, str]:
        return dict(json.loads(self._note.read_text())) if self._note.exists() else {}

    def _now(self) -> dict[str, str]:
        files = sorted(one["file"] for one in self.plan.get("secrets", {}).values())
        told = {
            "plan": json.dumps(self.plan, sort_keys=True).encode(),
            "secrets": b"\0".join(Path(file).read_bytes() for file in files),
        }
        return {name: hashlib.sha256(content).hexdigest() for name, content in told.items()}

    def parts(self) -> list[Part]:
        """Give every container of the project, those that have ended too, by name."""
        mine = [f"{_LABEL}.project={self.name}", f"{_LABEL}.oneoff=False"]
        with daemon.connected() as docker:
            known = docker.containers.list(all=True, filters={"label": mine}, ignore_removed=True)
        parts = [
            Part(
                name=one.labels[f"{_LABEL}.service"],
                title=one.name,
                image=one.attrs["Config"]["Image"],
                state=one.attrs["State"]["Status"],
                health=one.attrs["State"].get("Health", {}).get("Status", ""),
                exit_code=one.attrs["State"]["ExitCode"],
            )
            for one in known
        ]
        return sorted(parts, key=lambda part: part.name)

    def end_of_log(self, name: str) -> str:
        """Give the last lines that a container wrote."""
        return self.run("logs", "--no-log-prefix", "--tail", "15", name, patience=60).stdout.strip()


def obstacle() -> str:
    """Say why compose cannot be used here, "" where it can."""
    if not daemon.answers():
        return "no Docker daemon answers"
    if not found("docker"):
        return "there is no docker command"
    if _run(["docker", "compose", "version"], None, 20).returncode:
        return "docker has no compose (on Debian: apt-get install docker-compose-v2)"
    return ""


def _run(
    command: list[str], text: str | None, patience: float | None
) -> subprocess.CompletedProcess[str]:
    given: dict[str, Any] = {"stdin": subprocess.DEVNULL} if text is None else {"input": text}
    try:
        return subprocess.run(
            command,
            env=environment(),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=patience,
            **given,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no answer within {patience:.0f} s")


def environment() -> dict[str, str]:
    """Give what compose gets of our environment: nothing that would count for more than its file does."""
    ours = ("BAILIWICK_", "COMPOSE_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}
