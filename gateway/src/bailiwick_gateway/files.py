"""What the gateway is made of: its configuration, the program that starts it, and the handbook's files.

The same on one machine, in compose and on Kubernetes: what it lets in is said here, from `nginx.conf` and
`routes`; where it runs is left open, and filled in by `start` from its environment.

python -m bailiwick_gateway.files FOLDER
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template

from bailiwick_gateway import handbook
from bailiwick_gateway.routes import ROUTES, SERVICES

_SOURCES = Path(__file__).resolve().parents[2]
_FORWARDED = (
    "Accept",
    "Accept-Language",
    "Authorization",
    "Bailiwick-After",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Origin",
    "Traceparent",
    "Tracestate",
    "User-Agent",
)


@dataclass(frozen=True)
class _Problem:
    """One of nginx's own errors as a problem document (RFC 9457)."""

    status: int
    code: str
    title: str
    detail: str
    """What to do."""
    answers: tuple[int, ...] = ()
    """What nginx itself would answer; absent: `status`."""


_PROBLEMS = {
    "malformed": _Problem(
        400,
        "malformed",
        "Malformed request",
        "Send valid HTTP, with headers of 16 KB at most.",
        # 411 and 421 are no answers to anything that is configured here; 494 to 497 are nginx's own codes.
        (400, 411, 421, 494, 495, 496, 497),
    ),
    "missing": _Problem(
        404,
        "not-found",
        "Not found",
        "Check the address: there is nothing here that you may see.",
        (403, 404),
    ),
    "method": _Problem(
        405,
        "method-not-allowed",
        "Method not allowed",
        "Use a method that the documentation names.",
    ),
    "slow": _Problem(408, "request-timeout", "Request timeout", "Send the whole request at once."),
    "stale": _Problem(
        412,
        "stale",
        "Precondition failed",
        "Read it again: it is not what the condition names.",
    ),
    "large": _Problem(
        413, "body-too-large", "Body too large", "Send at most 1 MiB; split what is larger."
    ),
    "long": _Problem(
        414, "address-too-long", "Address too long", "Send an address of 16 KB at most."
    ),
    "range": _Problem(
        416, "range-not-satisfiable", "Range not satisfiable", "Ask for the whole, without Range."
    ),
    "unknown": _Problem(
        501,
        "not-implemented",
        "Not implemented",
        "Send the body with Content-Length, or with Transfer-Encoding: chunked and no other.",
    ),
    "version": _Problem(
        505, "http-version-not-supported", "HTTP version not supported", "Send HTTP/1.1."
    ),
    "unavailable": _Problem(
        503,
        "unavailable",
        "Unavailable",
        "Try again in a second, Idempotency-Key unchanged.",
        (500, 502, 503, 504, 507),
    ),
}
"""Every error that nginx makes itself, so that none is HTML: location → problem."""


_OF_STATIC = {
    # Nothing from elsewhere, nothing inline, in nobody's frame. Swagger UI draws with data: images.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""What the handbook's files are served with."""


class _Filled(Template):
    delimiter = "@@"  # `$` and `@` are nginx's own


def files() -> dict[str, bytes]:
    """Give every file of the gateway's folder by its path there; `start` runs it."""
    return {
        "start": (_SOURCES / "start").read_bytes(),
        "nginx.conf.template": configuration().encode(),
        **{f"handbook{leaf.file}": leaf.content for leaf in handbook.leaves()},
    }


def digest() -> str:
    """Give what changes when any of the files does."""
    found = hashlib.sha256()
    for name, content in files().items():
        found.update(f"{name}\0{len(content)}\0".encode() + content)
    return found.hexdigest()


def configuration() -> str:
    """Give nginx's configuration, in which `start` has yet to fill in where it runs."""
    routes = [
        f"        location ~ {route.pattern} {{\n"
        "            if ($is_ambiguous) {\n"
        "                return 404;\n"
        "            }\n"
        f"            proxy_pass http://$to_{route.service};\n"
        "        }"
        for route in ROUTES
    ]
    headers = [
        f"        proxy_set_header {name} $http_{name.lower().replace('-', '_')};"
        for name in _FORWARDED
    ]
    return _Filled((_SOURCES / "nginx.conf").read_text("utf-8")).safe_substitute(
        upstreams="\n".join(f'        set $to_{name} "@@{{{name}}}";' for name in SERVICES),
        headers="\n".join(headers),
        routes="\n".join(routes),
        handbook="\n".join(_static(leaf) for leaf in handbook.leaves()),
        errors="\n".join(_errors()),
        problems="\n".join(_problem(name) for name in _PROBLEMS),
    )


def _static(leaf: handbook.Leaf) -> str:
    """Serve one file at exactly one path: nothing else of the folder can be asked for.

    Not even with a `..` that comes back to it. With the trailing slash of a page nginx would look for
    an index; `try_files` names the file itself.
    """
    keep = "public, max-age=31536000, immutable" if leaf.is_asset else "no-cache"
    headers = {**_OF_STATIC, "Cache-Control": keep}
    lines = [
        f"        location = {leaf.path} {{",
        "            if ($is_ambiguous) {",
        "                return 404;",
        "            }",
        "            types {}",
        f'            default_type "{leaf.media_type}";',
        *(f'            add_header {name} "{value}" always;' for name, value in headers.items()),
        f"            try_files {leaf.file} =404;",
        "        }",
    ]
    return "\n".join(lines)


def _errors() -> Iterator[str]:
    for name, problem in _PROBLEMS.items():
        answers = " ".join(str(status) for status in problem.answers or (problem.status,))
        yield f"        error_page {answers} = /.problem/{name};"


def _problem(name: str) -> str:
    problem = _PROBLEMS[name]
    document = json.dumps(
        {
            "type": f"urn:bailiwick:problem:{problem.code}",
            "title": problem.title,
            "status": problem.status,
            "detail": problem.detail,
            "code": problem.code,
        }
    )
    unavailable = 503
    lines = [
        # Not a named location: those cannot answer a request that has no address yet.
        f"        location = /.problem/{name} {{",
        "            internal;",
        "            default_type application/problem+json;",
        "            add_header Cache-Control no-store always;",
        "            add_header X-Content-Type-Options nosniff always;",
        *(
            ["            add_header Retry-After 1 always;"]
            if problem.status == unavailable
            else []
        ),
        f"            return {problem.status} '{document}';",
        "        }",
    ]
    return "\n".join(lines)


def main() -> None:
    """Write the files below a folder: for the image."""
    folder = Path(sys.argv[1])
    for name, content in files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "start").chmod(0o755)


if __name__ == "__main__":
    main()
