"""The same servers in containers, tuned as they are as processes; each on ports of loopback that stay."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from bailiwick_launcher.data_folder import DataFolder
from bailiwick_launcher.servers import Server, opa, postgres, probes, rabbitmq
from bailiwick_launcher.servers.docker_runner import IMAGES, Container, prefix

_FILES = 4096
"""Open files that Erlang may have, which makes room for as many as it may: Docker may allow a billion."""


def run_postgres(places: DataFolder, *, durable: bool = True) -> Server:
    """Run PostgreSQL; its data are in a volume of that name."""
    port = _port(places, "postgres")
    password = places.kept.secret("postgres")
    arguments: list[str] = []
    for setting in postgres.settings(durable=durable):
        arguments += ["-c", setting]
    runner = Container(
        "postgres",
        places,
        ("postgres", *arguments),
        ports={5432: port},
        volumes={f"{prefix(places)}postgres": ("/var/lib/postgresql", "rw")},
        environment={
            "POSTGRES_PASSWORD": password,
            # As it is as a process: in the order of code points, whatever the image's language is.
            "POSTGRES_INITDB_ARGS": "--encoding=UTF8 --locale=C.UTF-8",
        },
        options={"shm_size": "256m"},  # 64 MB otherwise, too few for what runs in parallel
    )
    is_ready = partial(probes.postgres, "127.0.0.1", port)
    return Server("postgres", postgres.dsn(password, port), IMAGES["postgres"], runner, is_ready)


def run_rabbitmq(places: DataFolder) -> Server:
    """Run RabbitMQ with its management API; its data are in a volume of that name."""
    from docker.types import Ulimit  # noqa: PLC0415 - as all of Docker's, only where it is used

    port = _port(places, "rabbitmq")
    management = _port(places, "rabbitmq-management", holder="rabbitmq")
    password = places.kept.secret("rabbitmq")
    runner = Container(
        "rabbitmq",
        places,
        ports={5672: port, 15672: management},
        volumes={f"{prefix(places)}rabbitmq": ("/var/lib/rabbitmq", "rw")},
        environment={
            "RABBITMQ_DEFAULT_USER": rabbitmq.USER,
            "RABBITMQ_DEFAULT_PASS": password,
        },
        files={"/etc/rabbitmq/conf.d/20-bailiwick.conf": "\n".join(rabbitmq.TUNED) + "\n"},
        options={
            "hostname": "bailiwick",  # the node's name, and so where its data are, comes from it
            "ulimits": [Ulimit(name="nofile", soft=_FILES, hard=_FILES)],
        },
    )
    user = f"{rabbitmq.USER}:{password}@127.0.0.1"
    return Server(
        "rabbitmq",
        f"amqp://{user}:{port}/",
        IMAGES["rabbitmq"],
        runner,
        partial(rabbitmq.is_ready, port, management),
        patience=90,
        management=f"http://{user}:{management}",
    )


def run_opa(places: DataFolder, name: str, bundle_file: Path | None) -> Server:
    """Run OPA on a port; without a bundle it knows no policy."""
    port = _port(places, name)
    arguments = ["run", "--server", "--addr=0.0.0.0:8181", "--log-level=error"]
    arguments.append("--skip-version-check")
    volumes = {}
    if bundle_file:
        bundle_file.chmod(0o644)  # for whomever the image runs as
        volumes[str(bundle_file)] = ("/bundle.tar.gz", "ro")
        arguments += ["--bundle", "/bundle.tar.gz"]
    runner = Container(name, places, tuple(arguments), {8181: port}, volumes, environment=opa.TUNED)
    url = f"http://127.0.0.1:{port}"
    return Server(name, url, IMAGES["opa"], runner, partial(opa.is_ready, url))


def _port(places: DataFolder, name: str, holder: str = "") -> int:
    in_use = Container(holder or name, places).is_running()
    return places.kept.port(name, in_use=in_use)
