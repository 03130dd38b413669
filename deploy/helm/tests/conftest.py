"""Helm and OPA as programs, installed where they are missing."""

from __future__ import annotations

import pytest

from bailiwick_launcher.servers import install, opa
from bailiwick_testkit.checks.chart import Chart
from bailiwick_testkit.servers.real import report


@pytest.fixture(scope="session")
def chart() -> Chart:
    """The chart, rendered once for each set of values."""
    install.ensure(["helm"], report)
    program = install.helm()
    assert program
    return Chart(program)


@pytest.fixture(scope="session")
def opa_program() -> str:
    """The policy engine as a program, to ask rules about files."""
    install.ensure(["opa"], report)
    program = opa.program()
    assert program
    return program
