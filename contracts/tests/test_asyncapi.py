"""The AsyncAPI document says what catalogue, schemas and samples say, and adds nothing of its own."""

from __future__ import annotations

import json
import re
from typing import Any
from uuid import UUID

import pytest
from jsonschema import Draft7Validator, FormatChecker

from bailiwick_contracts import generate
from bailiwick_contracts.catalogue import (
    BOUND,
    EVENTS,
    PUBLISHED,
    SNAPSHOTS,
    SUBSCRIBED,
    SUBSCRIBER,
    queue_name,
)
from bailiwick_contracts.envelope import EXCHANGE

Json = dict[str, Any]
DOCUMENT: Json = json.loads((generate.ROOT / "asyncapi.json").read_text("utf-8"))
MESSAGES: Json = DOCUMENT["components"]["messages"]
ORG = "01930000-0000-7000-8000-000000000001"
TOLD = sorted(EVENTS.keys() - SNAPSHOTS)


def message(event_type: str) -> Json:
    found: Json = MESSAGES[EVENTS[event_type].__name__]
    return found


def test_stored_document_is_what_the_code_says() -> None:
    assert generate.ROOT / "asyncapi.json" not in generate.drift(), (
        "asyncapi.json differs from the code: run ./bailiwick contracts"
    )


def test_checking_names_the_command_that_mends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {generate.ROOT / "asyncapi.json": "{}\n"}
    monkeypatch.setattr(generate, "rendered", lambda: told)
    monkeypatch.setattr("sys.argv", ["generate", "--check"])
    assert generate.main() == 1
    assert (
        capsys.readouterr().out
        == "asyncapi.json differs from the code: run ./bailiwick contracts\n"
    )


def test_every_event_is_a_message_with_a_channel_of_its_own() -> None:
    assert {one["name"] for one in MESSAGES.values()} == EVENTS.keys()
    for event_type, event in EVENTS.items():
        reference = {"$ref": f"#/components/messages/{event.__name__}"}
        assert DOCUMENT["channels"][event_type]["messages"] == {event.__name__: reference}


@pytest.mark.parametrize("event_type", TOLD)
def test_address_is_the_routing_key_on_the_one_exchange(event_type: str) -> None:
    channel = DOCUMENT["channels"][event_type]
    event = EVENTS[event_type].model_construct(org_id=UUID(ORG), version=1)
    assert channel["address"].format(org_id=ORG) == event.routing_key
    assert channel["parameters"].keys() == {"org_id"}
    binding = channel["bindings"]["amqp"]
    assert (binding["is"], binding["exchange"]["name"]) == ("routingKey", EXCHANGE)
    assert binding["exchange"]["type"] == "topic"


@pytest.mark.parametrize("event_type", sorted(SNAPSHOTS))
def test_a_snapshot_goes_to_a_queue_that_hears_it_and_not_through_the_exchange(
    event_type: str,
) -> None:
    channel = DOCUMENT["channels"][event_type]
    hearing = {
        queue_name(consumer, publisher)
        for consumer, publishers in SUBSCRIBED.items()
        for publisher, events in publishers.items()
        if EVENTS[event_type] in events
    }
    assert channel["address"] == "{queue}"
    assert set(channel["parameters"]["queue"]["examples"]) == hearing
    assert channel["bindings"]["amqp"]["exchange"]["type"] == "default"


def test_every_consumers_queue_has_what_it_hears_and_the_keys_that_it_is_bound_to() -> None:
    queues = {
        name: channel
        for name, channel in DOCUMENT["channels"].items()
        if channel["bindings"]["amqp"]["is"] == "queue" and name != SUBSCRIBER
    }
    expected = {
        queue_name(consumer, publisher): events
        for consumer, publishers in SUBSCRIBED.items()
        for publisher, events in publishers.items()
    }
    assert queues.keys() == expected.keys()
    for name, events in expected.items():
        assert queues[name]["messages"].keys() == {event.__name__ for event in events}
        assert queues[name]["x-bindings"] == [event.binding_key() for event in events]
        assert queues[name]["bindings"]["amqp"]["queue"]["durable"] is True


def test_every_channel_is_told_or_heard_and_says_what_a_broker_must_take() -> None:
    operations = list(DOCUMENT["operations"].values())
    assert len({one["channel"]["$ref"] for one in operations}) == len(operations)
    assert {one["channel"]["$ref"] for one in operations} == {
        f"#/channels/{name}" for name in DOCUMENT["channels"]
    }
    for one in operations:
        binding = one["bindings"]["amqp"]
        if one["action"] == "send":
            event_type = one["channel"]["$ref"].removeprefix("#/channels/")
            assert binding["deliveryMode"] == 2, "persistent (T4)"
            assert binding["mandatory"] is (event_type in BOUND), "D16"
        else:
            assert binding["ack"] is True


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_message_says_who_tells_it(event_type: str) -> None:
    [tag] = message(event_type)["tags"]
    assert EVENTS[event_type] in PUBLISHED[tag["name"]]
    assert message(event_type)["headers"]["properties"]["ce-source"]["const"] == f"/{tag['name']}"


def _frozen(value: Any, prefix: str) -> Any:
    """Undo what was done to a schema to make it a part of the document."""
    match value:
        case {"allOf": [{"$ref": str(reference)}], **beside}:
            return {**_frozen(beside, prefix), "$ref": f"#{reference.removeprefix(prefix)}"}
        case {"$ref": str(reference)}:
            return {"$ref": f"#{reference.removeprefix(prefix)}"}
        case dict():
            return {key: _frozen(part, prefix) for key, part in value.items()}
        case list():
            return [_frozen(part, prefix) for part in value]
        case _:
            return value


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_payload_is_the_frozen_schema(event_type: str) -> None:
    at = f"#/components/schemas/{event_type}"
    assert message(event_type)["payload"]["schema"] == {"$ref": at}
    stored = json.loads((generate.ROOT / "schemas" / f"{event_type}.json").read_text("utf-8"))
    del stored["$id"], stored["$schema"]
    assert _frozen(DOCUMENT["components"]["schemas"][event_type], at) == stored


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_examples_are_the_samples_and_valid_by_the_document_itself(event_type: str) -> None:
    told = message(event_type)
    samples = generate.samples()[event_type]
    assert {one["name"]: one["payload"] for one in told["examples"]} == samples
    data = Draft7Validator(
        {"components": DOCUMENT["components"], **told["payload"]["schema"]},
        format_checker=FormatChecker(),
    )
    headers = Draft7Validator(told["headers"], format_checker=FormatChecker())
    for one in told["examples"]:
        data.validate(one["payload"])
        headers.validate(one["headers"])
        event = EVENTS[event_type].model_validate(one["payload"])
        assert one["headers"]["ce-subject"] == str(event.subject)


def test_an_example_that_does_not_fit_would_be_found() -> None:
    told = message("orders.order.placed.v1")
    validator = Draft7Validator({"components": DOCUMENT["components"], **told["payload"]["schema"]})
    [good, *_] = told["examples"]
    assert not validator.is_valid({**good["payload"], "net": 82.375})
    assert not validator.is_valid({**good["payload"], "lines": [{"sku": "RJ-TI-75"}]})


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_personal_data_are_listed_as_the_schema_marks_them(event_type: str) -> None:
    marked = json.dumps(DOCUMENT["components"]["schemas"][event_type]).count('"pii": true')
    assert len(message(event_type)["x-personal-data"]) == marked


def test_readers_are_not_told_the_numbers_of_our_rules() -> None:
    found = re.findall(r"\((?:[DVLFSG]\d+|domain)[^)]*\)", json.dumps(DOCUMENT))
    assert not found, f"{found}: docstrings of events are for strangers; cite in a comment"
