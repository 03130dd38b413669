"""What routes of identity are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from bailiwick_access.context import Listing, ReadContext, WriteContext, application, reads, writes
from bailiwick_identity.rules.throttle import Throttle
from bailiwick_identity.store.passwords import ArgonPasswords
from bailiwick_identity.store.queries import IdentityQueries
from bailiwick_identity.store.sign_ins import StoredSignIns
from bailiwick_identity.store.signing_keys import SigningKeys
from bailiwick_identity.store.unit_of_work import OpenUnit


@dataclass(frozen=True, kw_only=True)
class IdentityApp(Listing):
    """What all requests of identity use."""

    queries: IdentityQueries
    open_unit: OpenUnit
    sign_ins: StoredSignIns
    passwords: ArgonPasswords
    keys: SigningKeys
    throttle: Throttle


Reads: TypeAlias = Annotated[ReadContext[IdentityApp], reads(IdentityApp)]
"""A route's parameter: `context: Reads`."""

Writes: TypeAlias = Annotated[WriteContext[IdentityApp], writes(IdentityApp)]
"""A route's parameter: `context: Writes`."""

Running: TypeAlias = Annotated[IdentityApp, application(IdentityApp)]
"""A route's parameter: `app: Running`; for who is not signed in."""
