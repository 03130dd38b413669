"""What notifier hears of customers: whose portfolio each is in."""

from __future__ import annotations

from functools import partial

from bailiwick_access.replica_consumer import keeping

from_customers = partial(keeping, "notifier")
"""Keeps the replica of assignments."""
