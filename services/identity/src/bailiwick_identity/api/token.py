"""The token endpoint (RFC 6749, D2), signing out (RFC 7009), and the public keys (RFC 7517)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import parse_qsl, unquote_plus
from uuid import UUID

from fastapi import APIRouter, Request, Response

from bailiwick_identity.actions.refresh_session import end_session, refresh_session
from bailiwick_identity.actions.sign_in import Credentials, sign_in, sign_in_service
from bailiwick_identity.api import schemas
from bailiwick_identity.api.dependencies import IdentityApp, Running
from bailiwick_identity.domain.account import Issued
from bailiwick_identity.domain.errors import (
    ClientInvalid,
    GrantInvalid,
    GrantTypeUnknown,
    RequestNotUsable,
    TooBusy,
    TooManyAttempts,
)
from bailiwick_identity.rules.throttle import Source
from bailiwick_kit.telemetry.trace import trace_id_of
from bailiwick_kit.text.strings import clean
from bailiwick_kit.web.problems import answer_to, problems

router = APIRouter(tags=["sign-in"])

MOST_BYTES = 16 * 1024
_MOST_FIELDS = 20
_FORM = "application/x-www-form-urlencoded"
_TOKEN_FORM = {
    "type": "object",
    "required": ["grant_type"],
    "properties": {
        "grant_type": {"enum": ["password", "refresh_token", "client_credentials"]},
        "username": {"type": "string", "description": "The email, for password"},
        "password": {"type": "string", "format": "password"},
        "org_id": {
            "type": "string",
            "format": "uuid",
            "description": "Which organization, for who is a member of several",
        },
        "device_token": {
            "type": "string",
            "description": "From the last sign-in on this device, for password:"
            " others' failed tries then do not count against this one",
        },
        "refresh_token": {"type": "string"},
        "client_id": {"type": "string", "description": "A service account's id; or HTTP Basic"},
        "client_secret": {"type": "string", "format": "password"},
    },
}
_REVOCATION_FORM = {
    "type": "object",
    "required": ["token"],
    "properties": {"token": {"type": "string", "description": "The refresh token"}},
}


def _form_body(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {_FORM: {"schema": schema}}}}


@router.post(
    "/v1/auth/token",
    operation_id="issue_token",
    response_model=schemas.TokenBody,
    response_model_exclude_none=True,
    responses=problems(
        RequestNotUsable, GrantTypeUnknown, GrantInvalid, ClientInvalid, TooManyAttempts, TooBusy
    ),
    openapi_extra=_form_body(_TOKEN_FORM),
)
async def post_token(request: Request, app: Running) -> Any:
    """Sign in, go on with a session, or get a token for a service account.

    Form-encoded. Errors carry RFC 6749's `error` and `error_description` beside the problem's members.
    """
    try:
        issued = await _issued(request, app)
    except ClientInvalid as refusal:
        # RFC 6749 §5.2: the scheme that clients sign in with, not the one that tokens are sent with.
        answer = answer_to(refusal, trace_id_of(request.scope))
        answer.headers["WWW-Authenticate"] = 'Basic realm="bailiwick"'
        return answer
    return schemas.TokenBody(**vars(issued))


async def _issued(request: Request, app: IdentityApp) -> Issued:
    form = await _form(request)
    now = app.entrance.clock.now()
    match form.get("grant_type"):
        case "password":
            email = _email(_needed(form, "username"))
            device_token = form.get("device_token", "")
            device = app.keys.device(email, device_token, now) if email else None
            given = Credentials(
                email=email,
                password=_needed(form, "password"),
                org_id=_org_id(form),
                source=_source(request, device),
            )
            return await sign_in(app.sign_ins, app.passwords, app.keys, app.throttle, given, now)
        case "refresh_token":
            token = _needed(form, "refresh_token")
            return await refresh_session(app.sign_ins, app.keys, token, now)
        case "client_credentials":
            client_id, secret = _client(request, form)
            return await sign_in_service(app.sign_ins, app.keys, client_id, secret, now)
        case None:
            raise RequestNotUsable("Send grant_type.")
        case _:
            raise GrantTypeUnknown


@router.post(
    "/v1/auth/revoke",
    operation_id="revoke_token",
    response_class=Response,  # it has no body
    responses=problems(RequestNotUsable),
    openapi_extra=_form_body(_REVOCATION_FORM),
)
async def post_revocation(request: Request, app: Running) -> Response:
    """Sign out: end the session of a refresh token. Any other token is answered the same."""
    form = await _form(request)
    await end_session(app.sign_ins, _needed(form, "token"), app.entrance.clock.now())
    return Response(status_code=200)


@router.get("/.well-known/jwks.json", operation_id="read_keys")
async def read_keys(response: Response, app: Running) -> dict[str, Any]:
    """Give the public keys that access tokens are verified with."""
    response.headers["Cache-Control"] = "public, max-age=600"
    return app.keys.published()


async def _form(request: Request) -> Mapping[str, str]:
    """Read a form: small, UTF-8, nothing twice; what is empty counts as left out (RFC 6749 §3.2).

    Raises:
        RequestNotUsable: it is none.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _FORM or request.headers.get("content-encoding", "identity") != "identity":
        raise RequestNotUsable(f"Send Content-Type: {_FORM}.")
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MOST_BYTES:
            raise RequestNotUsable(f"Send at most {MOST_BYTES} bytes.")
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise RequestNotUsable("Send a form in UTF-8, percent-encoded.") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise RequestNotUsable("Send each field once.")
    return {name: value for name, value in form.items() if value}


def _needed(form: Mapping[str, str], name: str) -> str:
    try:
        return form[name]
    except KeyError:
        raise RequestNotUsable(f"Send {name}.") from None


def _email(username: str) -> str | None:
    try:
        return schemas.normalized_email(clean(username))
    except ValueError:
        return None


def _org_id(form: Mapping[str, str]) -> UUID | None:
    try:
        return UUID(form["org_id"]) if "org_id" in form else None
    except ValueError:
        raise RequestNotUsable("Send org_id as it was given to you.") from None


def _client(request: Request, form: Mapping[str, str]) -> tuple[str, str]:
    """Return client id and secret: from HTTP Basic, else from the form, never from both."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if not scheme:
        if "client_id" not in form or "client_secret" not in form:
            raise ClientInvalid
        return form["client_id"], form["client_secret"]
    if "client_secret" in form:
        raise RequestNotUsable("Send the client's secret in one place only.")
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise ClientInvalid from None
    client_id, colon, secret = decoded.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise ClientInvalid
    return unquote_plus(client_id), unquote_plus(secret)


def _source(request: Request, device: bytes | None) -> Source:
    """Return where a request comes from, as failed sign-ins are counted.

    Of IPv6 a home has a /64 at least, and whoever rents addresses a /48: 65,536 of those.

    The gateway writes X-Forwarded-For itself and lets none of a client's through; nothing but the
    gateway and the siblings reaches this service.
    """
    forwarded = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    for text in (forwarded, request.client.host if request.client else ""):
        try:
            address = ip_address(text)
        except ValueError:
            continue
        if isinstance(address, IPv6Address):
            home, network = (str(ip_network((address, bits), strict=False)) for bits in (64, 48))
            return Source(home, network, device)
        return Source(str(address), str(address), device)
    return Source("unknown", "unknown", device)
