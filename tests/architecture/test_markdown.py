"""Markdown that fits into a terminal, and decisions that say at once when they no longer hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bailiwick_testkit.checkout import files, read

LONGEST_LINE = 159
PAGES = [file for file in files() if file.suffix == ".md"]
DECISIONS = [file for file in PAGES if file.parent == Path("docs/adr")]


def _long_lines(text: str) -> Iterator[int]:
    is_code = False
    for number, line in enumerate(text.splitlines(), start=1):
        begins = line.lstrip()
        if begins.startswith("```"):
            is_code = not is_code
        # What cannot be broken is let be: a row of a table, a heading, an address or a link alone.
        cannot_break = is_code or begins.startswith(("|", "#"))
        words = re.sub(r"`[^`]+`|\[[^\]]*\]\([^)]*\)", "x", line).split()
        if len(line) > LONGEST_LINE and not cannot_break and len(words) > 3:
            yield number


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_prose_is_broken_into_lines(page: Path) -> None:
    found = list(_long_lines(read(page)))
    assert not found, f"{page}: break the lines {found}, at most {LONGEST_LINE} characters each"


@pytest.mark.parametrize(
    ("text", "is_long"),
    [
        ("word " * 40, True),
        ("- " + "word " * 40, True),
        ("| " + "word " * 40 + "|", False),
        ("```\n" + "word " * 40 + "\n```", False),
        ("```\ncode\n```\n" + "word " * 40, True),
        ("word " * 30, False),
    ],
)
def test_a_line_that_is_too_long_is_found(text: str, is_long: bool) -> None:
    assert bool(list(_long_lines(text))) is is_long


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.name)
def test_a_superseded_decision_says_so_on_top(page: Path) -> None:
    """Whichever decision says that it supersedes this one."""
    number = int(page.name[:4])
    by = [
        other.name
        for other in DECISIONS
        if re.search(rf"supersedes \[?ADR {number}\b", read(other), re.IGNORECASE)
    ]
    top = " ".join(read(page).splitlines()[:4])
    assert not by or "superseded by" in top.lower(), f"{page}: say that {by} supersedes it"
