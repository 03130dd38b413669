"""Weights: how many values a model takes, and a count of a body's that no input makes slow."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import pytest
from pydantic import Field

from bailiwick_kit.web import json_bounds
from bailiwick_kit.web.fields import Model


class Line(Model):
    sku: str
    amounts: Annotated[tuple[int, ...], Field(max_length=3)] = ()


class Order(Model):
    note: str | None = None
    lines: Annotated[tuple[Line, ...], Field(max_length=10)]
    ticks: Annotated[dict[str, Line], Field(max_length=2)]


def test_a_model_says_how_many_values_it_takes() -> None:
    line = 1 + 1 + (1 + 3)
    assert json_bounds.most_values(Line) == json_bounds.SPARE + line
    assert json_bounds.most_values(Order) == json_bounds.SPARE + 1 + 1 + (1 + 10 * line) + (
        1 + 2 * line
    )


@pytest.mark.parametrize("kind", [tuple[int, ...], list[str], dict[str, int]])
def test_a_list_without_an_end_is_no_model_of_a_body(kind: Any) -> None:
    unbounded = type("Unbounded", (Model,), {"__annotations__": {"things": kind}})
    with pytest.raises(TypeError, match="max_length"):
        json_bounds.most_values(unbounded)


VALUES = {
    "[]": 1,
    "[[]]": 2,
    "[1,2,3]": 4,
    '{"a":1,"b":[2,{"c":3}]}': 6,
    '{"a":"x,[{","b":"\\\\","c":"\\",{[,"}': 4,
    '["\\u005b","[,{\\\\\\"{"]': 3,
}


@pytest.mark.parametrize("text", VALUES)
def test_values_are_counted_and_no_text_is_one(text: str) -> None:
    json.loads(text)
    padded = text.encode() + b" " * 3
    # An empty list is counted as if it had something in it.
    assert not json_bounds.is_heavier(padded, VALUES[text] + 1)
    assert json_bounds.is_heavier(padded, VALUES[text] - 1)


WORST = {
    "zeros": b'{"a":[' + b"0," * 500_000,
    "short texts": b'{"a":[' + b'"",' * 330_000,
    "texts and nothing else": b'"' + b"," * 2000 + b'"' * 1_000_000,
    "quotes in a text without an end": b'["' + b'\\",' * 330_000,
    "backslashes": b'{"a":"' + b"\\\\," * 330_000,
    "commas in a text": b'{"n":"' + b"," * 1_000_000,
    "lists": b"[" * 1_000_000,
}


@pytest.mark.parametrize("name", WORST)
def test_a_megabyte_is_read_no_further_than_the_values_that_are_taken(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = 0

    class Counting:
        def finditer(self, raw: bytes) -> Any:
            nonlocal looked_at
            for token in token_of.finditer(raw):
                looked_at += 1
                yield token

    token_of: re.Pattern[bytes] = json_bounds._TOKEN
    monkeypatch.setattr(json_bounds, "_TOKEN", Counting())
    json_bounds.is_heavier(WORST[name], 1000)
    assert 0 < looked_at <= 3 * 1000 + 2
