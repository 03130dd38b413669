"""customers as it is: `uvicorn customers_app:create --factory`."""

from __future__ import annotations

from fastapi import FastAPI

from bailiwick_customers import main
from bailiwick_customers.settings import Settings


def create() -> FastAPI:
    """Build the application."""
    return main.application(Settings.load())
