"""The frozen schemas: what the code says, what the last release said, and what may not change."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bailiwick_contracts import generate
from bailiwick_contracts.catalogue import EVENTS, PUBLISHED, RESERVED
from bailiwick_contracts.compatibility import breaks
from bailiwick_contracts.customers import Terms
from bailiwick_contracts.envelope import DECIMAL
from bailiwick_testkit.checkout import released

SCHEMAS = generate.ROOT / "schemas"
Document = dict[str, Any]

OF_PEOPLE = {"name", "email", "phone", "customer_name", "tax_id", "line1", "line2"}
"""Members that are somebody's, wherever they occur…"""
NOBODYS = {("OrderLine", "name"), ("identity.organization.changed.v1", "name")}
"""…but for these: a product's name, a company's own."""


def stored(event_type: str) -> Document:
    document: Document = json.loads((SCHEMAS / f"{event_type}.json").read_text("utf-8"))
    return document


def test_stored_schemas_are_what_the_code_says() -> None:
    differing = [path.name for path in generate.drift()]
    assert not differing, f"{differing} differ from the code: run ./bailiwick contracts"


def test_every_stored_schema_has_an_event() -> None:
    orphans = {path.stem for path in SCHEMAS.glob("*.json")} - EVENTS.keys()
    assert not orphans, f"{orphans}: a published type never goes; publish it beside the new one"


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_schema_is_a_schema_and_bears_its_type(event_type: str) -> None:
    document = stored(event_type)
    Draft202012Validator.check_schema(document)
    assert (document["title"], document["$id"]) == (event_type, f"urn:bailiwick:event:{event_type}")


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_code_breaks_nothing_of_the_stored_schema(event_type: str) -> None:
    found = breaks(stored(event_type), generate.schema(EVENTS[event_type]))
    assert not found, "\n".join([*found, generate.BREAK])


def test_nothing_that_was_released_is_broken() -> None:
    for path, text in released("contracts/schemas").items():
        assert path.stem in EVENTS, f"{path.stem} was released: it never goes"
        found = breaks(json.loads(text), generate.schema(EVENTS[path.stem]))
        assert not found, "\n".join([path.name, *found, generate.BREAK])


def _without_member(schema: Document) -> None:
    del schema["properties"]["lines"]


def _with_required_member(schema: Document) -> None:
    schema["properties"]["shop"] = {"type": "string"}
    schema["required"].append("shop")


def _with_optional_that_was_required(schema: Document) -> None:
    schema["required"].remove("net")


def _with_fewer_states(schema: Document) -> None:
    schema["properties"]["state"]["enum"].remove("cancelled")


def _with_more_states(schema: Document) -> None:
    schema["properties"]["state"]["enum"].append("returned")


def _with_numbers_for_amounts(schema: Document) -> None:
    schema["$defs"]["OrderLine"]["properties"]["net"] = {"type": "number"}


def _with_a_minimum(schema: Document) -> None:
    schema["properties"]["assignment_seq"]["minimum"] = 1


def _without_null(schema: Document) -> None:
    schema["properties"]["main_id"]["anyOf"].pop()


def _with_another_default(schema: Document) -> None:
    schema["properties"]["imported"]["default"] = True


def _without_pii(schema: Document) -> None:
    del schema["properties"]["customer_name"]["pii"]


def _with_the_amounts_pattern_for_a_text(schema: Document) -> None:
    schema["properties"]["number"]["pattern"] = DECIMAL


def _with_another_pattern(schema: Document) -> None:
    schema["properties"]["net"]["pattern"] = r"^[0-9]+$"


def _without_the_pattern(schema: Document) -> None:
    del schema["properties"]["net"]["pattern"]


def _without_any_patterns(document: Document) -> Document:
    return json.loads(  # type: ignore[no-any-return]
        json.dumps(document), object_hook=lambda part: {k: part[k] for k in part if k != "pattern"}
    )


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_amounts_tell_how_they_were_always_written(event_type: str) -> None:
    now, before = stored(event_type), _without_any_patterns(stored(event_type))
    assert breaks(before, now) == []
    amounts = json.dumps(now).count(json.dumps(DECIMAL))
    assert bool(breaks(now, before)) is bool(amounts)
    assert bool(amounts) is event_type.startswith(("orders.", "customers.customer."))


@given(st.decimals(allow_nan=False, allow_infinity=False))
@example(Decimal("-0"))
@example(Decimal("10." + "0" * 30))
@example(Decimal("1E+17"))
def test_no_amount_was_ever_written_otherwise(amount: Decimal) -> None:
    written = json.loads(Terms.model_construct(discount=amount).model_dump_json())["discount"]
    assert re.fullmatch(DECIMAL, written)


@pytest.mark.parametrize("text", ["1e3", "1,5", ".5", "5.", "+1", "", "NaN", "١"])
def test_what_no_amount_is_does_not_have_the_pattern(text: str) -> None:
    told = {"type": "string", "pattern": DECIMAL}
    assert not Draft202012Validator(told).is_valid(text)


@pytest.mark.parametrize(
    "change",
    [
        _without_member,
        _with_required_member,
        _with_optional_that_was_required,
        _with_fewer_states,
        _with_more_states,
        _with_numbers_for_amounts,
        _with_a_minimum,
        _without_null,
        _with_another_default,
        _without_pii,
        _with_the_amounts_pattern_for_a_text,
        _with_another_pattern,
        _without_the_pattern,
    ],
)
def test_a_breaking_change_is_told(change: Callable[[Document], None]) -> None:
    before = stored("orders.order.placed.v1")
    after = copy.deepcopy(before)
    change(after)
    assert breaks(before, after)


def test_growing_optional_members_breaks_nothing() -> None:
    before = stored("customers.customer.changed.v1")
    after = copy.deepcopy(before)
    after["properties"]["website"] = {"anyOf": [{"type": "string"}, {"type": "null"}]}
    after["$defs"]["Terms"]["properties"]["credit"] = {"type": "string", "default": "0"}
    after["properties"]["terms"]["default"]["credit"] = "0"
    after["description"] = "In other words."
    assert breaks(before, after) == []
    assert breaks(after, before)


def test_generating_refuses_to_break_what_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr("sys.argv", ["generate"])
    assert generate.main() == 0
    path = tmp_path / "schemas" / "orders.order.placed.v1.json"
    document = json.loads(path.read_text("utf-8"))
    document["properties"]["gone"] = {"type": "string"}
    path.write_text(json.dumps(document), "utf-8")
    assert generate.main() == 1
    assert "data.gone: would be gone" in capsys.readouterr().out
    assert json.loads(path.read_text("utf-8")) == document


def test_checking_names_the_command_that_mends_drift(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr("sys.argv", ["generate", "--check"])
    assert generate.main() == 1
    assert "run ./bailiwick contracts" in capsys.readouterr().out
    assert not list(tmp_path.rglob("*.json"))


def test_reserved_types_are_published_by_nobody() -> None:
    assert not set(RESERVED) & EVENTS.keys()
    assert not [name for name in RESERVED if (SCHEMAS / f"{name}.json").exists()]
    assert {name.partition(".")[0] for name in RESERVED} <= PUBLISHED.keys()


def _objects(document: Document) -> list[tuple[str, Document]]:
    return [(document["title"], document), *document.get("$defs", {}).items()]


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_names_and_addresses_of_people_are_marked_as_personal_data(event_type: str) -> None:
    for title, part in _objects(stored(event_type)):
        for name, member in part.get("properties", {}).items():
            is_personal = name in OF_PEOPLE and (title, name) not in NOBODYS
            assert member.get("pii", False) is is_personal, (
                f"{title}.{name}: annotate it Pii (D20), or name it in NOBODYS if it is nobody's"
            )


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_no_schema_has_a_float(event_type: str) -> None:
    assert '"type": "number"' not in json.dumps(stored(event_type)), (
        "amounts are strings: use Amount (D30)"
    )
