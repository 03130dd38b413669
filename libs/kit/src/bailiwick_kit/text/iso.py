"""Codes of ISO as they are sent: countries (3166-1 alpha-2), their parts (3166-2), currencies (4217)."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Annotated

import pycountry
from babel.numbers import list_currencies
from pydantic import AfterValidator

from bailiwick_kit.text.strings import TextRule

CURRENCIES = frozenset(one.alpha_3 for one in pycountry.currencies)
"""What can be paid with today."""
_EVER = CURRENCIES | list_currencies()
_COUNTRIES = frozenset({"XK", *(one.alpha_2 for one in pycountry.countries)})
"""Kosovo has no code of its own; XK, which ISO 3166 leaves to its users, is what the EU and banks write."""
_SUBDIVISIONS = frozenset(one.code for one in pycountry.subdivisions)


def _known(value: str, codes: AbstractSet[str], message: str) -> str:
    # Only ASCII has one upper case: that of "ß" is "SS", which is South Sudan.
    if value.isascii() and value.upper() in codes:
        return value.upper()
    raise ValueError(message)


def _country(value: str) -> str:
    return _known(value, _COUNTRIES, "Send a country as ISO 3166-1 alpha-2: ES")


def _country_or_none(value: str) -> str:
    if value == "none":
        return value
    return _known(value, _COUNTRIES, "Send a country as ISO 3166-1 alpha-2: ES, or none")


def _subdivision(value: str) -> str:
    return _known(value, _SUBDIVISIONS, "Send a subdivision as ISO 3166-2: ES-MD")


def _currency(value: str) -> str:
    return _one_of(CURRENCIES, value.strip())


def _currency_ever(value: str) -> str:
    return _one_of(_EVER, value.strip())


def _one_of(currencies: AbstractSet[str], value: str) -> str:
    if value not in currencies:
        msg = "Send a currency as ISO 4217: EUR"
        raise ValueError(msg)
    return value


Country = Annotated[str, TextRule(max_length=2), AfterValidator(_country)]
"""A country, kept in upper case."""

CountryOrNone = Annotated[str, TextRule(max_length=4), AfterValidator(_country_or_none)]
"""A country to filter by, or `none`: without one."""

Subdivision = Annotated[str, TextRule(max_length=6), AfterValidator(_subdivision)]
"""A part of a country, kept in upper case."""

Currency = Annotated[str, AfterValidator(_currency)]
"""A currency of today, sent in upper case."""

CurrencyEver = Annotated[str, AfterValidator(_currency_ever)]
"""A currency of today or of the past (DEM, HRK), sent in upper case: history is as it was."""
