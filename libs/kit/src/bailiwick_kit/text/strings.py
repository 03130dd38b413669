"""Strings from outside: stripped, NFC, and free of what PostgreSQL, mails and logs cannot hold.

NUL cannot be stored by PostgreSQL, lone surrogates are not text, and control characters forge lines
in logs and headers (T13, S18, S19): all of them are refused with 422.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Annotated, Any, LiteralString

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

# Lone surrogates; U+2028 and U+2029, which end a line for some readers; and what turns the text after it
# around, so that a list shows another name than the one that is stored.
_ALWAYS = "\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069"
_REFUSED = re.compile(f"[\x00-\x1f\x7f-\x9f{_ALWAYS}]")
_REFUSED_IN_LINES = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f{_ALWAYS}]")
"""The same, but for newlines and tabs."""

# Default_Ignorable_Code_Point of Unicode 16, and U+2800, a letter without a dot.
INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
_SEEN = re.compile(rf"[^\s{INVISIBLE}]")


def clean(value: str, *, multiline: bool = False) -> str:
    """Return the text stripped and in NFC.

    Raises:
        ValueError: it has a character that text here may not have.
    """
    if multiline:
        value = value.replace("\r\n", "\n")
    found = (_REFUSED_IN_LINES if multiline else _REFUSED).search(value)
    if found is not None:
        msg = f"Remove the character U+{ord(found[0]):04X}"
        raise ValueError(msg)
    return unicodedata.normalize("NFC", value).strip()


@dataclass(frozen=True)
class TextRule:
    """How long a text may be after cleaning, and whether it may have several lines.

    Use as metadata: `Name = Annotated[str, TextRule(max_length=120)]`.
    """

    max_length: int = 200
    min_length: int = 1
    multiline: bool = False

    def check(self, value: str) -> str:
        """Return the cleaned text; called by pydantic."""
        if len(value) > 4 * self.max_length + 64:  # do not normalize what is refused anyway
            raise self._wrong_length("text_too_long", "at most", self.max_length)
        try:
            value = clean(value, multiline=self.multiline)
        except ValueError as error:
            raise PydanticCustomError("text_not_allowed", "{why}", {"why": str(error)}) from None
        if len(value) > self.max_length:
            raise self._wrong_length("text_too_long", "at most", self.max_length)
        if len(value) < self.min_length or (self.min_length and not _SEEN.search(value)):
            raise self._wrong_length("text_too_short", "at least", self.min_length)
        return value

    @staticmethod
    def _wrong_length(code: LiteralString, bound: str, length: int) -> PydanticCustomError:
        return PydanticCustomError(
            code, "Send {bound} {length} characters", {"bound": bound, "length": length}
        )

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Tell pydantic to clean after checking that it is a string."""
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Describe the lengths in OpenAPI."""
        return {
            **handler(schema),
            "minLength": self.min_length,
            "maxLength": self.max_length,
        }


Text = Annotated[str, TextRule()]
"""One line of text, 1 to 200 characters; also for query parameters."""

MultilineText = Annotated[str, TextRule(max_length=4000, multiline=True)]
"""Several lines, 1 to 4,000 characters; newlines and tabs stay."""
