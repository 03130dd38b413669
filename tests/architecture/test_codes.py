"""Every code by which a comment or a page cites a rule (V5, T3, S22) is defined in docs/."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from bailiwick_testkit.checkout import files, read

DEFINING = (Path("docs/domain.md"), Path("docs/reliability.md"))
FIXTURE = frozenset("CNO")
"""C1, O1 and N1 are customers, orders and notices of examples."""
TEXT = frozenset({".md", ".py", ".rego", ".sql", ".yaml", ".conf"})
_CODE = re.compile(r"(?<![\w\-.%/:+`\"'])([A-Z])(\d{1,2})(?![\w\-%])")
_ROW = re.compile(r"^\| ([A-Z]\d+(?:[–, ]+[A-Z]\d+)*) \|", re.MULTILINE)


def defined() -> set[str]:
    """Return the codes that begin a row of a table, ranges (F1–F3) written out."""
    found: set[str] = set()
    for page in DEFINING:
        for cell in _ROW.findall(read(page)):
            for part in cell.split(","):
                first, _, last = part.strip().partition("–")
                numbers = range(int(first[1:]), int((last or first)[1:]) + 1)
                found |= {f"{first[0]}{number}" for number in numbers}
    return found


def _said(file: Path, text: str) -> Iterator[str]:
    """Yield what is said in a file: comments and docstrings of code, all of a page."""
    if file.suffix == ".md":
        yield text
    elif file.suffix == ".py":
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            is_docstring = token.type == tokenize.STRING and token.string.startswith('"""')
            if token.type == tokenize.COMMENT or is_docstring:
                yield token.string.strip('"')
    elif file.suffix in TEXT:
        yield from re.findall(r"^\s*(?:#|--) .*$", text, re.MULTILINE)


def texts() -> Iterator[tuple[Path, str]]:
    """Yield the files in which something may be said."""
    yield from ((file, read(file)) for file in files() if file.suffix in TEXT)


def cited(file: Path, text: str) -> set[str]:
    """Return the codes that a file cites."""
    found = {
        letter + number for said in _said(file, text) for letter, number in _CODE.findall(said)
    }
    return {code for code in found if code[0] not in FIXTURE}


def test_every_cited_code_is_defined() -> None:
    known = defined()
    lost = {
        str(file): sorted(unknown)
        for file, text in texts()
        if (unknown := cited(file, text) - known)
    }
    assert not lost, f"define them in {DEFINING[0]} or {DEFINING[1]}, or say it in words: {lost}"


def test_no_code_is_defined_for_nobody() -> None:
    known = {code for code in defined() if code[0] not in "VLD"}  # those are whole lists
    used = {code for file, text in texts() if file not in DEFINING for code in cited(file, text)}
    assert {code[0] for code in known - used} <= {"T", "F"}, sorted(known - used)


def test_a_code_that_nobody_knows_is_found() -> None:
    text = '"""As it must be (V5, Q7)."""\nX = "A1"  # see B2, not utf-8 or UTF8\n'
    assert cited(Path("a.py"), text) == {"V5", "Q7", "B2"}
    assert cited(Path("a.md"), "It is said in G4, not in `A5` nor P-256.") == {"G4"}
