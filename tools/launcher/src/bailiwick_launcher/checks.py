"""The gate: format, lint, types, import rules, policy, contracts. All of them run, whatever fails."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bailiwick_launcher.data_folder import CHECKOUT
from bailiwick_launcher.servers import install, opa

Report = Callable[[str], None]
_TESTS_OF_THE_WHOLE = (
    "deploy/helm/tests",
    "tests/architecture",
    "tests/contract",
    "tests/e2e",
    "tests/bench",
)


@dataclass(frozen=True)
class Check:
    """One line of the gate: a name and the command that says yes by its exit code."""

    name: str
    command: tuple[str, ...]
    remedy: str = ""
    """What usually mends it."""


def checks() -> Iterator[Check]:
    """Give every check, in the order in which they run."""
    python, tools = sys.executable, Path(sys.executable).parent
    ruff, mypy = str(tools / "ruff"), str(tools / "mypy")
    yield Check("format", (ruff, "format", "--check", "."), "ruff format .")
    yield Check("lint", (ruff, "check", "--output-format=concise", "."), "ruff check --fix .")
    for member in _members():
        yield Check(f"types {' '.join(member)}", (mypy, "--no-error-summary", *member))
    yield Check("imports", (str(tools / "lint-imports"), "--no-cache"))
    yield Check("policy", ("bash", "policy/gate"))
    generate = (python, "-m", "bailiwick_contracts.generate", "--check")
    yield Check("contracts", generate, "./bailiwick contracts")
    documents = (python, "-m", "bailiwick_docs.openapi", "--check")
    yield Check("openapi", documents, "./bailiwick contracts")
    reference = (python, "-m", "bailiwick_docs.pages", "--check")
    yield Check("reference", reference, "./bailiwick contracts")
    chart = (python, "-m", "bailiwick_policy.chart", "--check")
    yield Check("chart", chart, "./bailiwick contracts")


def _members() -> Iterator[tuple[str, ...]]:
    """Give the folders that mypy reads together: one run over everything meets two conftests."""
    roots = sorted(project.parent for project in CHECKOUT.glob("*/pyproject.toml"))
    roots += sorted(project.parent for project in CHECKOUT.glob("*/*/pyproject.toml"))
    for root in roots:
        folders = [root / "src", root / "tests"]
        found = [str(f.relative_to(CHECKOUT)) for f in folders if any(f.rglob("*.py"))]
        if found:
            yield tuple(found)
    for folder in _TESTS_OF_THE_WHOLE:
        if any((CHECKOUT / folder).rglob("*.py")):
            yield (folder,)


def run(report: Report) -> bool:
    """Run every check, print a line for each, and say whether all of them passed."""
    install.ensure(["opa"], report)
    folder = str(Path(opa.program() or "opa").parent)
    environment = dict(os.environ) | {"PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"}
    failed = 0
    for check in checks():
        began = time.monotonic()
        done = subprocess.run(
            check.command,
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        word = "FAILED" if done.returncode else "ok"
        report(f"{word:<7} {check.name:<40} {time.monotonic() - began:5.1f} s")
        if done.returncode:
            failed += 1
            report((done.stdout + done.stderr).rstrip())
            if check.remedy:
                report(f"        try: {check.remedy}")
    report(f"{failed} of the checks failed" if failed else "all checks passed")
    return not failed
