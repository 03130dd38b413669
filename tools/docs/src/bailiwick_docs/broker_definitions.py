"""deploy/broker/definitions.json: the broker's accounts and what each may do (ADR 26), for who runs one.

deploy/make-secrets puts the passwords' hashes into it.
"""

from __future__ import annotations

import json

from bailiwick_docs.checkout import CHECKOUT
from bailiwick_kit.bus.broker_accounts import accounts, definitions

FILE = CHECKOUT / "deploy" / "broker" / "definitions.json"


def page() -> str:
    """Return the text of the file: `HASH_OF_<account>` is where a password's hash belongs."""
    hashes = {one.name: f"HASH_OF_{one.name}" for one in accounts()}
    return json.dumps(definitions(hashes), indent=2) + "\n"
