"""PostgreSQL: a cluster of our own, durable unless a test says otherwise."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlsplit

from bailiwick_launcher.data_folder import DataFolder
from bailiwick_launcher.processes import Process, StackError, found
from bailiwick_launcher.servers import Elsewhere, Server, kept_port, probes

VARIABLE = "BAILIWICK_POSTGRES_URL"
SUPERUSER = "postgres"
_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")
_SETTINGS = (
    "max_connections=200",
    "timezone=UTC",
    "log_checkpoints=off",
    "log_error_verbosity=terse",  # DETAIL shows whole rows, and with them people
)
_NOT_DURABLE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


def program() -> str | None:
    """Give the newest server program of this machine."""
    beside = found("postgres", *_FOLDERS)
    if beside:
        return beside
    initdb = found("initdb")
    server = Path(os.path.realpath(initdb)).with_name("postgres") if initdb else None
    return str(server) if server and server.exists() else None


def given(url: str) -> Server:
    """Use the server that a superuser's DSN names."""
    parts = urlsplit(url)
    is_ready = partial(probes.postgres, parts.hostname or "127.0.0.1", parts.port or 5432)
    return Server("postgres", url, "given", Elsewhere(VARIABLE), is_ready)


def settings(*, durable: bool) -> tuple[str, ...]:
    """Give what it is told wherever it runs; where it is not durable, a crash loses what it has."""
    return _SETTINGS if durable else _SETTINGS + _NOT_DURABLE


def native(places: DataFolder, *, durable: bool = True) -> Server:
    """Run a cluster below the data folder, on loopback, with a password for the superuser."""
    server = program()
    if server is None:
        raise StackError("PostgreSQL is not installed")
    port, folder = kept_port(places, "postgres"), places.folder("postgres") / "data"
    listening = ("listen_addresses=127.0.0.1", f"port={port}", "unix_socket_directories=")
    arguments = [server, "-D", str(folder)]
    for setting in (*listening, *settings(durable=durable)):
        arguments += ["-c", setting]
    # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for every client to leave.
    process = Process("postgres", places, tuple(arguments), stop_signal=signal.SIGINT)
    return Server(
        "postgres",
        dsn(places.kept.secret("postgres"), port),
        _version(server),
        process,
        partial(probes.postgres, "127.0.0.1", port),
        partial(_initialise, places, folder, Path(server).with_name("initdb"), durable=durable),
        folder=folder,
    )


def dsn(password: str, port: int) -> str:
    """Give the superuser's DSN on this machine."""
    return f"postgresql://{SUPERUSER}:{quote(password)}@127.0.0.1:{port}/postgres"


def _version(server: str) -> str:
    answer = subprocess.run([server, "--version"], capture_output=True, text=True, check=True)
    numbers = re.search(r"[\d.]+", answer.stdout)
    return numbers.group() if numbers else answer.stdout.strip()


def _initialise(places: DataFolder, folder: Path, initdb: Path, *, durable: bool) -> None:
    if (folder / "PG_VERSION").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    password = places.write(folder.with_name("password"), places.kept.secret("postgres"))
    made = subprocess.run(
        [
            str(initdb),
            *("-D", str(folder), "--username", SUPERUSER, "--pwfile", str(password)),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8"),
            *(() if durable else ("--no-sync",)),
        ],
        cwd=folder.parent,
        env={"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", "TZ": "UTC"},
        capture_output=True,
        text=True,
        check=False,
        **places.account.switch(),
    )
    password.unlink()
    if made.returncode:
        raise StackError(f"initdb failed:\n{made.stderr.strip()}")
