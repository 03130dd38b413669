"""What this process's metrics say, for tests: other tests have counted before."""

from __future__ import annotations

from collections.abc import Callable

from bailiwick_kit.telemetry.metrics import REGISTRY


def figure(name: str, **labels: str) -> float | None:
    """Return what a series says; None where there is none."""
    return REGISTRY.get_sample_value(name, labels)


def rise_of(name: str, **labels: str) -> Callable[[], float]:
    """Return what tells by how much a series has risen since now."""
    before = figure(name, **labels) or 0.0
    return lambda: (figure(name, **labels) or 0.0) - before
