"""Passwords: length counts, well-known words do not (S5)."""

from __future__ import annotations

import pytest

from bailiwick_identity.domain.errors import PasswordNotAllowed
from bailiwick_identity.domain.password import MOST_BYTES, checked

WORDS = ("Weingut Müller & Söhne", "Ana Pérez", "ana.perez@weingut.example")


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "una casa azul frente al mar",
        "x7!kQp2#vL9$mZw",
        "8461 9273 5510 2846",
        "日本語のとても長いパスワードです",
        "weingut müller hat schöne trauben im herbst",
        "é" * 10 + "abcdefgh ijkl mnop",
        "trailing and leading spaces  ",
        "long " * 200,
    ],
)
def test_a_long_password_of_ones_own_is_good(password: str) -> None:
    assert checked(password, WORDS) is not None


@pytest.mark.parametrize(
    "password",
    [
        "fourteen chars",
        "aaaaaaaaaaaaaaaaaaaa",
        "abababababababababab",
        "passwordpassword",
        "Password123456789",
        "123456789012345",
        "qwertyuiopqwertyuiop",
        "BailiwickBailiwick1",
        "Weingut-Müller-1",
        "anaperez@weingut.example",
        "ana.perez@weingut",
        "x" * (MOST_BYTES + 1),
        "",
    ],
)
def test_what_everybody_tries_first_is_not(password: str) -> None:
    with pytest.raises(PasswordNotAllowed) as refused:
        checked(password, WORDS)
    assert not password or password not in str(refused.value.faults)


def test_it_is_kept_in_one_form_and_nothing_is_cut_off() -> None:
    assert checked("cafe\u0301 con leche y pan") == "caf\u00e9 con leche y pan"
    assert checked("  spaces stay where they are  ") == "  spaces stay where they are  "
