"""The gateway: nginx before the services, from the files that `gateway_files` makes for every place."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from functools import partial

from bailiwick_gateway import files as gateway_files
from bailiwick_launcher.data_folder import DataFolder
from bailiwick_launcher.processes import Process, Runner, StackError
from bailiwick_launcher.servers import Server, daemon, docker_runner, install, kept_port, probes


def native(places: DataFolder, ports: Mapping[str, int]) -> Server:
    """Run nginx on loopback, in front of the services at these ports."""
    port, folder = kept_port(places, "gateway"), places.folder("gateway")
    origin, files = f"http://127.0.0.1:{port}", gateway_files.files()
    arguments = ("/bin/sh", str(folder / "start"))
    environment = {
        "BAILIWICK_LISTEN": f"127.0.0.1:{port}",
        "BAILIWICK_ISSUER": origin,
        **{f"BAILIWICK_{name.upper()}_UPSTREAM": f"127.0.0.1:{at}" for name, at in ports.items()},
        "TMPDIR": str(folder),
        "BAILIWICK_CODE": gateway_files.digest(),
    }
    if program := install.nginx():
        version = re.search(r"nginx/([\d.]+)", _told(program))
        name = version.group(1) if version else "unknown"
        with_program = {"NGINX": program, **environment}
        runner: Runner = Process("gateway", places, arguments, with_program, rank=3)
    elif daemon.may_be_used():
        name = docker_runner.IMAGES["gateway"]
        runner = docker_runner.Container(
            "gateway",
            places,
            arguments,
            volumes={str(folder): (str(folder), "rw")},
            environment=environment,
            options={"network": "host", "user": f"{places.account.uid}:{places.account.gid}"},
        )
    else:
        raise StackError("nginx is not installed")
    return Server(
        "gateway",
        origin,
        name,
        runner,
        lambda: probes.http_status(origin, "/") != 0,
        partial(_write, places, files),
        patience=15,
    )


def _told(program: str) -> str:
    return subprocess.run([program, "-V"], capture_output=True, text=True, check=False).stderr


def _write(places: DataFolder, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = places.folder("gateway") / name
        places.folder(str(path.parent.relative_to(places.data)))
        with places.opened(path, os.O_WRONLY | os.O_TRUNC) as file:
            file.write(content)
