"""Which tables belong to no organization: the exceptions to D4, and alone without row-level security."""

from __future__ import annotations

from collections import defaultdict

_BUS = frozenset({"outbox", "inbox"})

WITHOUT_ORGANIZATION: defaultdict[str, frozenset[str]] = defaultdict(lambda: _BUS)
"""Service → its tables of that sort; kit's outbox and inbox, which only the worker reads, are in all."""

# identity hears nobody and has no inbox. A person signs in before an organization is known.
WITHOUT_ORGANIZATION["identity"] = frozenset(
    {"outbox", "accounts", "sessions", "refresh_tokens", "sign_in_attempts"}
)

# reports and notifier tell nobody anything and have no outbox.
WITHOUT_ORGANIZATION["reports"] = frozenset({"inbox"})
WITHOUT_ORGANIZATION["notifier"] = frozenset({"inbox"})
