"""Every word of every letter, as data: one language is one `Wording`, and none may lack a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Plural:
    """A sentence about one, and one about any other number; both may name `{count}`."""

    one: str
    other: str


@dataclass(frozen=True)
class Wording:
    """What letters say in one language. `{…}` is filled in with text that is already formatted."""

    language: str
    locale: str
    """Whose numbers, amounts and dates are shown."""
    new_order_subject: str
    new_order_title: str
    digest_subject: Plural
    digest_title: Plural
    hello: str
    hello_named: str
    told_of_one: str
    told_of_several: str
    told_of_cancelled: str
    cancelled: str
    cancelled_orders: Plural
    order: str
    placed: str
    placed_by: str
    source: str
    sources: Mapping[str, str]
    note: str
    product: str
    net: str
    total: str
    lines: Plural
    more_lines: Plural
    more_orders: Plural
    discount: str
    at_time: str
    days: str
    open_order: str
    why: str
    colon: str
    """What stands between a word and what it introduces: French has a space before it."""
