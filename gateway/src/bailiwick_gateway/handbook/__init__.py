"""What people read at the gateway, below `/docs/`: an index, the API explorer, the events.

Made out of `contracts/` when the gateway is started, and served as files; whatever a page needs comes
from the gateway itself, so that they work where there is no network (ADR 10). The explorer is Swagger UI,
whose files lie in the Python package fastapi-offline; the pages themselves are our own.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from bailiwick_gateway.handbook.events import told_by
from bailiwick_gateway.routes import SERVICES

CONTRACTS = Path(__file__).resolve().parents[4] / "contracts"
_OURS = Path(__file__).with_name("assets")
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Leaf:
    """One file: the path at which the gateway serves it, and what is in it."""

    path: str
    content: bytes

    @property
    def file(self) -> str:
        """Give its name below the folder that the gateway reads."""
        return f"{self.path}index.html" if self.path.endswith("/") else self.path

    @property
    def media_type(self) -> str:
        """Give its type, by what its name ends in."""
        return _TYPES[Path(self.file).suffix]

    @property
    def is_asset(self) -> bool:
        """Say whether pages name it together with its digest, so that it may be kept for ever."""
        return self.path.startswith("/docs/assets/")


@cache
def leaves() -> tuple[Leaf, ...]:
    """Return every file of the handbook.

    Raises:
        ModuleNotFoundError: the explorer's files are not installed.
    """
    assets = {leaf.path.rpartition("/")[2]: leaf for leaf in _assets()}
    documents = tuple(_documents())
    return (*_pages(assets), *documents, *assets.values())


def _assets() -> Iterator[Leaf]:
    for path in sorted(_OURS.iterdir()):
        yield Leaf(f"/docs/assets/{path.name}", path.read_bytes())
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        yield Leaf(f"/docs/assets/{name}", (_explorer() / name).read_bytes())


def _explorer() -> Path:
    """Give the folder in which fastapi-offline keeps the files of Swagger UI; none of its code is run."""
    package = importlib.util.find_spec("fastapi_offline")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("fastapi-offline, which has the API explorer's files")
    return Path(package.origin).with_name("static")


def _documents() -> Iterator[Leaf]:
    for service in SERVICES:
        path = CONTRACTS / "openapi" / f"{service}.json"
        yield Leaf(f"/docs/openapi/{service}.json", path.read_bytes())
    yield Leaf("/docs/asyncapi.json", (CONTRACTS / "asyncapi.json").read_bytes())


def _pages(assets: dict[str, Leaf]) -> Iterator[Leaf]:
    environment = Environment(
        loader=PackageLoader("bailiwick_gateway.handbook"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "asset": lambda name: f"/docs/assets/{name}?{_short(assets[name])}",
        "apis": [(service, _info(service)) for service in SERVICES],
        "shown": _shown,
    }
    events = json.loads((CONTRACTS / "asyncapi.json").read_text("utf-8"))
    told = {
        "chapters": told_by(events),
        "about": events["info"]["description"].split("\n\n"),
        "subscriber": events["channels"]["subscriber"]["address"]
        .replace("{org_id}", "‹organization›")
        .replace("{name}", "erp"),
        "example": (CONTRACTS / "examples" / "tally.py").read_text("utf-8"),
    }
    for name, path in (("index", "/docs/"), ("api", "/docs/api/"), ("events", "/docs/events/")):
        yield Leaf(path, environment.get_template(f"{name}.html").render(told).encode())


def _info(service: str) -> dict[str, Any]:
    document = json.loads((CONTRACTS / "openapi" / f"{service}.json").read_text("utf-8"))
    info: dict[str, Any] = document["info"]
    return info


def _shown(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _short(leaf: Leaf) -> str:
    return hashlib.sha256(leaf.content).hexdigest()[:12]
