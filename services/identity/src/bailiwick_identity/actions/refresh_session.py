"""Go on with a session: a refresh token for an access token and the next refresh token (S7, RFC 9700)."""

from __future__ import annotations

import re
from datetime import datetime

import structlog

from bailiwick_identity.domain.account import Issued, secret_digest
from bailiwick_identity.domain.errors import GrantInvalid
from bailiwick_identity.domain.session import Use
from bailiwick_identity.store.sign_ins import StoredSignIns
from bailiwick_identity.store.signing_keys import SigningKeys

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_SIGN_IN_AGAIN = "Sign in again."
_log = structlog.get_logger(__name__)


async def refresh_session(
    sign_ins: StoredSignIns, tokens: SigningKeys, refresh_token: str, now: datetime
) -> Issued:
    """Use the refresh token: a second time soon it gives the same successor, later it ends the session.

    Raises:
        GrantInvalid: it is none of ours, its session is over, or the membership is not open.
    """
    if not _TOKEN.fullmatch(refresh_token):
        raise GrantInvalid(_SIGN_IN_AGAIN)
    successor = tokens.successor(refresh_token)
    use, session = await sign_ins.rotate(
        secret_digest(refresh_token), secret_digest(successor), now
    )
    if use is Use.REUSED and session is not None:
        _log.warning("session.refresh_token_reused", session_id=str(session.session_id))
    if session is None or use in {Use.OVER, Use.REUSED}:
        raise GrantInvalid(_SIGN_IN_AGAIN)
    for one in await sign_ins.memberships(session.account_id):
        if one.member_id == session.member_id:
            if reason := one.closed_because(now):
                raise GrantInvalid("Ask a manager of your organization.", reason=reason)
            access_token, expires_in = tokens.access(one, session_id=session.session_id, now=now)
            return Issued(access_token, expires_in, successor)
    raise GrantInvalid(_SIGN_IN_AGAIN)


async def end_session(sign_ins: StoredSignIns, refresh_token: str, now: datetime) -> None:
    """Sign out: end the session of a refresh token; one that is none of ours changes nothing (RFC 7009)."""
    if _TOKEN.fullmatch(refresh_token):
        await sign_ins.end(secret_digest(refresh_token), now)
