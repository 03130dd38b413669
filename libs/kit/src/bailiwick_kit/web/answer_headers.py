"""Headers that an answer tells, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from bailiwick_kit.web.read_your_writes import HEADER

_HEADERS = {
    "ETag": "The version, and a digest of what you are shown of it; for If-Match and If-None-Match",
    "Location": "Where what was created is read",
    HEADER: "Where replicas must get to for this write to show; send it as Bailiwick-After."
    " Absent where a request is repeated",
    "Link": 'The next page, rel="next"; absent on the last one',
}
_PRESENT = {"ETag", "Location"}

ETAG, LOCATION, POSITION, LINK = _HEADERS


def tells(status: int, *headers: str) -> dict[int | str, dict[str, Any]]:
    """Declare the headers of an answer, beside its errors.

        @router.patch(…, responses=problems(404, 412) | tells(200, ETAG))

    What has an ETag and is read may be answered by 304 too: `TAGGED`.
    """
    declared: dict[str, Any] = {"headers": {name: _described(name) for name in headers}}
    if status == 304:  # noqa: PLR2004 - Not Modified
        declared["description"] = "You hold what you would get"
    return {status: declared}


def _described(name: str) -> dict[str, Any]:
    return {
        "description": _HEADERS[name],
        "required": name in _PRESENT,
        "schema": {"type": "string"},
    }


TAGGED = tells(200, ETAG) | tells(304, ETAG)
"""What a read with an ETag answers: `responses=problems(…) | TAGGED`."""
