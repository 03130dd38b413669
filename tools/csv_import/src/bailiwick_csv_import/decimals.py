"""Decimals as files write them: with another mark than a point, and with thousands set apart."""

from __future__ import annotations

import re

from bailiwick_csv_import.faults import FieldError

SEPARATORS = {",", ".", " ", "\u00a0", "\u2009", "\u202f", "'", "\u2019"}
"""What sets thousands apart somewhere. Comma and point are decimal marks elsewhere; the others never are."""
_GROUPED = re.compile(
    # Groups of three, or as in India: two digits each, and three in the last.
    r"(?P<sign>[+-]?)(?P<whole>\d{1,3}(?P<by>[^\d+-])\d{3}(?:(?P=by)\d{3})*"
    r"|\d{1,2}(?P<pair>[^\d+-])(?:\d\d(?P=pair))+\d{3})(?:(?P<mark>[.,])(?P<decimals>\d+))?",
    re.ASCII,
)


def decimal(text: str, mark: str, thousands: str | None) -> str:
    """Return a decimal as services take it, with a point and nothing else.

    Without a separator in the mapping, thousands are taken where there is no doubt: `1,234.56`, `1,234,567`,
    `1 234`. What is no number at all is returned as it stands, for the service to refuse.

    Raises:
        FieldError: it can be read in two ways, or not as the mapping says.
    """
    grouped = _GROUPED.fullmatch(text)
    if grouped is None or grouped["mark"] not in {None, mark}:
        return _plain(text, mark)
    by = grouped["by"] or grouped["pair"]
    if by == mark or by not in SEPARATORS:
        return _plain(text, mark)
    if thousands is None:
        is_in_doubt = by in ".," and grouped["mark"] is None and grouped["whole"].count(by) == 1
        if is_in_doubt:
            raise FieldError(
                f"{text!r} can be read in two ways; name its decimal_mark, or its thousands_separator, in the"
                " mapping"
            )
    elif by != thousands and not (by.isspace() and thousands.isspace()):
        raise FieldError(
            f"{text!r} has {by!r}, and the mapping says {thousands!r} between thousands"
        )
    whole = grouped["whole"].replace(by, "")
    decimals = f".{grouped['decimals']}" if grouped["decimals"] else ""
    return f"{grouped['sign']}{whole}{decimals}".removeprefix("+")


def _plain(text: str, mark: str) -> str:
    if mark == ".":
        return text
    if "." in text:
        raise FieldError(f"{text!r} has a point, and the mapping says {mark!r}")
    return text.replace(mark, ".")
