"""The AsyncAPI document: what is published on the bus, by whom, for whom, with which headers and data.

Made from the catalogue, the schemas and the samples; nothing in it is written a second time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bailiwick_contracts.catalogue import (
    BOUND,
    EVENTS,
    PUBLISHED,
    SNAPSHOTS,
    SUBSCRIBED,
    SUBSCRIBER,
    queue_name,
)
from bailiwick_contracts.embedding import embedded, personal
from bailiwick_contracts.envelope import EXCHANGE, Event, bulk
from bailiwick_contracts.headers import example_headers, headers

Json = dict[str, Any]
Samples = Mapping[str, Mapping[str, Json]]
"""Type → what a sample shows → its data."""

_BINDING = {"bindingVersion": "0.3.0"}
_FORMAT = "application/schema+json;version=draft-07"
_ABOUT = """
    Bailiwick publishes events on RabbitMQ, on one topic exchange, as CloudEvents 1.0 in binary mode: the
    attributes are headers that begin with ce-, the body is the data.

    Imports, snapshots, and what an organization publishes beyond its share of the bus, go through a second
    exchange, bailiwick.bulk, by the same routing keys, so that nothing that people do now waits behind them.
    Who listens is bound to both.

    An event carries the whole public state of its entity, and the entity's version. A higher version replaces
    a lower one. So it does no harm that events may arrive twice, late or out of order. Acknowledge after
    your own commit: an event that is delivered again has the same ce-id.

    The routing key is the type followed by the organization: orders.order.placed.v1.* are the placed orders
    of every organization, #.<organization> are all events of one organization.

    A version of a type only ever gains optional members: ignore those that you do not know. Anything else is
    a v2, published beside the v1. Amounts are decimal strings, instants RFC 3339 in UTC. Members marked pii
    are personal data: keep them no longer than you need, and null them when a higher version does.
"""


def document(schemas: Mapping[str, Json], samples: Samples) -> Json:
    """Return the whole document, given each type's schema and samples."""
    channels = {event.type: _channel(event) for event in EVENTS.values()}
    return {
        "asyncapi": "3.0.0",
        "id": "urn:bailiwick:events",
        "info": {
            "title": "Bailiwick events",
            "version": "1",
            "description": "\n\n".join(
                " ".join(paragraph.split()) for paragraph in _ABOUT.split("\n\n")
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"broker": _broker()},
        "channels": {
            **channels,
            SUBSCRIBER: _subscriber(),
            **{name: _queue(name, events) for name, events in _queues()},
        },
        "operations": dict(_operations()),
        "components": {
            "messages": {
                event.__name__: _message(event, schemas[event.type], samples[event.type])
                for event in EVENTS.values()
            },
            "schemas": {name: embedded(schemas[name], name) for name in EVENTS},
            "securitySchemes": {
                "user": {
                    "type": "userPassword",
                    "description": "A RabbitMQ account that may read its own queue and do nothing else.",
                }
            },
        },
    }


def _broker() -> Json:
    return {
        "host": "{address}",
        "protocol": "amqp",
        "protocolVersion": "0.9.1",
        "description": "RabbitMQ.",
        "variables": {
            "address": {
                "default": "127.0.0.1:5672",
                "description": "Host and port: each installation's own.",
            }
        },
        "security": [{"$ref": "#/components/securitySchemes/user"}],
    }


def _channel(event: type[Event]) -> Json:
    """Return what an event goes through: the exchange, or for a snapshot one consumer's queue."""
    is_snapshot = event.type in SNAPSHOTS
    consumers = [name for name, events in _queues() if event in events]
    exchange = {"name": "" if is_snapshot else EXCHANGE, "durable": True, "autoDelete": False}
    exchange["type"] = "default" if is_snapshot else "topic"
    address = "{queue}" if is_snapshot else f"{event.type}.{{org_id}}"
    parameters: Json = (
        {"queue": {"description": "The one that asked for it.", "examples": consumers}}
        if is_snapshot
        else {"org_id": {"description": "The organization's id. A binding may say * instead."}}
    )
    return {
        "address": address,
        "title": _title(event),
        "summary": _words(event),
        "messages": {event.__name__: _reference(event)},
        "parameters": parameters,
        "servers": [{"$ref": "#/servers/broker"}],
        "tags": [{"name": _publisher(event), "description": "The service that publishes it."}],
        "bindings": {"amqp": {"is": "routingKey", "exchange": exchange, **_BINDING}},
    }


def _subscriber() -> Json:
    return {
        "address": "subscriber.{org_id}.{name}",
        "title": "Events of one organization for another system",
        "description": "A queue that is declared and bound for one subscriber, who may read it and do nothing"
        " else. It gets the chosen types of one organization; snapshots only on request. Unread events are"
        " kept for some days.",
        "messages": {event.__name__: _reference(event) for event in EVENTS.values()},
        "parameters": {
            "org_id": {"description": "The organization's id."},
            "name": {"description": "What the subscriber is called.", "examples": ["erp"]},
        },
        "servers": [{"$ref": "#/servers/broker"}],
        "tags": [{"name": "other systems", "description": "Who reads it."}],
        "bindings": {
            "amqp": {
                "is": "queue",
                "queue": {"durable": True, "exclusive": False, "autoDelete": False},
                **_BINDING,
            }
        },
    }


def _queue(name: str, events: tuple[type[Event], ...]) -> Json:
    consumer, _, publisher = name.partition(".")
    return {
        "address": name,
        "title": f"Events of {publisher} for {consumer}",
        "description": f"A quorum queue with one active consumer. An event that cannot be handled is retried"
        f" through {name}.retry, and finally set aside in {name}.dead. Beside it, {bulk(name)} is bound to"
        f" {bulk(EXCHANGE)} by the same keys, with a consumer of its own.",
        "messages": {event.__name__: _reference(event) for event in events},
        "servers": [{"$ref": "#/servers/broker"}],
        "tags": [{"name": consumer, "description": "The service that reads it."}],
        "bindings": {
            "amqp": {
                "is": "queue",
                "queue": {"name": name, "durable": True, "exclusive": False, "autoDelete": False},
                **_BINDING,
            }
        },
        "x-bindings": [event.binding_key() for event in events],
    }


def _queues() -> Iterator[tuple[str, tuple[type[Event], ...]]]:
    for consumer, publishers in SUBSCRIBED.items():
        for publisher, events in publishers.items():
            yield queue_name(consumer, publisher), events


def _operations() -> Iterator[tuple[str, Json]]:
    for event in EVENTS.values():
        yield (
            f"tell_{event.type.replace('.', '_')}",
            {
                "action": "send",
                "title": f"{_publisher(event)} publishes: {_title(event)}",
                "channel": {"$ref": f"#/channels/{event.type}"},
                "messages": [{"$ref": f"#/channels/{event.type}/messages/{event.__name__}"}],
                "bindings": {
                    "amqp": {"deliveryMode": 2, "mandatory": event.type in BOUND, **_BINDING}
                },
            },
        )
    yield _hearing(
        SUBSCRIBER, "another system reads the events of one organization", tuple(EVENTS.values())
    )
    for name, events in _queues():
        consumer, _, publisher = name.partition(".")
        yield _hearing(name, f"{consumer} reads {publisher}'s events", events)


def _hearing(name: str, title: str, events: tuple[type[Event], ...]) -> tuple[str, Json]:
    channel = f"#/channels/{name}"
    return f"hear_{name.replace('.', '_')}", {
        "action": "receive",
        "title": title,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{event.__name__}"} for event in events],
        "bindings": {"amqp": {"ack": True, **_BINDING}},
    }


def _message(event: type[Event], schema: Json, samples: Mapping[str, Json]) -> Json:
    return {
        "name": event.type,
        "title": _title(event),
        "summary": _words(event),
        "contentType": "application/json",
        "headers": headers(event.type, _source(event)),
        "payload": {
            "schemaFormat": _FORMAT,
            "schema": {"$ref": f"#/components/schemas/{event.type}"},
        },
        "tags": [{"name": _publisher(event)}],
        "bindings": {"amqp": {"messageType": event.type, **_BINDING}},
        "examples": [_example(event, name, data) for name, data in samples.items()],
        "x-personal-data": sorted(set(personal(schema, schema))),
    }


def _example(event: type[Event], name: str, data: Json) -> Json:
    subject = event.model_validate(data).subject
    return {
        "name": name,
        "summary": name.replace("-", " "),
        "headers": example_headers(event.type, _source(event), subject),
        "payload": data,
    }


def _reference(event: type[Event]) -> Json:
    return {"$ref": f"#/components/messages/{event.__name__}"}


def _source(event: type[Event]) -> str:
    return f"/{_publisher(event)}"


def _publisher(event: type[Event]) -> str:
    return next(service for service, events in PUBLISHED.items() if event in events)


def _title(event: type[Event]) -> str:
    _, noun, happened, _ = event.type.split(".")
    return f"{noun} {happened}".capitalize()


def _words(event: type[Event]) -> str:
    return " ".join((event.__doc__ or "").split())
