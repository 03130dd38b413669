"""Events as messages: CloudEvents 1.0 in RabbitMQ's binary mode, persistent, one id for ever."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import aio_pika
from aio_pika.abc import AbstractIncomingMessage, HeadersType
from cloudevents.core.bindings.rabbitmq import RabbitMQMessage, from_binary, to_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

NOTE = "bailiwick-"
"""Begins the headers in which we note why a message was put off or set aside."""

_FORMAT = JSONFormat()


class UnreadableMessageError(Exception):
    """A message that is no CloudEvent of ours; it can only be set aside."""


@dataclass(frozen=True)
class Envelope:
    """An event as it came in: what it is about, and its data as JSON."""

    event_id: UUID
    type: str
    subject: UUID
    body: bytes
    trace_parent: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    time: datetime | None = None
    """When it was recorded at its source, by the clock there."""


def to_message(
    *,
    event_id: UUID,
    event_type: str,
    source: str,
    subject: UUID,
    time: datetime,
    body: bytes,
    trace_parent: str | None,
) -> aio_pika.Message:
    """Return the message to publish: persistent (T4), and with the event's id as its own."""
    attributes = {
        "id": str(event_id),
        "type": event_type,
        "source": source,
        "subject": str(subject),
        "time": time,
        "specversion": "1.0",
        "datacontenttype": "application/json",
    }
    if trace_parent:
        attributes["traceparent"] = trace_parent
    binary = to_binary(CloudEvent(attributes, None), _FORMAT)
    headers: HeadersType = dict(binary.headers)
    return aio_pika.Message(
        body,
        headers=headers,
        content_type="application/json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=str(event_id),
        type=event_type,
    )


def told_of(operation: str, destination: str, event_id: UUID, event_type: str) -> dict[str, str]:
    """Return the attributes of a span that publishes or processes an event; nothing of what it says."""
    return {
        "messaging.system": "rabbitmq",
        "messaging.operation.type": "send" if operation == "publish" else operation,
        "messaging.operation.name": operation,
        "messaging.destination.name": destination,
        "messaging.message.id": str(event_id),
        "bailiwick.event.type": event_type,
    }


def copy_of(message: AbstractIncomingMessage, **notes: str) -> aio_pika.Message:
    """Return the same event to publish once more, with our notes and without the broker's."""
    kept = {
        name: value for name, value in message.headers.items() if not name.startswith(("x-", NOTE))
    }
    return aio_pika.Message(
        message.body,
        headers={**kept, **{NOTE + name: note for name, note in notes.items()}},
        content_type=message.content_type,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=message.message_id,
        type=message.type,
    )


def from_message(message: AbstractIncomingMessage) -> Envelope:
    """Return the event in a message.

    Raises:
        UnreadableMessageError: an attribute is missing or malformed.
    """
    headers = {name: value for name, value in message.headers.items() if isinstance(value, str)}
    try:
        attributes = from_binary(RabbitMQMessage(headers, None, b"null"), _FORMAT).get_attributes()
        return Envelope(
            event_id=UUID(attributes["id"]),
            type=str(attributes["type"]),
            subject=UUID(attributes["subject"]),
            body=message.body,
            trace_parent=attributes.get("traceparent"),
            headers=headers,
            time=attributes.get("time"),
        )
    except Exception as error:  # every library error here means the same thing
        raise UnreadableMessageError(f"{type(error).__name__}: {error}") from error
