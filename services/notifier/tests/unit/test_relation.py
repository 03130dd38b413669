"""How a member stands to a customer, and what a header may hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bailiwick_access.relation import relation_facts
from bailiwick_kit.clock import END_OF_TIME
from bailiwick_notifier.domain.letter import one_line
from bailiwick_notifier.domain.relation import Stretch

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("stretches", "main", "additional", "state"),
    [
        ([], False, False, "none"),
        ([Stretch("main", NOW, END_OF_TIME)], True, False, "current"),
        ([Stretch("main", NOW - DAY, NOW)], False, False, "ended"),
        ([Stretch("main", NOW + DAY, END_OF_TIME)], False, False, "future"),
        ([Stretch("main", NOW, NOW)], False, False, "none"),  # cancelled before it began
        (
            [Stretch("main", NOW - DAY, NOW), Stretch("additional", NOW, NOW + DAY)],
            False,
            True,
            "current",
        ),
        (
            [Stretch("main", NOW - DAY, NOW), Stretch("main", NOW + DAY, END_OF_TIME)],
            False,
            False,
            "ended",
        ),
    ],
)
def test_facts_hold_half_open(
    stretches: list[Stretch], main: bool, additional: bool, state: str
) -> None:
    assert relation_facts(stretches, NOW) == {
        "main": main,
        "additional": additional,
        "cover": False,
        "relation_state": state,
    }


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Librería Sol", "Librería Sol"),
        ("a\r\nBcc: b", "a Bcc: b"),
        ("\u2028a\u2029\x00\x85b\ud800 ", "a b"),
        ("a\u202eb", "a b"),
        ("寿司 🍣", "寿司 🍣"),
        ("\n", ""),
    ],
)
def test_a_line_is_one_line(text: str, line: str) -> None:
    assert one_line(text) == line
