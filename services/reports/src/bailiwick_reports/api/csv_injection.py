"""Text that no spreadsheet takes for a formula (OWASP: CSV injection). Pure."""

from __future__ import annotations

import re
import unicodedata

_SIGNS = frozenset("=+-@")
_QUOTES = frozenset("\"'`´‘’“”„«»‹›")
_MINUS = "\u2212"
# Where a program takes another separator than the comma, a cell may begin in the middle of ours.
_CELL_BEGINS = re.compile(r"(?:\A|(?<=[;|\t\r\n]))", re.ASCII)
_HARMLESS = re.compile(r"[^\W_][^;|\t\r\n]*", re.ASCII)


def harmless(text: str) -> str:
    """Return the text with an apostrophe before whatever a spreadsheet could take for a formula.

    That is a beginning with = + - @, in whatever width, behind spaces, quotes and what cannot be seen,
    and one with a tab or a line's end; also behind a separator, which elsewhere begins a new cell.
    """
    if not text or _HARMLESS.fullmatch(text):
        return text
    return _CELL_BEGINS.sub(lambda found: "'" if _is_risky(text, found.end()) else "", text)


def _is_risky(text: str, start: int) -> bool:
    if text[start : start + 1] in {"\t", "\r", "\n"}:
        return True
    for place in range(start, len(text)):
        character = text[place]
        if not _is_passed_over(character):
            return character == _MINUS or unicodedata.normalize("NFKC", character)[:1] in _SIGNS
    return False


def _is_passed_over(character: str) -> bool:
    """Tell what may stand before a sign without taking its effect away."""
    category = unicodedata.category(character)
    return character in _QUOTES or character.isspace() or category in {"Cc", "Cf", "Mn"}
