"""Containers by testcontainers, where a Docker daemon answers: what the servers of a data folder run in.

Its reaper, Ryuk, is left out even where its image can be had: it ends what a process has started as soon
as that process ends, and here a server belongs to its data folder. Of a test run's workers one ends before
the others, and the stack outlives its launcher. What a killed run leaves behind, the next one ends.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bailiwick_launcher.data_folder import DataFolder
from bailiwick_launcher.processes import StackError
from bailiwick_launcher.servers.daemon import answers, connected, refusals

IMAGES = {
    "postgres": "postgres:18",
    "rabbitmq": "rabbitmq:4-management",
    "opa": "openpolicyagent/opa:1.22.2-static",
    "gateway": "nginxinc/nginx-unprivileged:1.28-alpine",
}
_PRINT = "bailiwick.print"
"""The label that says what a container was started with."""
_PATIENCE = 30
"""Seconds until a container that was told to end is ended by force."""


@dataclass(frozen=True)
class Container:
    """A runner over one container, which keeps its data in volumes of its own.

    It is made anew at each start. What is in `environment` and `files` is among nobody's arguments, which all
    accounts can read: it may be secret.
    """

    name: str
    places: DataFolder
    arguments: tuple[str, ...] = ()
    ports: Mapping[int, int] = field(default_factory=dict)
    """Port inside → port of loopback."""
    volumes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Folder or file here, or the name of a volume → path inside, `ro` or `rw`."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Path inside → text of a file that is put there before it starts."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What Docker is told besides, as docker-py names it."""
    image: str = ""
    """Unless one is named, the server's own: `opa-orders` runs from that of `opa`."""

    def __post_init__(self) -> None:
        """Find the image."""
        object.__setattr__(self, "image", self.image or IMAGES.get(self.name.partition("-")[0], ""))

    @property
    def title(self) -> str:
        """The container's name, which no other data folder's container has."""
        return f"{prefix(self.places)}{self.name}"

    def start(self) -> None:
        """Make it and start it; what a crash has left of it is removed.

        Raises:
            StackError: Docker would not; in its words.
        """
        from testcontainers.core.config import testcontainers_config  # noqa: PLC0415
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415

        testcontainers_config.ryuk_disabled = True
        mark(self.places)
        self.stop()
        try:
            made = DockerContainer(
                self.image,
                env=dict(self.environment),
                name=self.title,
                volumes=[(str(what), *where) for what, where in self.volumes.items()],
                transferables=[(text.encode(), path) for path, text in self.files.items()],
                labels={_PRINT: self._print()},
                **self.options,
            )
            try:
                if self.arguments:
                    made.with_command(list(self.arguments))
                published: dict[str, Any] = made.ports  # with_bind_ports would bind to everything
                published |= {
                    f"{inside}/tcp": _on_loopback(at) for inside, at in self.ports.items()
                }
                made.start()
            finally:
                made.get_docker_client().client.close()
        except refusals() as refusal:
            raise StackError(f"docker run {self.image}: {refusal}") from None

    def stop(self) -> None:
        """End it in good order and remove it; its data stay."""
        with self._found() as container:
            if container is not None:
                _end(container)

    def kill(self) -> None:
        """End it as a crash would, and return when it has ended."""
        with self._found() as container:
            if container is not None:
                _resume(container)  # a frozen one would not end
                with suppress(*refusals()):  # it may have ended by itself
                    container.kill()
                container.wait(timeout=_PATIENCE)

    def pause(self) -> None:
        """Freeze it."""
        with self._found() as container:
            if container is not None:
                container.pause()

    def resume(self) -> None:
        """Let it go on."""
        with self._found() as container:
            if container is not None:
                _resume(container)

    def is_running(self) -> bool:
        """Say whether it lives, frozen or not."""
        with self._found() as container:
            return container is not None and bool(container.attrs["State"]["Running"])

    def is_current(self) -> bool:
        """Say whether it lives and was started with what it would be started with now."""
        with self._found() as container:
            return (
                container is not None
                and bool(container.attrs["State"]["Running"])
                and container.labels.get(_PRINT) == self._print()
            )

    def log(self) -> str:
        """Give the last lines that it wrote."""
        with self._found() as container:
            return container.logs(tail=15).decode(errors="replace").strip() if container else ""

    def execute(self, *command: str) -> str:
        """Run a program of the container's own beside the server and give what it says.

        Raises:
            StackError: it does not run, or the program failed; with its words.
        """
        with self._found() as container:
            if container is None:
                raise StackError(f"{self.title} does not run")
            code, said = container.exec_run(list(command))
        text = str(said.decode(errors="replace"))
        if code:
            raise StackError(f"{command[0]} in {self.title}: {text.strip()}")
        return text

    def _print(self) -> str:
        """Give what changes with whatever it is started with; of a secret it tells nothing."""
        told = [self.image, self.arguments, dict(self.ports), dict(self.volumes)]
        told += [
            dict(self.environment),
            dict(self.files),
            {k: str(v) for k, v in self.options.items()},
        ]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    @contextmanager
    def _found(self) -> Iterator[Any]:
        """Give the container as Docker knows it, None where it has none of that name."""
        from docker.errors import NotFound  # noqa: PLC0415

        with connected() as docker:
            try:
                container = docker.containers.get(self.title)
            except NotFound:
                container = None
            yield container


def _on_loopback(port: int) -> tuple[str, int]:
    return ("127.0.0.1", port)


def _resume(container: Any) -> None:
    with suppress(*refusals()):  # it is not frozen, or has ended
        container.unpause()


def _end(container: Any, *, force: bool = False) -> None:
    from docker.errors import NotFound  # noqa: PLC0415

    _resume(container)  # a frozen one would not hear of its end
    with suppress(NotFound):  # somebody else has ended it meanwhile
        if not force:
            container.stop(timeout=_PATIENCE)
        container.remove(
            v=True, force=True
        )  # volumes without a name: those that the image asks for


def project(places: DataFolder) -> str:
    """Give what the names of all that Docker has of a data folder begin with."""
    return f"bailiwick-{hashlib.sha256(os.fsencode(places.data)).hexdigest()[:12]}"


def prefix(places: DataFolder) -> str:
    """Give what the names of its containers and of the volumes of single ones begin with."""
    return f"{project(places)}-"


def mark(places: DataFolder) -> None:
    """Note that the data folder has containers: where none ever were, nobody asks Docker for them."""
    _mark(places).touch()


def _mark(places: DataFolder) -> Path:
    return places.folder(".") / "has-containers"


def stop_all(places: DataFolder, *, with_data: bool = False) -> list[str]:
    """End every container of a data folder, and give their names.

    `with_data`: by force, and their volumes and networks are removed.
    """
    if not _mark(places).exists() or not answers():
        return []
    mine = {"name": project(places)}
    with connected() as docker:
        containers = docker.containers.list(all=True, filters=mine, ignore_removed=True)
        for container in containers:
            _end(container, force=with_data)
        if with_data:
            for volume in docker.volumes.list(filters=mine):
                volume.remove(force=True)
            for network in docker.networks.list(filters=mine):
                network.remove()
        return sorted(container.name.removeprefix(prefix(places)) for container in containers)
