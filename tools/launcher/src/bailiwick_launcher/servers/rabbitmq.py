"""RabbitMQ as an ordinary process: the package's inner script, with epmd of our own beside it.

The package's wrapper insists on the user `rabbitmq` and on fixed ports; the script that it calls
does not. Its distribution port and epmd are bound to loopback: both bind to everything otherwise.
Its management API is open: subscribers from outside are let in through it (D15). That costs some
16 MB and no time at the start.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from bailiwick_launcher.data_folder import DataFolder
from bailiwick_launcher.processes import Process, StackError, found
from bailiwick_launcher.servers import Elsewhere, Server, kept_port, probes

VARIABLE = "BAILIWICK_RABBITMQ_URL"
MANAGEMENT_VARIABLE = "BAILIWICK_RABBITMQ_MANAGEMENT_URL"
USER = "bailiwick"
TUNED = (
    "log.console.level = warning",
    "disk_free_limit.absolute = 64MB",
    "collect_statistics_interval = 1000",
)
"""Of its configuration wherever it runs: a laptop's disk may be nearly full; figures lag by a second."""
_YIELDING = "+sbwt none +sbwtdcpu none +sbwtdio none"
"""Erlang's threads wait without turning: others here need the processor (RabbitMQ, Runtime Tuning)."""
_INNER = ("/usr/lib/rabbitmq/bin", "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin")
_ERLANG = ("/usr/lib/erlang/erts-*/bin", "/usr/lib/erlang/bin")


def program() -> str | None:
    """Give the package's inner script."""
    for folder in _INNER:
        script = found("rabbitmq-server", folder)
        if script and not script.startswith(("/usr/sbin", "/sbin")):
            return script
    return None


def given(url: str, management: str) -> Server:
    """Use the broker that an AMQP address names; it has to let us declare exchanges and queues."""
    parts = urlsplit(url)
    is_ready = partial(probes.rabbitmq, parts.hostname or "127.0.0.1", parts.port or 5672)
    return Server(
        "rabbitmq", url, "given", Elsewhere(VARIABLE), is_ready, management=management.rstrip("/")
    )


def native(places: DataFolder) -> Server:
    """Run a broker on loopback; its only user is ours, `guest` is never made."""
    script, epmd = program(), found("epmd", *_ERLANG)
    if script is None or epmd is None:
        raise StackError("RabbitMQ is not installed")
    ports = {
        name: kept_port(places, name, "epmd" if name == "epmd" else "rabbitmq")
        for name in ("rabbitmq", "rabbitmq-nodes", "rabbitmq-management", "epmd")
    }
    password = places.kept.secret("rabbitmq")
    loopback = "127.0.0.1"
    names = Process(
        "epmd",
        places,
        (epmd, "-address", loopback, "-port", str(ports["epmd"])),
        environment={"HOME": str(places.folder("rabbitmq"))},
        rank=0,
    )
    configuration = _configuration(ports, password)
    environment = _environment(places, ports)
    # A broker that runs with another configuration is not current.
    environment["BAILIWICK_CONFIGURATION"] = hashlib.sha256(configuration.encode()).hexdigest()
    broker = Process("rabbitmq", places, (script,), environment, patience=40)
    return Server(
        "rabbitmq",
        f"amqp://{USER}:{password}@{loopback}:{ports['rabbitmq']}/",
        _version(script),
        broker,
        partial(is_ready, ports["rabbitmq"], ports["rabbitmq-management"]),
        partial(_configure, places, configuration),
        helper=names,
        patience=90,
        folder=places.folder("rabbitmq"),
        management=f"http://{USER}:{password}@{loopback}:{ports['rabbitmq-management']}",
    )


def is_ready(port: int, management_port: int) -> bool:
    """Say whether both ports are open: they are the broker's last step, management's before AMQP's."""
    if not probes.rabbitmq("127.0.0.1", port):
        return False
    return probes.http_status(f"http://127.0.0.1:{management_port}", "/") != 0


def _environment(places: DataFolder, ports: Mapping[str, int]) -> dict[str, str]:
    folder = places.folder("rabbitmq")
    return {
        "HOME": str(folder),  # the cookie of the Erlang node is made here
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(ports["epmd"]),
        "RABBITMQ_NODENAME": "bailiwick@localhost",
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_CONFIG_FILES": str(folder / "conf.d"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_DIST_PORT": str(ports["rabbitmq-nodes"]),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-kernel inet_dist_use_interface {{127,0,0,1}} {_YIELDING}",
    }


def _configuration(ports: Mapping[str, int], password: str) -> str:
    lines = [
        f"listeners.tcp.1 = 127.0.0.1:{ports['rabbitmq']}",
        f"default_user = {USER}",
        f"default_pass = {password}",
        "log.file = false",
        "log.console = true",
        *TUNED,
        "management.tcp.ip = 127.0.0.1",
        f"management.tcp.port = {ports['rabbitmq-management']}",
    ]
    return "\n".join(lines) + "\n"


def _configure(places: DataFolder, configuration: str) -> None:
    folder = places.folder("rabbitmq")
    for name in ("data", "log", "conf.d"):
        places.folder(f"rabbitmq/{name}")
    places.write(folder / "rabbitmq.conf", configuration)
    places.write(folder / "enabled_plugins", "[rabbitmq_management].\n")


def _version(script: str) -> str:
    home = Path(script).resolve().parents[1]
    libraries = sorted(home.glob("plugins/rabbit-*")) + sorted(
        home.glob("lib/rabbitmq_server-*/plugins/rabbit-*")
    )
    return libraries[-1].name.removeprefix("rabbit-") if libraries else "unknown"
