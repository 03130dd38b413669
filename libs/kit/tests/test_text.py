"""Text from outside is one clean line, or refused."""

from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter, ValidationError

from bailiwick_kit.text.strings import MultilineText, Text, TextRule, clean

text = TypeAdapter(Text)
lines = TypeAdapter(MultilineText)


def test_text_is_stripped_and_composed() -> None:
    assert text.validate_python("  Jose\u0301 ") == "José"


def test_names_in_any_language_pass() -> None:
    for name in ("O'Brien & Søn", "株式会社", "Ñandú", "د. أحمد", "👩‍👩‍👧", "a\u200db"):
        assert text.validate_python(name) == name


@pytest.mark.parametrize(
    "bad",
    [
        "a\x00b",
        "a\rb",
        "a\nb",
        "a\x1b[31m",
        "a\x85b",
        "a\u2028b",
        "a\ud800b",
        "a\u202eb",
        "a\u2066b",
        "",
        " \u3000 ",
    ],
)
def test_what_cannot_be_kept_is_refused(bad: str) -> None:
    with pytest.raises(ValidationError):
        text.validate_python(bad)


def test_several_lines_keep_newlines_and_tabs_only() -> None:
    assert lines.validate_python("a\r\n\tb") == "a\n\tb"
    for bad in ("a\rb", "a\x0bb", "a\x00"):
        with pytest.raises(ValidationError):
            lines.validate_python(bad)


def test_length_counts_after_cleaning() -> None:
    short = TypeAdapter(Annotated[str, TextRule(max_length=3)])
    assert short.validate_python("  abc  ") == "abc"
    for bad in ("abcd", "a" * 1_000_000):
        with pytest.raises(ValidationError):
            short.validate_python(bad)
    with pytest.raises(ValidationError):
        TypeAdapter(Annotated[Text, Field(max_length=5)]).validate_python("abcdef")


@given(st.text(alphabet=st.characters(codec=None)))
def test_clean_text_is_a_fixed_point_that_utf8_can_hold(value: str) -> None:
    try:
        cleaned = clean(value)
    except ValueError:
        return
    assert clean(cleaned) == cleaned
    assert b"\x00" not in cleaned.encode()
