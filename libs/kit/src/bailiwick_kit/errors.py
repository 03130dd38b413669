"""Refusals: what every layer may say no with. Pure; knows no HTTP number and no library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from typing_extensions import override


class Kind(StrEnum):
    """What sort of no it is; `kit.web.problems` alone maps it to an HTTP status."""

    MALFORMED = "malformed"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    MISSING = "missing"
    CONFLICT = "conflict"
    PRECONDITION_REQUIRED = "precondition-required"
    PRECONDITION_FAILED = "precondition-failed"
    INVALID = "invalid"
    TOO_MANY = "too-many"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with what was sent, and where: `lines[0].quantity`."""

    where: str
    code: str
    message: str


@dataclass(eq=False)
class Refusal(Exception):  # noqa: N818  # a no is not an error of ours
    """A no that the caller can act on. Subclass it once per refusal, with `code` and `title`.

    `detail` says what to do, in a sentence for people. `reasons` holds policy reason codes, the
    first of which is the problem's code. `facts` are further members of the problem document.
    """

    kind: ClassVar[Kind]
    code: ClassVar[str]
    title: ClassVar[str]

    detail: str = ""
    reasons: Sequence[str] = ()
    faults: Sequence[Fault] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    retry_after: int | None = None
    """Whole seconds after which trying again makes sense; only with kind unavailable or too-many."""
    etag: str = ""
    """The record's present tag; only with kind precondition-failed."""

    @override
    def __str__(self) -> str:
        return self.detail or self.title


class Invalid(Refusal):
    """What was sent has the right shape of a request, but not the right content."""

    kind = Kind.INVALID
    code = "invalid"
    title = "The request has errors"


class Malformed(Refusal):
    """What was sent could not be read at all."""

    kind = Kind.MALFORMED
    code = "malformed"
    title = "The request could not be read"


class Missing(Refusal):
    """There is no such record, or the caller may not know of it; the two are never told apart."""

    kind = Kind.MISSING
    code = "not-found"
    title = "No such record"


class Forbidden(Refusal):
    """The caller may know of the record, but may not do this to it."""

    kind = Kind.FORBIDDEN
    code = "forbidden"
    title = "You may not do this"


class Unauthenticated(Refusal):
    """Nobody we know is calling."""

    kind = Kind.UNAUTHENTICATED
    code = "unauthenticated"
    title = "Sign in first"


class PreconditionRequired(Refusal):
    """A change needs to name the version it changes (RFC 6585)."""

    kind = Kind.PRECONDITION_REQUIRED
    code = "precondition-required"
    title = "Say which version you change"


class Stale(Refusal):
    """The record has changed since the caller read it (RFC 9110)."""

    kind = Kind.PRECONDITION_FAILED
    code = "stale"
    title = "The record has changed since you read it"


class Conflict(Refusal):
    """The state of things does not allow it, for anybody."""

    kind = Kind.CONFLICT
    code = "conflict"
    title = "Not possible now"


class Unavailable(Refusal):
    """A part that is needed does not answer; nothing was done."""

    kind = Kind.UNAVAILABLE
    code = "unavailable"
    title = "Temporarily unavailable"


class PolicyUnavailable(Unavailable):
    """The policy engine did not answer, or not as it should: nothing is allowed or shown."""

    code = "policy-unavailable"
    title = "Permissions cannot be checked right now"
