"""Installs the servers that are missing, and Node.js for tests: Debian's packages, and OPA with Go.

The standard library alone, because the script runs this beside pip: `python -m … ensure`.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from bailiwick_local.places import locked, tools
from bailiwick_local.processes import StackError, found
from bailiwick_local.servers import opa, postgres, rabbitmq

PACKAGES = {
    "postgres": "postgresql",
    "rabbitmq": "rabbitmq-server",
    "gateway": "nginx-light",
    "node": "npm",  # which brings nodejs
}
EVERYTHING = ("postgres", "rabbitmq", "gateway", "opa")
"""What the stack needs; `node` is asked for by the tests that want a validator of its world."""
_POLICY = Path("/usr/sbin/policy-rc.d")
_FORBID_DAEMONS = (
    "#!/bin/sh\n# While Bailiwick installs packages: their daemons stay off.\nexit 101\n"
)
_STILL_THERE = 15.0

Report = Callable[[str], None]


def nginx() -> str | None:
    """Give the reverse proxy's program."""
    return found("nginx") or found("nginx", "/usr/sbin", "/usr/local/sbin")


def node() -> str | None:
    """Give the program of Node.js, if its package manager is there too."""
    return found("node") if found("npm") else None


def missing(names: Iterable[str]) -> list[str]:
    """Give those servers of which this machine has no program."""
    programs = {
        "postgres": postgres.program,
        "rabbitmq": rabbitmq.program,
        "gateway": nginx,
        "opa": opa.program,
        "node": node,
    }
    return [name for name in names if programs[name]() is None]


def commands(names: Iterable[str]) -> list[str]:
    """Give the commands that would install these servers, for people to read or run."""
    wanted = list(names)
    packages = [PACKAGES[name] for name in wanted if name in PACKAGES]
    lines = []
    if packages:
        install = f"apt-get install --no-install-recommends {' '.join(packages)}"
        lines.append(f"sudo apt-get update && sudo {install}")
    if "opa" in wanted:
        lines.append(f"go install github.com/open-policy-agent/opa@v{opa.VERSION}")
    return lines


def ensure(names: Iterable[str], report: Report) -> None:
    """Install what is missing of these; Debian's packages and OPA at the same time.

    Raises:
        StackError: something is missing that cannot be installed here; with the commands that would.

    """
    wanted = list(names)
    if not missing(wanted):
        return
    with locked(tools() / "install.lock"):
        absent = missing(wanted)
        jobs: list[Callable[[], None]] = []
        packages = [PACKAGES[name] for name in absent if name in PACKAGES]
        if packages:
            jobs.append(lambda: _packages(packages, report))
        if "opa" in absent:
            jobs.append(lambda: _opa(report))
        with ThreadPoolExecutor() as pool:
            failures = [job.exception() for job in [pool.submit(job) for job in jobs]]
    if still := missing(wanted):
        reasons = "".join(f"{failure}\n" for failure in failures if failure)
        lines = "\n".join(f"  {line}" for line in commands(still))
        raise StackError(f"{reasons}Missing here: {', '.join(still)}. Install with:\n{lines}")


def _packages(packages: list[str], report: Report) -> None:
    become = _root_prefix()
    if not shutil.which("apt-get") or become is None:
        raise StackError("Packages can be installed by root or with passwordless sudo, on Debian.")
    with _daemons_kept_off(become), _progress(f"installing {', '.join(packages)}", report):
        apt = [*become, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
        _run([*apt, "update"])
        _run([*apt, "install", "-y", "--no-install-recommends", *packages])


def _opa(report: Report) -> None:
    go = found("go", "/usr/local/go/bin")
    if go is None:
        raise StackError(
            f"OPA is built with Go, which is not here; or put an opa {opa.VERSION} on PATH."
        )
    with _progress("building OPA with Go (about a minute, once)", report):
        package = f"github.com/open-policy-agent/opa@v{opa.VERSION}"
        _run([go, "install", package], GOBIN=str(tools()), CGO_ENABLED="0")
        (tools() / "opa").chmod(0o755)


def _run(command: list[str], **environment: str) -> None:
    done = subprocess.run(
        command,
        env=dict(os.environ) | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        end = "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])
        raise StackError(f"`{shlex.join(command)}` failed:\n{end}")


def _root_prefix() -> list[str] | None:
    if os.geteuid() == 0:
        return []
    if not shutil.which("sudo"):
        return None
    may = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False)
    return ["sudo", "-n"] if may.returncode == 0 else None


@contextmanager
def _daemons_kept_off(become: list[str]) -> Iterator[None]:
    """Keep the packages from starting their daemons: we run servers of our own."""
    if _POLICY.exists():
        yield
        return
    write = ["sh", "-c", 'printf "%s" "$1" > "$0" && chmod 755 "$0"', str(_POLICY), _FORBID_DAEMONS]
    _run([*become, *write])
    try:
        yield
    finally:
        _run([*become, "rm", "-f", str(_POLICY)])


@contextmanager
def _progress(what: str, report: Report) -> Iterator[None]:
    """Say what is going on, and every now and then that it still is."""
    began, over = time.monotonic(), threading.Event()

    def tell() -> None:
        while not over.wait(_STILL_THERE):
            report(f"still {what} ({time.monotonic() - began:.0f} s)")

    report(what)
    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
    report(f"done {what} ({time.monotonic() - began:.0f} s)")


if __name__ == "__main__":
    try:
        ensure(EVERYTHING, lambda line: print(f"  {line}", flush=True))
    except StackError as failure:
        sys.exit(str(failure))
