"""What a person reads: words only, before they are a mail."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Letter:
    """A rendered letter: one line of subject, the same words as plain text and as HTML."""

    subject: str
    text: str
    html: str


def one_line(text: str) -> str:
    """Return the text as one line, printable throughout: what a header may hold (L13)."""
    printable = "".join(one if one.isprintable() else " " for one in text)
    return " ".join(printable.split())
