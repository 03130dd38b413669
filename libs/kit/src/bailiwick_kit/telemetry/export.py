"""Sends spans to an OTLP endpoint where one is set; without one, the SDK is never loaded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import structlog

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_log = structlog.get_logger(__name__)


@contextmanager
def exported(service: str) -> Iterator[None]:
    """Send the spans of a service to the OTLP endpoint in the environment; without one, make none.

    Whatever is wrong with the endpoint or what listens there, the service runs as without it.
    """
    is_off = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if is_off or not any(os.environ.get(name) for name in _ENDPOINTS):
        yield
        return
    with ExitStack() as exporting:
        try:
            from bailiwick_kit.telemetry import tracing  # noqa: PLC0415 - the SDK, which is not loaded for nothing

            exporting.enter_context(tracing.exporting(service))
        except Exception as error:  # noqa: BLE001 - a setting that is wrong must not keep it from running
            _log.error("tracing.off", error=type(error).__name__)
        yield
