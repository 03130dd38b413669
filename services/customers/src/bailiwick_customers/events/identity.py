"""What customers hears of identity: who the members are, and how their organizations work."""

from __future__ import annotations

from functools import partial

from bailiwick_access.replica_consumer import keeping

from_identity = partial(keeping, "customers")
"""Keeps the replica of identity."""
