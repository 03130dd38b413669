"""What notifier hears of identity: who the members are, where mail finds them, and how organizations work."""

from __future__ import annotations

from functools import partial

from bailiwick_access.replica_consumer import keeping

from_identity = partial(keeping, "notifier")
"""Keeps the replica of identity."""
