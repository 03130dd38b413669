"""What people write in several ways is found by any of them."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bailiwick_kit.text.search import (
    LONGEST,
    MOST_ASKED,
    after,
    asked,
    kept,
    pattern,
    place_of,
    words_of,
)

letters = st.text(max_size=40)


def _stands_alone(accent: str) -> bool:
    return not accent.isspace() and unicodedata.normalize("NFKD", accent)[0] == " "


def finds(query: str, text: str, *, by_digit: bool = False) -> bool:
    """Say whether a query finds a text, as the two ways of asking the database do."""
    words, query_words = tuple(words_of(text, by_digit=by_digit)), asked(query)
    by_range = [any(one <= word < after(one) for word in words) for one in query_words]
    by_pattern = [pattern(one).strip("%") in kept(words) for one in query_words]
    assert by_range == by_pattern
    return bool(query_words) and all(by_range)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("l'atelier", "L’Atelier d’Été"),
        ("latelier", "L’Atelier d’Été"),
        ("ete atelier", "L’Atelier d’Été"),
        ("O’Brien", "O'Brien & Sons"),
        ("OBrien", "O'Brien & Sons"),
        ("o´brien sons", "O'Brien & Sons"),
        ("O'Brien", "OBrien"),
        ("brien", "Oʼʻ`´Brien"),
        ("soeurs", "Sœurs Œuvrard"),
        ("ŒUVRARD", "Soeurs Oeuvrard"),
        ("lodz", "Zielona Łódź"),
        ("tm", "Acme™"),
        ("acme™", "ACMETM"),
        ("acme tm", "Acme™"),
        ("ışık", "IŞIK"),
        ("ISIK", "ışık"),
        ("istanbul", "İSTANBUL"),
        ("smith-jones", "Smith – Jones"),
        ("smith jones", "Smith‑Jones"),
        ("sol papelería", "Papelería\u3000\u200b  Sol"),
        ("papeleria\u200bsol", "Papelería\u00a0Sol"),
        ("papelería", "Pape\u00adlería\ufe0f"),
        ("strasse", "STRAẞE"),
        ("ＳＯＬ", "sol"),
        ("kobenhavn", "KØBENHAVN"),
        ("thorshofn", "Þórshöfn"),
        ("1234", "١٢٣٤"),
        ("acme", "A.C.M.E."),
        ("S.L.", "Sol SL"),
        ("東京", "株式会社東京商店"),
        ("กาแฟ", "ร้านกาแฟ"),
        ("12345678", "ESB12345678"),
        ("b12345678", "B-12.345.678"),
        ("info@sol.example", "INFO@sol.example"),
        ("sol.example", "info@sol.example"),
    ],
)
def test_what_is_written_otherwise_is_found(query: str, text: str) -> None:
    assert finds(query, text)


@pytest.mark.parametrize("query", ["600112233", "+34600112233", "600-11-22-33", "11 22 33"])
def test_a_phone_is_found_with_or_without_its_dialling_code_and_spaces(query: str) -> None:
    assert finds(query, "+34 600 11 22 33", by_digit=True)


@pytest.mark.parametrize(
    ("query", "text"),
    [("sol", "Resol"), ("sol madrid", "Papelería Sol"), ("%", "100%"), ("_", "a_b"), ("…", "…")],
)
def test_what_is_not_there_is_not_found(query: str, text: str) -> None:
    assert not finds(query, text)


@given(letters)
def test_what_is_folded_stays_as_it_is(text: str) -> None:
    words = asked(text)
    assert asked(" ".join(words)) == words
    assert len(words) <= MOST_ASKED
    assert all(0 < len(word) <= LONGEST for word in words)


@given(letters)
def test_case_width_composition_and_accents_do_not_matter(text: str) -> None:
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        changed = unicodedata.normalize(form, text)
        # Unicode makes an accent that stands alone a space with one, which would tell words apart.
        assume("K" not in form or not any(map(_stands_alone, text)))
        assert asked(changed) == asked(text), form
    assert asked(text.casefold()) == asked(text)
    assert asked("".join(f"{one}\u0301" if one.isalpha() else one for one in text)) == asked(text)


@given(st.text(st.characters(categories=("L", "N", "P", "Zs")), max_size=30))
def test_a_text_is_found_by_all_of_itself(text: str) -> None:
    if asked(text):
        assert finds(text, text)


def test_names_are_sorted_as_people_look_for_them() -> None:
    names = [
        "alex",
        "Álvaro",
        "Ana",
        "ana maría",
        "Ｂｅａ",
        "Łucja",
        "lucy",
        "O’Brien",
        "Zack",
        None,
    ]
    for order in (names, names[::-1]):
        assert sorted(order, key=place_of) == names
