"""The services as processes: the environment each is given, and the interpreter that runs it."""

from __future__ import annotations

import compileall
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bailiwick_launcher.data_folder import CHECKOUT, DataFolder, source_folders
from bailiwick_launcher.databases import DatabaseUrls
from bailiwick_launcher.processes import Process, StackError, found

SERVICES = ("identity", "customers", "orders", "reports", "notifier")
"""In the direction of events: each listens to those before it."""


@dataclass(frozen=True)
class ServiceEnv:
    """What every service is told of the others."""

    policy: Mapping[str, str]
    """Service → the OPA beside it."""
    revision: str
    ports: Mapping[str, int]
    operations: Mapping[str, int]
    """Service → the port for whoever runs it."""
    issuer: str
    """The gateway."""
    smtp: str
    mail_from: str
    door_secret: str
    cursor_secret: str
    signing_keys: Path

    def environment(self, service: str, database: DatabaseUrls, broker: str) -> dict[str, str]:
        """Give a service's settings, as its settings class reads them."""
        settings = {
            "DATABASE_OWNER_URL": database.owner,
            "DATABASE_API_URL": database.api,
            "DATABASE_WORKER_URL": database.worker,
            "BROKER_URL": broker,
            "POLICY_URL": self.policy[service],
            "POLICY_REVISION": self.revision,
            "LISTEN": f"127.0.0.1:{self.ports[service]}",
            "OPERATIONS_LISTEN": f"127.0.0.1:{self.operations[service]}",
            "IDENTITY_URL": f"http://127.0.0.1:{self.ports['identity']}",
            "CUSTOMERS_URL": f"http://127.0.0.1:{self.ports['customers']}",
            "DOOR_SECRET": self.door_secret,
            "CURSOR_SECRET": self.cursor_secret,
            "ISSUER": self.issuer,
        }
        if service == "identity":
            settings["SIGNING_KEYS"] = str(self.signing_keys)
        if service == "notifier":
            settings["SMTP_URL"] = self.smtp
            settings["MAIL_FROM"] = self.mail_from
        return {f"BAILIWICK_{name}": value for name, value in settings.items()}


def code_print() -> str:
    """Give what changes when the code of any member does, so that `up` restarts the services."""
    digest = hashlib.sha256()
    for folder in source_folders():
        for path in sorted(folder.rglob("*.*")):  # templates are code too
            if path.suffix != ".pyc":
                seen = path.stat()
                digest.update(f"{path}{seen.st_mtime_ns}{seen.st_size}".encode())
    return digest.hexdigest()[:12]


def signing_keys_file(places: DataFolder) -> Path:
    """Give where those keys are, once a stack of processes was brought up."""
    return places.data / "identity" / "signing-keys.json"


def signing_keys(places: DataFolder) -> Path:
    """Give the file of identity's private ES256 keys, made at the first asking."""
    from joserfc.jwk import ECKey  # noqa: PLC0415 - it loads cryptography, which nobody else needs

    path = signing_keys_file(places)
    places.folder("identity")
    if not path.exists():
        key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
        places.write(path, json.dumps({"keys": [key.as_dict(private=True)]}))
    return path


@dataclass(frozen=True)
class Interpreter:
    """A Python that the stack's account can run, and where it finds the project."""

    program: str
    paths: tuple[Path, ...]

    def process(self, places: DataFolder, service: str, environment: Mapping[str, str]) -> Process:
        """Give the service's process: API and worker in one, on one machine."""
        arguments = (self.program, "-m", f"bailiwick_{service}", "serve")
        settings = dict(environment) | self.environment()
        return Process(service, places, arguments, settings, rank=2)

    def environment(self) -> dict[str, str]:
        """Give what Python itself has to be told."""
        told = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
        if self.paths:
            told["PYTHONPATH"] = ":".join(str(path) for path in self.paths)
        return told

    def run(
        self,
        places: DataFolder,
        service: str,
        arguments: tuple[str, ...],
        env: Mapping[str, str],
        text: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run one of a service's subcommands to its end, `text` on its standard input."""
        return subprocess.run(
            [self.program, "-m", f"bailiwick_{service}", *arguments],
            cwd=places.folder("."),
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"} | dict(env) | self.environment(),
            input=text,
            capture_output=True,
            text=True,
            check=False,
            **places.account.switch(),
        )


def interpreter(places: DataFolder) -> Interpreter:
    """Find a Python for the services.

    Ours, if the account can reach it. Root's own Python may lie where nobody else can go: then one
    of the system's, of the same minor version, reads our libraries; and where the checkout itself
    is out of reach, from a copy.

    Raises:
        StackError: there is none.

    """
    for folder in source_folders():
        # Whom the services run as cannot write bytecode there, and would compile all of it at every start.
        compileall.compile_dir(folder, quiet=2)
    account, libraries = places.account, Path(sys.prefix) / "lib"
    site = next(libraries.glob("python3*/site-packages"))
    if account.reaches(Path(sys.executable)) and account.reaches(CHECKOUT):
        return Interpreter(sys.executable, ())
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    program = next(
        (path for path in (found(name, "/usr/bin", "/usr/local/bin"), found(name)) if path), None
    )
    real = Path(sys.executable).resolve()
    if account.reaches(real):
        program = str(real)
    if program is None or not account.reaches(Path(program)):
        raise StackError(
            f"The services run as {account.name}, who can reach neither {sys.executable} nor another"
            f" {name}. Install {name} from the system's packages, or set BAILIWICK_USER."
        )
    folders = [site, *source_folders()]
    return Interpreter(program, tuple(_reachable(places, folder) for folder in folders))


def _reachable(places: DataFolder, folder: Path) -> Path:
    """Give the folder, or a copy of it where the account cannot go."""
    if not folder.exists() or places.account.reaches(folder):
        return folder
    copy = places.folder("code") / folder.relative_to(CHECKOUT)
    is_library = folder.name == "site-packages"
    stamp = f"{folder.stat().st_mtime_ns}"
    if is_library and (copy / ".stamp").exists() and (copy / ".stamp").read_text() == stamp:
        return copy
    shutil.rmtree(copy, ignore_errors=True)
    # With its bytecode.
    shutil.copytree(folder, copy, symlinks=True)
    (copy / ".stamp").write_text(stamp)
    for path in [copy.parent, copy, *copy.rglob("*")]:
        path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
    for parent in copy.parents:
        if parent == places.data:
            break
        parent.chmod(0o755)
    return copy
