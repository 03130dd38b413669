"""Secrets that a test has planted or come by, and the search for them in whatever was written (S22).

A secret is looked for as it is and as it would travel or be logged: in base64 at any offset, as in HTTP
Basic and SMTP's AUTH PLAIN, percent-encoded, in hexadecimal, escaped for JSON, Python or HTML, and cut in
half. What is found is told by kind, form and place; the secret itself is never printed.
"""

from __future__ import annotations

import base64
import html
import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus

_SHORTEST_HALF = 12
"""Half of a secret counts as one from this many characters on; less would be found by chance."""


@dataclass(frozen=True)
class Canary:
    """Something that must not be found: what kind of thing it is, and what it looks like."""

    kind: str
    value: str | bytes = field(repr=False)

    def forms(self) -> Mapping[bytes, str]:
        """Return every way in which it might be written, with the name of that way.

        Where bytes have a line's end among them, not as they are: lines are what is searched.
        """
        known = _of_text(self.value) if isinstance(self.value, str) else _of_bytes(self.value)
        return {form: name for name, form in known if b"\n" not in form}


@dataclass(frozen=True, order=True)
class Hit:
    """Something was found where it should not be; `place` is a path below what was searched."""

    kind: str
    form: str
    place: str


def search(folder: Path, canaries: Iterable[Canary], files: Sequence[str] = (".",)) -> list[Hit]:
    """Return where the canaries are, in any form, in these files and folders below a folder.

    `grep` does the work, because it looks for thousands of words in one pass; it is told them on its
    standard input, where nobody else sees them.
    """
    absent = [one for one in files if not (folder / one).exists()]
    assert not absent, f"there is nothing to search: {absent}"  # noqa: S101
    known = {
        form: (one.kind, name) for one in canaries for form, name in sorted(one.forms().items())
    }
    found = subprocess.run(  # noqa: S603 - our own words
        ["grep", "-raoHFZ", "-f", "-", "--", *files],  # noqa: S607 - the PATH's
        cwd=folder,
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
        input=b"\n".join(known),
        capture_output=True,
        check=False,
    )
    # A file below may go away meanwhile; nothing else may go wrong.
    wrong = [line for line in found.stderr.splitlines() if b"No such file" not in line]
    assert not wrong, b"\n".join(wrong).decode()  # noqa: S101
    return sorted(_hits(found.stdout, known))


def _hits(told: bytes, known: Mapping[bytes, tuple[str, str]]) -> set[Hit]:
    hits = set()
    for line in told.splitlines():
        place, _, form = line.partition(b"\0")
        hits.add(Hit(*known[form], place.decode(errors="replace").removeprefix("./")))
    return hits


def _of_bytes(raw: bytes) -> Iterator[tuple[str, bytes]]:
    for offset in range(3):
        yield "base64", _in_base64(raw, offset)
        yield "base64url", _in_base64(raw, offset).translate(bytes.maketrans(b"+/", b"-_"))
    yield "hexadecimal", raw.hex().encode()
    yield "hexadecimal", raw.hex().upper().encode()
    yield "in clear", raw


def _of_text(value: str) -> Iterator[tuple[str, bytes]]:
    # What is told last counts where two are the same: the plainest name.
    half = len(value) // 2
    if half >= _SHORTEST_HALF:
        yield "its first half", value[:half].encode()
        yield "its second half", value[half:].encode()
    yield "percent-encoded", quote(value, safe="").encode()
    yield "percent-encoded but for /", quote(value).encode()
    yield "of a form", quote_plus(value).encode()
    yield "of HTML", html.escape(value).encode()
    yield "Python's", repr(value)[1:-1].encode()
    for ascii_only in (True, False):
        once = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        yield "JSON in JSON", json.dumps(once, ensure_ascii=ascii_only)[1:-1].encode()
        yield "JSON", once.encode()
    yield from _of_bytes(value.encode())


def _in_base64(raw: bytes, offset: int) -> bytes:
    """Return what of the base64 text depends on `raw` alone, where `offset` bytes stand before it."""
    text = base64.b64encode(b"\0" * offset + raw)
    first, last = -(-offset * 8 // 6), (offset + len(raw)) * 8 // 6
    return text[first:last]
