"""Sign in: with email and password, or as a service account with its secret (RFC 6749 §4.3, §4.4)."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from bailiwick_identity.domain import password
from bailiwick_identity.domain.account import Account, Issued, Membership, secret_digest
from bailiwick_identity.domain.errors import (
    ClientInvalid,
    GrantInvalid,
    RequestNotUsable,
    TooBusy,
)
from bailiwick_identity.domain.member import OPERATOR, Kind, Status
from bailiwick_identity.domain.session import LIFETIME, Session
from bailiwick_identity.rules.throttle import Source, Throttle
from bailiwick_identity.store.passwords import ArgonPasswords
from bailiwick_identity.store.sign_ins import StoredSignIns
from bailiwick_identity.store.signing_keys import SigningKeys


@dataclass(frozen=True)
class Credentials:
    """What somebody signs in with. `email` None: what was given is no address, so nobody's."""

    email: str | None
    password: str
    org_id: UUID | None
    source: Source


async def sign_in(
    sign_ins: StoredSignIns,
    passwords: ArgonPasswords,
    tokens: SigningKeys,
    throttle: Throttle,
    given: Credentials,
    now: datetime,
) -> Issued:
    """Begin a session as one of the account's memberships.

    Raises:
        TooManyAttempts: from here, or for this account from here.
        TooBusy: too many sign in at this moment; who comes from a device that we know waits instead.
        GrantInvalid: not this user with this password; or no membership of theirs is open.
        RequestNotUsable: they have several, and named none.
    """
    if passwords.is_busy and given.source.device is None:
        busy = TooBusy("Send it again after the seconds in Retry-After.")
        busy.retry_after = 1
        raise busy
    attempt = await throttle.attempt(given.email, given.source, now)
    account = await sign_ins.account(given.email or "")
    await _check_password(sign_ins, passwords, account, given.password)
    if (
        account is None or given.email is None
    ):  # the check has refused already; this is for the type checker
        raise GrantInvalid
    await throttle.forgive(attempt)
    memberships = await sign_ins.memberships(account.account_id)
    membership = chosen(memberships, given.org_id, now)
    session = Session(
        session_id=uuid7(),
        account_id=account.account_id,
        org_id=membership.org_id,
        member_id=membership.member_id,
        began_at=now,
        expires_at=now + LIFETIME,
    )
    refresh_token = secrets.token_urlsafe(32)
    await sign_ins.begin(session, secret_digest(refresh_token))
    access_token, expires_in = tokens.access(membership, session_id=session.session_id, now=now)
    return Issued(access_token, expires_in, refresh_token, tokens.device_token(given.email, now))


async def _check_password(
    sign_ins: StoredSignIns, passwords: ArgonPasswords, account: Account | None, sent: str
) -> None:
    """Let in who knows the password; nobody's account takes the same time and gets the same answer."""
    secret = password.normalized(sent)
    is_long = len(secret.encode("utf-8", "surrogatepass")) > password.MOST_BYTES
    known = account.password_hash if account and not is_long else None
    correct, stronger = await passwords.verify("" if is_long else secret, known)
    if not correct or account is None:
        raise GrantInvalid("Check user name and password.")
    if stronger is not None:
        await sign_ins.rehash(account.account_id, stronger)


def chosen(memberships: Sequence[Membership], org_id: UUID | None, now: datetime) -> Membership:
    """Return the membership to sign in as.

    One that is active goes before any invitation: else whoever invites somebody would have a say in how
    they sign in. What is not open counts only where nothing else is there, for the reason it gives.

    Raises:
        GrantInvalid: there is none, or none that is open.
        RequestNotUsable: there are several, and `org_id` names none; they are listed.
    """
    named = [one for one in memberships if org_id is None or one.org_id == org_id]
    usable = [one for one in named if one.closed_because(now) is None]
    active = [one for one in usable if one.status is Status.ACTIVE]
    candidates = active or usable
    match candidates:
        case [only]:
            return only
        case []:
            raise _closed(named, now)
        case _:
            listed = [{"org_id": str(one.org_id), "name": one.organization} for one in candidates]
            raise RequestNotUsable("Name one of these as org_id.", organizations=listed)


def _closed(memberships: Sequence[Membership], now: datetime) -> GrantInvalid:
    if not memberships:
        return GrantInvalid("You are a member of no such organization.")
    reason = memberships[-1].closed_because(now)
    return GrantInvalid("Ask a manager of your organization.", reason=reason)


async def sign_in_service(
    sign_ins: StoredSignIns, tokens: SigningKeys, client_id: str, client_secret: str, now: datetime
) -> Issued:
    """Give a service account a token; its id is its membership's (D2).

    Raises:
        ClientInvalid: there is no such account, its secret is another, or it is not active.
    """
    try:
        member_id = UUID(client_id)
    except ValueError:
        raise ClientInvalid from None
    found = [one for one in await sign_ins.memberships(member_id) if one.kind is Kind.SERVICE]
    # Nobody's id takes the same steps as somebody's. 256 random bits need no throttle (ADR 21).
    kept = await sign_ins.service_secret(found[0].org_id if found else OPERATOR, member_id)
    is_right = hmac.compare_digest(kept or bytes(32), secret_digest(client_secret))
    if not found or kept is None or not is_right:
        raise ClientInvalid
    if reason := found[0].closed_because(now):
        raise ClientInvalid("This service account is not active.", reason=reason)
    access_token, expires_in = tokens.access(found[0], session_id=None, now=now)
    return Issued(access_token, expires_in)
