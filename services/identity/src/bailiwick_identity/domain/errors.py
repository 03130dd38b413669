"""What identity refuses, and why."""

from __future__ import annotations

from typing import ClassVar

from bailiwick_kit.errors import Conflict, Forbidden, Invalid, Kind, Refusal


class CustomCeiling(Invalid):
    """A custom member never gets this, whatever is ticked (L7)."""

    code = "custom-ceiling"
    title = "Custom members are never granted this"


class GrantNotHeld(Forbidden):
    """Nobody grants, or takes away, what they do not hold (domain §3)."""

    code = "grant-not-held"
    title = "You cannot grant what you do not hold"


class LastBrandManager(Conflict):
    """An organization always has an active brand manager whose membership has no end."""

    code = "last-brand-manager"
    title = "This is the last brand manager"


class SeatLimitReached(Conflict):
    """The package gives no more seats (L1)."""

    code = "seat-limit-reached"
    title = "All seats are taken"


class MemberExists(Conflict):
    """One membership per organization and account, for ever: leaving and coming back is the same one."""

    code = "member-exists"
    title = "This person is a member already"


class AlreadyInactive(Conflict):
    """The membership is not active, nor an open invitation."""

    code = "already-inactive"
    title = "The membership is inactive already"


class AlreadyActive(Conflict):
    """Only an inactive membership is reactivated."""

    code = "already-active"
    title = "The membership is not inactive"


class NotInvited(Conflict):
    """The membership is no open invitation: accepted already, withdrawn, or over."""

    code = "invitation-not-open"
    title = "There is no open invitation"


class PasswordNotAllowed(Invalid):
    """The password is too easily guessed, or cannot be kept."""

    code = "password-not-allowed"
    title = "Choose another password"


class GrantRefused(Refusal):
    """The base of what the token endpoint refuses: RFC 6749's `error` and a problem in one body (D2)."""

    error: ClassVar[str]

    def __init__(self, detail: str = "", *, reason: str | None = None, **facts: object) -> None:
        told = {"error": self.error, "error_description": detail or self.title, **facts}
        reasons = (reason,) if reason else ()
        super().__init__(detail or self.title, reasons=reasons, facts=told)


class RequestNotUsable(GrantRefused):
    """The token request lacks something, repeats something, or is no form at all."""

    kind = Kind.MALFORMED
    code = "invalid-request"
    title = "The token request could not be read"
    error = "invalid_request"


class GrantTypeUnknown(GrantRefused):
    """There are three grant types here."""

    kind = Kind.MALFORMED
    code = "unsupported-grant-type"
    title = "Use password, refresh_token or client_credentials"
    error = "unsupported_grant_type"


class GrantInvalid(GrantRefused):
    """User name and password, or the refresh token, are not good; it is never said which of them."""

    kind = Kind.MALFORMED
    code = "invalid-grant"
    title = "Check what you signed in with"
    error = "invalid_grant"


class ClientInvalid(GrantRefused):
    """There is no such service account, or its secret is another."""

    kind = Kind.UNAUTHENTICATED
    code = "invalid-client"
    title = "Check client id and secret"
    error = "invalid_client"


class TooBusy(GrantRefused):
    """More sign in at once than passwords can be checked; nothing was counted."""

    kind = Kind.UNAVAILABLE
    code = "too-busy"
    title = "Too many people sign in right now"
    error = "temporarily_unavailable"


class TooManyAttempts(GrantRefused):
    """Too many failed sign-ins, for this account from here or from here altogether (S4)."""

    kind = Kind.TOO_MANY
    code = "too-many-attempts"
    title = "Too many failed sign-ins"
    error = "temporarily_unavailable"
