"""Codes of ISO, ids in paths and decimals have one way of being kept, however they are sent."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from pydantic import TypeAdapter, ValidationError

from bailiwick_kit.text.iso import Country, CountryOrNone, Currency, Subdivision
from bailiwick_kit.text.strings import Text
from bailiwick_kit.web.fields import Exact
from bailiwick_kit.web.path_ids import canonical_path


@pytest.mark.parametrize(
    ("kind", "sent", "kept"),
    [
        (Country, " es ", "ES"),
        (CountryOrNone, "es", "ES"),
        (CountryOrNone, "none", "none"),
        (Subdivision, "es-md", "ES-MD"),
        (Currency, " EUR ", "EUR"),
        (Exact, "10", "10"),
        (Exact, "-0", "0"),
        (Exact, "-0.00", "0.00"),
        (Exact, "1." + "0" * 30, "1"),
        (Exact, "1.250000", "1.25"),
        (Exact, "0" * 16 + "7.5", "7.5"),
        (Exact, "007", "7"),
    ],
)
def test_what_is_sent_is_kept_in_one_form(kind: Any, sent: str, kept: str) -> None:
    adapter = TypeAdapter(kind)
    assert adapter.dump_python(adapter.validate_python(sent), mode="json") == kept


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        *((Country, one) for one in ("ß", "ﬁ", "ıt", "ſe", "ＥＳ", "E\u0301", "E", "XX", "none")),
        *((CountryOrNone, one) for one in ("ß", "ﬁ", "None", "ＥＳ")),
        *((Subdivision, one) for one in ("ﬁ-01", "es-mđ", "ES-ＭＤ", "E\u017f-MD")),
        *((Currency, one) for one in ("eur", "ＥＵＲ", "EU\u0280", "EUR\u200b", "", "EURO")),
        *((Exact, one) for one in ("10.", ".5", "+1", "1e3", "1_0", "١", "1.00001", "9" * 15)),
        *((Text, one) for one in ("\u200b", "\u3164", "\u2800\u00ad", "\u2060 \ufeff", "\ufe0f")),
    ],
)
def test_what_only_looks_like_one_is_refused(kind: Any, sent: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(sent)


def test_a_record_has_one_path_however_its_id_is_written() -> None:
    one = UUID("ab54c0de-0000-7000-8000-00000000000f")
    path = f"/v1/customers/{one}/assignments"
    for written in (str(one).upper(), one.hex, f"{{{one}}}", one.urn):
        assert canonical_path(f"/v1/customers/{written}/assignments") == path
    assert canonical_path("/v1/Customers/x/") == "/v1/Customers/x/"
