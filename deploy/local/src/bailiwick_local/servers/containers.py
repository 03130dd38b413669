"""The same servers in containers, where a Docker daemon answers; with its plain command line."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from bailiwick_local.places import Places
from bailiwick_local.processes import StackError, found
from bailiwick_local.servers import Server, knock, postgres, rabbitmq

IMAGES = {
    "postgres": "postgres:18",
    "rabbitmq": "rabbitmq:4-management",
    "opa": "openpolicyagent/opa:1.22.2-static",
    "gateway": "nginx:1.28-alpine",
}


@cache
def answers() -> bool:
    """Say whether a Docker daemon answers; without one nothing here may be called."""
    if not found("docker"):
        return False
    return _docker("info", "--format", "{{.ServerVersion}}", patience=10).returncode == 0


def has_image(name: str) -> bool:
    """Say whether the server's image is here or can be had."""
    image = IMAGES[name]
    here = _docker("image", "inspect", image).returncode == 0
    return here or _docker("pull", "--quiet", image, patience=300).returncode == 0


def _docker(*arguments: str, patience: float = 60) -> subprocess.CompletedProcess[str]:
    command = ["docker", *arguments]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=patience
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no answer within {patience:.0f} s")


def run_once(
    name: str, folder: Path, output: Path, arguments: list[str]
) -> subprocess.CompletedProcess[str]:
    """Run a server's program once, in a folder that it may read and with one that it may write to."""
    mounts = (f"--volume={folder}:{folder}:ro", f"--volume={output}:{output}")
    user = f"--user={os.geteuid()}:{os.getegid()}"
    return _docker("run", "--rm", user, *mounts, f"--workdir={folder}", IMAGES[name], *arguments)


@dataclass(frozen=True)
class Container:
    """A runner over one container, which keeps its data in a folder or volume of its own."""

    name: str
    places: Places
    options: tuple[str, ...]
    arguments: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The container's name, which no other data folder's container has."""
        return f"{prefix(self.places)}{self.name}"

    def start(self) -> None:
        """Start it, or make it first.

        Raises:
            StackError: Docker would not; in its words.

        """
        image = IMAGES[self.name.partition("-")[0]]
        _docker("rm", self.title)
        made = _docker(
            "run", "--detach", "--name", self.title, *self.options, image, *self.arguments
        )
        if made.returncode:
            raise StackError(f"docker run {image}: {made.stderr.strip()}")

    def stop(self) -> None:
        """End it in good order; its data stay."""
        _docker("stop", self.title)
        _docker("rm", self.title)

    def kill(self) -> None:
        """End it as a crash would."""
        _docker("kill", self.title)

    def pause(self) -> None:
        """Freeze it."""
        _docker("pause", self.title)

    def resume(self) -> None:
        """Let it go on."""
        _docker("unpause", self.title)

    def is_running(self) -> bool:
        """Say whether it lives, frozen or not."""
        told = _docker("inspect", "--format", "{{.State.Running}}", self.title)
        return told.stdout.strip() == "true"

    is_current = is_running

    def log(self) -> str:
        """Give the last lines that it wrote."""
        told = _docker("logs", "--tail", "15", self.title)
        return (told.stdout + told.stderr).strip()


def prefix(places: Places) -> str:
    """Give what the names of all containers of a data folder begin with."""
    return f"bailiwick-{hashlib.sha256(os.fsencode(places.data)).hexdigest()[:12]}-"


def stop_all(places: Places) -> list[str]:
    """End every container of a data folder, and give their names."""
    if not answers():
        return []
    told = _docker("ps", "--all", "--filter", f"name=^{prefix(places)}", "--format", "{{.Names}}")
    titles = told.stdout.split()
    for title in titles:
        _docker("unpause", title)
        _docker("stop", title)
        _docker("rm", title)
    return [title.removeprefix(prefix(places)) for title in titles]


def _volume(places: Places, name: str, target: str) -> str:
    return f"--volume={prefix(places)}{name}:{target}"


def _port(places: Places, name: str, inside: int) -> tuple[int, str]:
    in_use = Container(name, places, ()).is_running()
    port = places.kept.port(name, in_use=in_use)
    return port, f"--publish=127.0.0.1:{port}:{inside}"


def run_postgres(places: Places) -> Server:
    """Run PostgreSQL; its data are in a volume of that name."""
    port, publish = _port(places, "postgres", 5432)
    password = places.kept.secret("postgres")
    volume = _volume(places, "postgres", "/var/lib/postgresql")
    options = (publish, volume, f"--env=POSTGRES_PASSWORD={password}")
    runner = Container("postgres", places, options, ("-c", "max_connections=200"))
    is_ready = partial(knock.postgres, "127.0.0.1", port)
    return Server("postgres", postgres.dsn(password, port), IMAGES["postgres"], runner, is_ready)


def run_rabbitmq(places: Places) -> Server:
    """Run RabbitMQ with its management door; its data are in a volume of that name."""
    port, publish = _port(places, "rabbitmq", 5672)
    door = places.kept.port(
        "rabbitmq-management", in_use=Container("rabbitmq", places, ()).is_running()
    )
    password = places.kept.secret("rabbitmq")
    options = (
        publish,
        f"--publish=127.0.0.1:{door}:15672",
        "--hostname=bailiwick",  # the node's name, and so where its data are, comes from it
        _volume(places, "rabbitmq", "/var/lib/rabbitmq"),
        f"--env=RABBITMQ_DEFAULT_USER={rabbitmq.USER}",
        f"--env=RABBITMQ_DEFAULT_PASS={password}",
    )
    return Server(
        "rabbitmq",
        f"amqp://{rabbitmq.USER}:{password}@127.0.0.1:{port}/",
        IMAGES["rabbitmq"],
        Container("rabbitmq", places, options),
        partial(knock.rabbitmq, "127.0.0.1", port),
        patience=90,
        management=f"http://{rabbitmq.USER}:{password}@127.0.0.1:{door}",
    )


def run_opa(places: Places, name: str, bundle_file: Path | None) -> Server:
    """Run OPA on a port; without a bundle it knows no policy."""
    port, publish = _port(places, name, 8181)
    options, arguments = [publish], ["run", "--server", "--addr=0.0.0.0:8181", "--log-level=error"]
    if bundle_file:
        bundle_file.chmod(0o644)
        options.append(f"--volume={bundle_file}:/bundle.tar.gz:ro")
        arguments += ["--bundle", "/bundle.tar.gz"]
    url = f"http://127.0.0.1:{port}"
    runner = Container(name, places, tuple(options), tuple(arguments))
    return Server(name, url, IMAGES["opa"], runner, partial(_opa_is_ready, url))


def _opa_is_ready(url: str) -> bool:
    return knock.http_status(url, "/health") == 200  # noqa: PLR2004 - OK
