"""Where the files lie that are made, and of which services."""

from __future__ import annotations

from pathlib import Path

from bailiwick_contracts.catalogue import PUBLISHED

CHECKOUT = Path(__file__).resolve().parents[4]
SERVICES = tuple(PUBLISHED)
"""In the direction of events: each listens to those before it."""
