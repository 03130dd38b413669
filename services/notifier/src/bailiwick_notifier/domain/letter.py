"""What a person reads: words only, before they are a mail."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

_NO_TEXT = frozenset({"Cc", "Cs", "Zl", "Zp"})
_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True)
class Addressee:
    """Whom a letter is to, and what it depends on besides the orders."""

    name: str | None
    language: str
    time_zone: str
    """The organization's."""
    organization_name: str
    public_url: str | None
    """Where people open an order; absent: the letter carries no link."""


@dataclass(frozen=True)
class Letter:
    """A rendered letter: one line of subject, the same words as plain text and as HTML."""

    subject: str
    text: str
    html: str


def one_line(text: str | None) -> str:
    """Return what a header may hold (T13): one line, without what would end it or turn it around."""
    kept = (
        " "
        if unicodedata.category(character) in _NO_TEXT or character in _DIRECTIONS
        else character
        for character in text or ""
    )
    return " ".join("".join(kept).split())
