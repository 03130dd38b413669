"""The headers of a message: CloudEvents 1.0 attributes as RabbitMQ's binary mode has them.

What readers are promised; a test of `tests/contract` compares it with what the services send.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

_UUID = {"type": "string", "format": "uuid"}


def headers(event_type: str, source: str) -> dict[str, Any]:
    """Return the schema of an event's headers."""
    attributes: dict[str, Any] = {
        "ce-specversion": {"const": "1.0", "description": "The version of CloudEvents."},
        "ce-id": {**_UUID, "description": "The event's id: the same when it is delivered again."},
        "ce-type": {"const": event_type, "description": "What happened, and its version."},
        "ce-source": {"const": source, "description": "The service that published it."},
        "ce-subject": {**_UUID, "description": "The id of the entity that it is about."},
        "ce-time": {
            "type": "string",
            "format": "date-time",
            "description": "When it was committed. Order events by version, never by time.",
        },
        "ce-traceparent": {
            "type": "string",
            "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
            "description": "W3C trace context of the request that caused it, if any.",
        },
    }
    required = [name for name in attributes if name != "ce-traceparent"]
    return {"type": "object", "properties": attributes, "required": required}


def example_headers(event_type: str, source: str, subject: UUID) -> dict[str, str]:
    """Return the headers that an event could have come with."""
    return {
        "ce-specversion": "1.0",
        "ce-id": "01930000-0000-7000-8000-00000000e001",
        "ce-type": event_type,
        "ce-source": source,
        "ce-subject": str(subject),
        "ce-time": "2026-03-02T09:31:00.123456Z",
    }
