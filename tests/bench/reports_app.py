"""reports as it is: `uvicorn reports_app:create --factory`."""

from __future__ import annotations

from fastapi import FastAPI

from bailiwick_reports import main
from bailiwick_reports.settings import Settings


def create() -> FastAPI:
    """Build the application."""
    return main.application(Settings.load())
