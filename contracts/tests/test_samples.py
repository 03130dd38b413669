"""The samples: what was ever written under a version is read for ever. They are only added to."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from bailiwick_contracts import generate
from bailiwick_contracts.catalogue import EVENTS
from bailiwick_contracts.envelope import Event
from bailiwick_contracts.orders import OrderEvent
from bailiwick_testkit.checkout import released

ROOT = generate.ROOT.parent
SAMPLES = sorted(
    str(path.relative_to(generate.ROOT)) for path in generate.ROOT.glob("samples/*/*.json")
)


def text(sample: str) -> str:
    return (generate.ROOT / sample).read_text("utf-8")


def parsed(sample: str) -> Event:
    return EVENTS[Path(sample).parent.name].model_validate_json(text(sample))


@cache
def validator(event_type: str) -> Draft202012Validator:
    schema = json.loads((generate.ROOT / "schemas" / f"{event_type}.json").read_text("utf-8"))
    return Draft202012Validator(schema, format_checker=FormatChecker())


def test_every_event_has_samples_and_every_sample_an_event() -> None:
    folders = {Path(sample).parent.name for sample in SAMPLES}
    assert folders == EVENTS.keys(), (
        "put samples into contracts/samples/<type>/<what it shows>.json"
    )


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_every_event_has_the_samples_that_readers_stumble_over(event_type: str) -> None:
    names = {Path(sample).stem for sample in SAMPLES if Path(sample).parent.name == event_type}
    missing = {"optional-absent", "members-added-later"} - names
    assert not missing, f"add contracts/samples/{event_type}/{missing}.json"


@pytest.mark.parametrize("sample", SAMPLES)
def test_sample_is_valid_by_its_stored_schema(sample: str) -> None:
    validator(Path(sample).parent.name).validate(json.loads(text(sample)))


@pytest.mark.parametrize("sample", SAMPLES)
def test_sample_is_parsed_and_written_again_without_loss(sample: str) -> None:
    event = parsed(sample)
    again = event.model_dump(mode="json")
    validator(event.type).validate(again)
    assert type(event).model_validate(again) == event


def test_released_samples_are_as_they_were() -> None:
    for path, was in released("contracts/samples").items():
        now = ROOT / path
        assert now.is_file(), f"{path} was released: samples are only added"
        assert now.read_text("utf-8") == was, f"{path} was released: add another one beside it"


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_unknown_members_are_ignored(event_type: str) -> None:
    document: dict[str, Any] = json.loads(text(f"samples/{event_type}/members-added-later.json"))
    dumped = EVENTS[event_type].model_validate(document).model_dump(mode="json")
    unknown = _keys(document) - _keys(dumped)
    assert unknown, "the sample needs a member that no version has: a_later_member"
    assert EVENTS[event_type].model_validate(_without(document, unknown)) == parsed(
        f"samples/{event_type}/members-added-later.json"
    )


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_absent_optional_members_have_their_defaults(event_type: str) -> None:
    document = json.loads(text(f"samples/{event_type}/optional-absent.json"))
    schema = validator(event_type).schema
    assert isinstance(schema, dict)
    assert document.keys() == set(schema["required"])


ORDERS = [sample for sample in SAMPLES if sample.startswith("samples/orders.")]


@pytest.mark.parametrize("sample", ORDERS)
def test_amounts_are_strings_and_nets_add_up(sample: str) -> None:
    document = json.loads(text(sample))
    amounts = [document["net"], *(line["net"] for line in document["lines"])]
    assert all(isinstance(amount, str) for amount in amounts)
    written = parsed(sample).model_dump(mode="json")
    assert isinstance(written["net"], str)
    order = parsed(sample)
    assert isinstance(order, OrderEvent)
    assert order.net == sum((line.net for line in order.lines), Decimal(0))


def _without(value: Any, names: set[str]) -> Any:
    match value:
        case dict():
            return {key: _without(part, names) for key, part in value.items() if key not in names}
        case list():
            return [_without(part, names) for part in value]
        case _:
            return value


def _keys(value: Any) -> set[str]:
    match value:
        case dict():
            return set(value).union(*map(_keys, value.values()))
        case list():
            return set[str]().union(*map(_keys, value))
        case _:
            return set()
