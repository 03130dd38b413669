"""The gateway: nginx with one small configuration, filled in from `deploy/local/gateway.conf`.

It leads to the services, and serves the handbook from files that are written when it is started.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from string import Template

from bailiwick_local import handbook
from bailiwick_local.places import CHECKOUT, Places
from bailiwick_local.processes import Process, Runner, StackError
from bailiwick_local.routes import ROUTES
from bailiwick_local.servers import Server, containers, install, kept_port, knock

_TEMPLATE = CHECKOUT / "deploy" / "local" / "gateway.conf"
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
_PROBLEMS = {
    "malformed": (
        400,
        "malformed",
        "Malformed request",
        "Send valid HTTP, with headers of 16 KB at most.",
    ),
    "missing": (
        404,
        "not-found",
        "Not found",
        "Check the address: there is nothing here that you may see.",
    ),
    "method": (
        405,
        "method-not-allowed",
        "Method not allowed",
        "Use a method that the documentation names.",
    ),
    "large": (413, "body-too-large", "Body too large", "Send at most 1 MiB; split what is larger."),
    "long": (414, "address-too-long", "Address too long", "Send an address of 16 KB at most."),
    "unavailable": (
        503,
        "unavailable",
        "Unavailable",
        "Try again in a second, Idempotency-Key unchanged.",
    ),
}
"""nginx's own errors as RFC 9457 problems: location → status, code, title, what to do."""


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


def native(places: Places, ports: Mapping[str, int]) -> Server:
    """Run nginx on loopback, in front of the services at these ports."""
    port, folder = kept_port(places, "gateway"), places.folder("gateway")
    program = install.nginx()
    arguments = ("-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf"))
    if program:
        told = _told(program)
        version = re.search(r"nginx/([\d.]+)", told)
        text = configuration(folder, port, ports, told)
        written = {
            "BAILIWICK_CONFIGURATION": hashlib.sha256(text.encode()).hexdigest(),
            "BAILIWICK_HANDBOOK": handbook.digest(),
        }
        runner: Runner = Process("gateway", places, (program, *arguments), written, rank=3)
        name = version.group(1) if version else "unknown"
    elif containers.answers():
        told, name = "", containers.IMAGES["gateway"]
        user = f"--user={places.account.uid}:{places.account.gid}"
        options = ("--network=host", f"--volume={folder}:{folder}", user)
        runner = containers.Container("gateway", places, options, ("nginx", *arguments))
    else:
        raise StackError("nginx is not installed")
    origin = f"http://127.0.0.1:{port}"
    return Server(
        "gateway",
        origin,
        name,
        runner,
        lambda: knock.http_status(origin, "/") != 0,
        partial(_configure, places, port, ports, told),
        patience=15,
    )


def configuration(folder: Path, port: int, ports: Mapping[str, int], told: str = "") -> str:
    """Give nginx's configuration; `told` is what `nginx -V` says, for what was left out of it."""
    modules = [m for m in ("fastcgi", "uwsgi", "scgi") if f"--without-http_{m}_module" not in told]
    routes = [
        f"        location ~ {route.pattern} {{\n"
        "            if ($is_ambiguous) {\n"
        "                return 404;\n"
        "            }\n"
        f"            proxy_pass http://127.0.0.1:{ports[route.service]};\n"
        "        }"
        for route in ROUTES
    ]
    headers = [
        f"        proxy_set_header {name} $http_{name.lower().replace('-', '_')};"
        for name in _FORWARDED
    ]
    return _Filled(_TEMPLATE.read_text()).substitute(
        folder=folder,
        port=port,
        unused_paths="\n".join(f'    {m}_temp_path "{folder}/{m}";' for m in modules),
        headers="\n".join(headers),
        routes="\n".join(routes),
        handbook="\n".join(_static(leaf) for leaf in handbook.leaves()),
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


def _problem(name: str) -> str:
    status, code, title, detail = _PROBLEMS[name]
    document = json.dumps(
        {
            "type": f"urn:bailiwick:problem:{code}",
            "title": title,
            "status": status,
            "detail": detail,
            "code": code,
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
        *(["            add_header Retry-After 1 always;"] if status == unavailable else []),
        f"            return {status} '{document}';",
        "        }",
    ]
    return "\n".join(lines)


def _told(program: str) -> str:
    return subprocess.run([program, "-V"], capture_output=True, text=True, check=False).stderr


def _configure(places: Places, port: int, ports: Mapping[str, int], told: str) -> None:
    folder = places.folder("gateway")
    places.write(folder / "nginx.conf", configuration(folder, port, ports, told))
    for leaf in handbook.leaves():
        path = Path(f"{folder}/handbook{leaf.file}")
        places.folder(str(path.parent.relative_to(places.data)))
        with places.opened(path, os.O_WRONLY | os.O_TRUNC) as file:
            file.write(leaf.content)
