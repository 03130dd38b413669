"""Requests that come twice: recognized before anything is decided, judged when it is their turn.

A repetition is no new act. It is answered as a read would be now (D23), so whether its caller might do it
once more is not asked. What is wrong with a key or its body waits until 403 and 404 had their turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from starlette.exceptions import HTTPException

from bailiwick_access.requests import Act
from bailiwick_access.write_responses import Repeated
from bailiwick_kit.errors import Refusal
from bailiwick_kit.web.idempotency import Claim, Replay


class KnowsKeys(Protocol):
    """A unit of work that keeps keys."""

    async def earlier(self, claim: Claim | None) -> Replay | None:
        """Return what the same request did before; keeps a second one out until this one ends."""
        ...


@dataclass(frozen=True)
class Claimed:
    """What came of claiming an act's key."""

    _claim: Claim | None = None
    repeated: Repeated | None = None
    _refusal: Refusal | HTTPException | None = None

    def claim(self) -> Claim | None:
        """Return what is to be remembered with the effect; None where no key was sent.

        Raises:
            KeyInFlight: another request holds the key.
            KeyReused: it was used with another body.
            Invalid, Malformed, HTTPException: the key is not one, or the body cannot be read.
        """
        if self._refusal is not None:
            raise self._refusal
        return self._claim


async def claimed(unit: KnowsKeys, act: Act | None) -> Claimed:
    """Claim the act's key for the open transaction, whatever becomes of the act."""
    try:
        claim = act.claim() if act else None
        earlier = await unit.earlier(claim)
    except (Refusal, HTTPException) as refusal:
        return Claimed(_refusal=refusal)
    return Claimed(claim, Repeated(earlier.entity_id) if earlier else None)
