"""How search compares texts: one folding for all services, and the words that a text is found by (ADR 29).

A text is found by the beginnings of its words. What people write differently meets: case, accents, width,
letters with a stroke, ligatures, kinds of quotes and dashes, spaces however many, what cannot be seen.
Both sides are folded by this file, so that what is stored must be folded anew when it changes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

from bailiwick_kit.text.strings import INVISIBLE

LONGEST = 32
"""Letters of a word that are compared; what comes after them is not looked at."""

_UNSEEN = re.compile(f"[{INVISIBLE}]")

MOST_ASKED = 20
"""Words of a query that are compared; further ones are not looked at."""

_STROKED = re.compile(r"LATIN SMALL LETTER (?:DOTLESS )?([A-Z])(?: WITH .+)?")
_ALONE = {
    "œ": "oe",
    "æ": "ae",
    "ð": "d",
    "þ": "th",
    "ŋ": "n",
    "ĸ": "k",
    "ƿ": "w",
    "ʒ": "z",
    # Apostrophes that count as letters: ʹ ʺ ʻ ʼ ʽ ʾ ʿ ˈ ˊ ˋ and the saltillo.
    **dict.fromkeys("ʹʺʻʼʽʾʿˈˊˋꞌ\u0640", ""),  # and what draws Arabic letters long
}
"""Letters that Unicode does not decompose, and that a keyboard without them writes otherwise."""

# Scripts that write no spaces: a word may begin at each letter. Hangul comes decomposed, so at each syllable.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u1112\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]"
)
_APART = re.compile(r"[\s,;:/|()\[\]{}<>«»]+")
"""What tells the words of a query apart; every other mark is left out, as in O'Brien."""


def asked(text: str) -> tuple[str, ...]:
    """Return the words of a query, each once: all must be found. There are none without a letter or digit."""
    words = ("".join(_runs(part)) for part in _APART.split(_decomposed(text)))
    return tuple(dict.fromkeys(word[:LONGEST] for word in words if word))[:MOST_ASKED]


def words_of(text: str, *, by_digit: bool = False) -> Iterator[str]:
    """Yield what a text is found by: from each place where a word begins on, without spaces or marks.

    So `O’Brien & Sons` is found by `obrien`, `o brien`, `brien` and `sons`. Words begin after every space and
    mark, and where digits follow letters; with `by_digit` at each digit, as people leave out a dialling code.
    """
    runs = list(_runs(_decomposed(text)))
    whole = "".join(runs)
    begin = 0
    for run in runs:
        for place in _places(run, by_digit=by_digit):
            yield whole[begin + place : begin + place + LONGEST]
        begin += len(run)


def place_of(name: str | None) -> tuple[bool, str, str]:
    """Return what lists are sorted by that go by name, in any script: alex, Álvaro, Zack; none comes last."""
    return name is None, " ".join(_runs(_decomposed(name or ""))), name or ""


def kept(words: Iterable[str]) -> str:
    """Return the words as a column keeps them: each once, with a space before it, for `pattern`."""
    return "".join(f" {word}" for word in dict.fromkeys(words))


def pattern(word: str) -> str:
    """Return the LIKE pattern that finds a word's beginning among words that are kept."""
    return f"% {word}%"


def after(word: str) -> str:
    """Return what comes after everything that begins with the word, by code point (collation "C")."""
    return word + "\U0010ffff"


def _places(run: str, *, by_digit: bool) -> Iterator[int]:
    yield 0
    for place in range(1, len(run)):
        digit = run[place].isdecimal()
        if (digit and (by_digit or not run[place - 1].isdecimal())) or _UNSPACED.match(run, place):
            yield place


def _decomposed(text: str) -> str:
    """Return the text without case and width, symbols told apart from what is beside them."""
    # Twice, because what is decomposed may have case again: ™ becomes TM.
    folded = "".join(map(_apart, text))
    for _ in range(2):
        folded = unicodedata.normalize("NFKD", folded).casefold()
    return unicodedata.normalize("NFKD", folded)


def _runs(decomposed: str) -> Iterator[str]:
    """Yield what is compared of the text, cut at everything that is no letter, digit or mark on one."""
    return (run for run in "".join(map(_plain, decomposed)).split(" ") if run)


@lru_cache(maxsize=4096)
def _apart(character: str) -> str:
    """Return a symbol with a mark on either side, and one mark for an accent that stands alone."""
    if character.isspace():
        return character
    if unicodedata.normalize("NFKD", character)[0] == " " or character == "`":
        return "'"
    return f"'{character}'" if unicodedata.category(character)[0] == "S" else character


@lru_cache(maxsize=4096)
def _plain(character: str) -> str:
    """Return what is compared of a character: a space for what is no letter, digit or mark on one."""
    if unicodedata.combining(character):
        return ""
    kind = unicodedata.category(character)
    if kind == "Nd":
        return str(unicodedata.decimal(character))
    if character in _ALONE:
        return _ALONE[character]
    if kind[0] not in "LNM" or _UNSEEN.match(character):
        return " "
    stroked = _STROKED.fullmatch(unicodedata.name(character, ""))
    return stroked[1].lower() if stroked else character
