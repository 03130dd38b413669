"""Orders are told again to a consumer of ours or to their organization's subscriber, and to nobody else."""

from __future__ import annotations

from uuid import UUID

import pytest
from typer.testing import CliRunner

from bailiwick_kit.process.service import Service
from bailiwick_orders.main import HEARING, program

ORG, OTHER = UUID(int=1), UUID(int=2)


class _Reached(Exception):  # noqa: N818 - no error: the command went on
    pass


def republish(monkeypatch: pytest.MonkeyPatch, to: str) -> bool:
    """Ask for it; tell whether the command went on to its settings."""

    def load(*_: object) -> None:
        raise _Reached

    monkeypatch.setattr(Service, "load", load)
    done = CliRunner().invoke(program, ["republish", "--org", str(ORG), "--to", to])
    assert isinstance(done.exception, _Reached) or done.exit_code == 2
    return isinstance(done.exception, _Reached)


def test_who_hears_snapshots_may_be_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"reports.orders"} == HEARING
    assert republish(monkeypatch, "reports.orders")
    assert republish(monkeypatch, f"subscriber.{ORG}.erp")


@pytest.mark.parametrize(
    "to", [f"subscriber.{OTHER}.erp", "report.orders", "notifier.orders", f"subscriber.{ORG}", ""]
)
def test_nobody_else_is_told(monkeypatch: pytest.MonkeyPatch, to: str) -> None:
    assert not republish(monkeypatch, to)
