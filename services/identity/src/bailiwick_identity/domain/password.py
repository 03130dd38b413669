"""Which passwords may be chosen (S5, NIST 800-63B-4): long, and not made of well-known words.

No rules of composition, no forced change, nothing cut off: a sentence is a good password.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from bailiwick_identity.domain.errors import PasswordNotAllowed
from bailiwick_kit.errors import Fault

SHORTEST = 15
"""Characters, because it is the only factor."""
MOST_BYTES = 1024
_LEFT_AT_LEAST = 6
_DIFFERENT_AT_LEAST = 5
_SHORTEST_WORD = 4
_KNOWN = (
    *("bailiwick", "password", "passwort", "contraseña", "motdepasse", "passphrase", "welcome"),
    *("administrator", "admin", "qwertyuiop", "qwerty", "azerty", "asdfgh", "zxcvbn", "letmein"),
    *("0123456789", "123456789", "987654321", "123456", "abcdefghijklmnopqrstuvwxyz", "abcdef"),
    *("changeme", "iloveyou", "secret", "login"),
)


def normalized(password: str) -> str:
    """Return the password as it is hashed: NFC, so that keyboards do not matter; nothing stripped."""
    return unicodedata.normalize("NFC", password)


def checked(password: str, words: Iterable[str] = ()) -> str:
    """Return the normalized password if it may be chosen; `words` are its organization's and owner's.

    Raises:
        PasswordNotAllowed: it is too short, too long, or little else than well-known words.
    """
    password = normalized(password)
    if len(password) < SHORTEST:
        raise _refused("too-short", f"Use at least {SHORTEST} characters: a sentence, for instance")
    if len(password.encode("utf-8", "surrogatepass")) > MOST_BYTES:
        raise _refused("too-long", f"Use at most {MOST_BYTES} bytes")
    left = password.casefold()
    if len(set(left)) < _DIFFERENT_AT_LEAST:
        raise _refused("too-easily-guessed", "Use more different characters")
    for word in sorted({*_KNOWN, *_parts(words)}, key=len, reverse=True):
        left = left.replace(word, "")
    if len(re.sub(r"[\W\d_]", "", left)) < _LEFT_AT_LEAST and len(left) < SHORTEST - 1:
        raise _refused(
            "too-easily-guessed", "Do not build it from names and words that everybody tries first"
        )
    return password


def _parts(words: Iterable[str]) -> set[str]:
    found = set()
    for word in words:
        folded = normalized(word).casefold()
        found |= {folded, *re.split(r"[\W_]+", folded)}
    return {part for part in found if len(part) >= _SHORTEST_WORD}


def _refused(code: str, message: str) -> PasswordNotAllowed:
    return PasswordNotAllowed(faults=(Fault("password", code, message),))
