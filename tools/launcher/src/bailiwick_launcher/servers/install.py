"""Installs the servers that are missing, and what tests ask for: Debian's packages, and what Go builds.

The standard library alone, because the script runs this while pip installs everything else.
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
from functools import partial
from pathlib import Path

from bailiwick_launcher.data_folder import locked, tools
from bailiwick_launcher.processes import StackError, found
from bailiwick_launcher.servers import golang, opa, postgres, rabbitmq

PACKAGES = {
    "postgres": "postgresql",
    "rabbitmq": "rabbitmq-server",
    "gateway": "nginx-light",
    "node": "npm",  # which brings nodejs
}
EVERYTHING = ("postgres", "rabbitmq", "gateway", "opa")
"""What the stack needs; `node` and `helm` are asked for by the tests that want a validator of their world."""
HELM_VERSION = "4.3.1"
_BUILT = {
    "opa": f"github.com/open-policy-agent/opa@v{opa.VERSION}",
    "helm": f"helm.sh/helm/v4/cmd/helm@v{HELM_VERSION}",
}
"""What Go builds."""
_TAKES = {"opa": "one to four minutes on two cores", "helm": "three minutes"}
_LEAN = ("-tags=opa_no_oci", "-gcflags=all=-dwarf=false", "-ldflags=-s -w")
"""Without bundles from OCI registries and without what a debugger reads: a sixth less to compile."""
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


def helm() -> str | None:
    """Give Helm's program, of the major version that the chart is tested with."""
    candidates = [str(tools() / "helm"), found("helm"), str(golang.install_folder() / "helm")]
    for candidate in candidates:
        if candidate and os.access(candidate, os.X_OK):
            ask = [candidate, "version", "--short"]
            told = subprocess.run(ask, capture_output=True, text=True, check=False).stdout
            if told.startswith(f"v{HELM_VERSION.partition('.')[0]}."):
                return candidate
    return None


def missing(names: Iterable[str]) -> list[str]:
    """Give those servers of which this machine has no program."""
    programs = {
        "postgres": postgres.program,
        "rabbitmq": rabbitmq.program,
        "gateway": nginx,
        "opa": opa.program,
        "node": node,
        "helm": helm,
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
    needed = ".".join(str(number) for number in golang.NEEDED)
    return lines + [
        f"go install {_BUILT[name]}  # with Go {needed} or newer"
        for name in wanted
        if name in _BUILT
    ]


def ensure(names: Iterable[str], report: Report) -> None:
    """Install what is missing of these; Debian's packages and what Go builds at the same time.

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
        built = [name for name in absent if name in _BUILT]
        if built:
            jobs.append(partial(_build, built, report))
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


def _build(names: list[str], report: Report) -> None:
    def fetch(command: list[str]) -> None:
        with _progress("fetching Go, for the build only", report):
            _run(command)

    with golang.available(fetch) as go:
        for name in names:
            with _progress(f"building {name} with Go ({_TAKES[name]}, once)", report):
                places = {"GOBIN": str(tools()), "CGO_ENABLED": "0"}
                _run([go.program, "install", *_LEAN, _BUILT[name]], **go.environment, **places)
                (tools() / name).chmod(0o755)


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


def _containers_will_do() -> bool:
    """Say whether Docker will be asked first; what it cannot give is installed later."""
    if os.environ.get("BAILIWICK_SERVERS") == "native" or not found("docker"):
        return False
    asked = subprocess.run(["docker", "info"], capture_output=True, check=False)
    return asked.returncode == 0


if __name__ == "__main__":
    if _containers_will_do():
        sys.exit()
    try:
        ensure(EVERYTHING, lambda line: print(f"  {line}", flush=True))
    except StackError as failure:
        sys.exit(str(failure))
