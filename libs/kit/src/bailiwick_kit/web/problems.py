"""Every error as one problem document (RFC 9457), rendered here and nowhere else.

A missing record, an unknown path and a record out of the caller's sight have one and the same body.
No stack trace, statement or submitted value ever leaves in an answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from bailiwick_kit.errors import Invalid, Kind, Malformed, Missing, Refusal, Unavailable
from bailiwick_kit.telemetry.trace import trace_id_of
from bailiwick_kit.transient_errors import OUTAGES, is_outage
from bailiwick_kit.web.validation import faults_of


class TooLarge(HTTPException):
    """413: a body that costs more than the operation takes; the detail says how much that is."""

    def __init__(self, detail: str) -> None:
        super().__init__(413, detail)


MEDIA_TYPE = "application/problem+json"
STATUS: Mapping[Kind, int] = {
    Kind.MALFORMED: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.MISSING: 404,
    Kind.CONFLICT: 409,
    Kind.PRECONDITION_FAILED: 412,
    Kind.INVALID: 422,
    Kind.PRECONDITION_REQUIRED: 428,
    Kind.TOO_MANY: 429,
    Kind.UNAVAILABLE: 503,
}
_DETAIL: Mapping[Kind, str] = {
    Kind.MALFORMED: "Check how the request is written.",
    Kind.UNAUTHENTICATED: "Send a valid access token: Authorization: Bearer <token>.",
    Kind.FORBIDDEN: "Ask a manager of your organization if you need this.",
    Kind.MISSING: "Check the address and the id.",
    Kind.CONFLICT: "Read the record again; its state does not allow this now.",
    Kind.PRECONDITION_FAILED: "Read the record again and repeat the change with its new ETag.",
    Kind.INVALID: "Correct what `errors` names and send it again.",
    Kind.PRECONDITION_REQUIRED: "Send If-Match with the ETag of the record you have read.",
    Kind.TOO_MANY: "Wait for the seconds in Retry-After and send it again.",
    Kind.UNAVAILABLE: "Nothing was done. Send it again after the seconds in Retry-After.",
}
# The standard library's own words for these change with Python's version; a contract does not.
_PHRASES: Mapping[int, str] = {413: "Content Too Large", 422: "Unprocessable Content"}
# After a deadline or a lost connection the commit may or may not have happened (F8).
_UNKNOWN = "Send it again after the seconds in Retry-After, a POST with the same Idempotency-Key."
_WRONG_USE: Mapping[int, tuple[str, str, str]] = {
    405: ("method-not-allowed", "Method not allowed", "Use a method that the header Allow names."),
    413: ("body-too-large", "Body too large", "Send at most 1 MiB; split what is larger."),
    415: (
        "unsupported-media-type",
        "Unsupported media type",
        "Send Content-Type: application/json, without Content-Encoding.",
    ),
}
"""Status → code, title, what to do; the same codes as the gateway's."""
_log = structlog.get_logger(__name__)


class ProblemFault(BaseModel):
    """One thing that is wrong with what was sent."""

    where: str = Field(description="The field: lines[0].quantity. Empty: the whole body.")
    code: str
    message: str = Field(description="What to do, for people")


class Problem(BaseModel):
    """A problem document (RFC 9457). Some problems have further members, named by their code."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"additionalProperties": True})

    type: str = Field(description="urn:bailiwick:problem:<code>")
    title: str
    status: int
    detail: str = Field(description="What to do, for people")
    code: str = Field(description="For programs: stable")
    trace_id: str
    reasons: list[str] | None = Field(default=None, description="Policy reasons, first = code")
    errors: list[ProblemFault] | None = None


CODES: Mapping[int, Sequence[str]] = {
    400: ("malformed",),
    401: ("unauthenticated", "token-invalid"),
    403: ("capability-missing", "custom-ceiling", "membership-expired", "account-inactive"),
    404: ("not-found",),
    412: ("stale",),
    413: ("body-too-large",),
    415: ("unsupported-media-type",),
    422: ("invalid",),
    428: ("precondition-required",),
    500: ("internal",),
    503: ("unavailable", "policy-unavailable", "position-not-reached", "membership-not-here-yet"),
}
"""Status → the codes that any operation may give with it."""


def problems(
    *declared: int | type[Refusal], because: Sequence[str] = ()
) -> dict[int | str, dict[str, Any]]:
    """Declare the errors of a route: `responses=problems(401, 403, 404, OrderStateForbids)`.

    A status stands for what any operation may give with it; `because` are policy's reasons besides, for 403.
    """
    codes: dict[int, dict[str, None]] = {}
    for one in declared:
        status = one if isinstance(one, int) else STATUS[one.kind]
        named = CODES.get(status, ()) if isinstance(one, int) else (one.code,)
        codes.setdefault(status, {}).update(dict.fromkeys(named))
    if because:
        codes.setdefault(403, {}).update(dict.fromkeys(because))
    return {status: _declared(status, list(named)) for status, named in codes.items()}


def _declared(status: int, codes: Sequence[str]) -> dict[str, Any]:
    return {
        "description": _phrase(status) + (f": {', '.join(codes)}" if codes else ""),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        "x-codes": list(codes),
    }


def _phrase(status: int) -> str:
    return _PHRASES.get(status) or HTTPStatus(status).phrase


def _document(status: int, code: str, title: str, detail: str, trace_id: str) -> dict[str, Any]:
    return {
        "type": f"urn:bailiwick:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "trace_id": trace_id,
    }


def _response(document: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    return Response(
        to_json(document), document["status"], headers=dict(headers), media_type=MEDIA_TYPE
    )


def _refused(refusal: Refusal, trace_id: str) -> Response:
    status = STATUS[refusal.kind]
    if refusal.kind is Kind.MISSING:  # whatever was raised: one body for all that is not there
        refusal = Missing()
    code = refusal.reasons[0] if refusal.reasons else refusal.code
    detail = refusal.detail or _DETAIL[refusal.kind]
    document = dict(refusal.facts) | _document(status, code, refusal.title, detail, trace_id)
    if refusal.reasons:
        document["reasons"] = list(refusal.reasons)
    if refusal.faults:
        document["errors"] = list(refusal.faults)
    headers = {}
    if refusal.kind is Kind.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
    if refusal.etag:
        headers["ETag"] = refusal.etag
    return _response(document, headers)


def _wrong_use(error: HTTPException, trace_id: str) -> Response:
    match error.status_code:
        case 400:
            return _refused(Malformed(), trace_id)
        case 404:
            return _refused(Missing(), trace_id)
        case 503:
            return _refused(Unavailable(retry_after=1), trace_id)
        case status:
            phrase = _phrase(status)
            unnamed = (f"http-{status}", phrase, "Check how the request is written.")
            code, title, detail = _WRONG_USE.get(status, unnamed)
            if isinstance(error, TooLarge):
                detail = error.detail
            document = _document(status, code, title, detail, trace_id)
            return _response(document, error.headers or {})


def _invalid(error: RequestValidationError) -> Refusal:
    found = error.errors()
    if any(one["type"] == "json_invalid" for one in found):
        return Malformed("Send valid JSON.")
    if any(one["loc"][0] == "path" for one in found):
        return Missing()  # an id that cannot exist does not exist
    return Invalid(faults=faults_of(found, drop=1))


def answer_to(error: Exception, trace_id: str) -> Response:
    """Return the problem document for anything that can be raised.

    What no one foresaw is 500 `internal`, logged with its stack and the trace id. A database, broker
    or network that does not answer is 503 `unavailable` (F7), never 500.
    """
    match error:
        case Refusal():
            return _refused(error, trace_id)
        case RequestValidationError():
            return _refused(_invalid(error), trace_id)
        case HTTPException():
            return _wrong_use(error, trace_id)
        case ClientDisconnect():
            return _refused(Malformed("The body ended early."), trace_id)
        case _ if is_outage(error):
            _log.warning("dependency.unavailable", error=type(error).__name__, trace_id=trace_id)
            return _refused(Unavailable(_UNKNOWN, retry_after=1), trace_id)
        case _:
            _log.error("request.failed", exc_info=error, trace_id=trace_id)
            detail = "Report the trace_id if it happens again."
            return _response(
                _document(500, "internal", "Something went wrong here", detail, trace_id), {}
            )


async def _handle(request: Request, error: Exception) -> Response:
    return answer_to(error, trace_id_of(request.scope))


def install(app: FastAPI) -> None:
    """Let the application answer every foreseen error with its problem document."""
    foreseen = (Refusal, RequestValidationError, HTTPException, ClientDisconnect, *OUTAGES)
    for kind in foreseen:
        app.add_exception_handler(kind, _handle)
