"""What orders hears of customers: who they are, and whose portfolio they are in."""

from __future__ import annotations

from functools import partial

from bailiwick_access.replica_consumer import keeping

from_customers = partial(keeping, "orders")
"""Keeps the replica of customers and fans visibility out."""
