"""The AsyncAPI document as the page of events shows it: chapters by service, and a row for each member."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Member:
    """One member of an event's data. Parts of parts are named by their path: `lines[].sku`."""

    path: str
    kind: str
    is_required: bool
    is_personal: bool
    words: str


@dataclass(frozen=True)
class Example:
    """A message as it could arrive: what it shows, its headers and its data."""

    name: str
    headers: Json
    data: Json


@dataclass(frozen=True)
class Event:
    """One type of event."""

    type: str
    title: str
    words: str
    address: str
    exchange: str
    heard_by: tuple[str, ...]
    members: tuple[Member, ...]
    examples: tuple[Example, ...]

    @property
    def typical(self) -> Example:
        """Give the example to look at first."""
        return next((one for one in self.examples if one.name == "typical"), self.examples[0])


@dataclass(frozen=True)
class Told:
    """A service and its events, with what their headers have in common."""

    service: str
    events: tuple[Event, ...]
    headers: tuple[Member, ...]


def told_by(document: Json) -> tuple[Told, ...]:
    """Return the chapters of the page, in the document's order."""
    by_service: dict[str, list[Event]] = {}
    headers: dict[str, tuple[Member, ...]] = {}
    for channel in document["channels"].values():
        if channel["bindings"]["amqp"]["is"] == "routingKey":
            [reference] = channel["messages"].values()
            message = _at(document, reference["$ref"])
            service = channel["tags"][0]["name"]
            headers.setdefault(service, tuple(_headers(message["headers"])))
            by_service.setdefault(service, []).append(_event(document, channel, message))
    return tuple(
        Told(service, tuple(events), headers[service]) for service, events in by_service.items()
    )


def _event(document: Json, channel: Json, message: Json) -> Event:
    schema = _at(document, message["payload"]["schema"]["$ref"])
    examples = (Example(one["name"], one["headers"], one["payload"]) for one in message["examples"])
    return Event(
        type=message["name"],
        title=message["title"],
        words=message["summary"],
        address=channel["address"],
        exchange=channel["bindings"]["amqp"]["exchange"]["name"],
        heard_by=tuple(_hearing(document, message["name"])),
        members=tuple(_members(document, schema)),
        examples=tuple(examples),
    )


def _hearing(document: Json, event_type: str) -> Iterator[str]:
    for channel in document["channels"].values():
        if f"{event_type}.*" in channel.get("x-bindings", ()):
            yield channel["tags"][0]["name"]


def _headers(schema: Json) -> Iterator[Member]:
    for name, one in schema["properties"].items():
        is_required = name in schema["required"]
        yield Member(name, _kind(one), is_required, is_personal=False, words=one["description"])


def _members(document: Json, schema: Json, before: str = "") -> Iterator[Member]:
    for name, part in schema.get("properties", {}).items():
        whole = _resolved(document, part)
        yield Member(
            path=f"{before}{name}",
            kind=_kind(whole),
            is_required=name in schema.get("required", ()),
            is_personal=bool(whole.get("pii")),
            words=part.get("description", ""),
        )
        if "properties" in whole:
            yield from _members(document, whole, f"{before}{name}.")
        elif isinstance(items := whole.get("items"), Mapping):
            yield from _members(document, _resolved(document, items), f"{before}{name}[].")


def _kind(schema: Json) -> str:
    """Say in words what a value looks like."""
    if "const" in schema:
        return f"always {schema['const']}"
    if "enum" in schema:
        return " · ".join(schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        inner = schema["items"]
        return "list of " + (_kind(inner) if {"type", "enum", "anyOf"} & inner.keys() else "parts")
    if schema.get("type") == "object":
        values = schema.get("additionalProperties")
        return f"map to {_kind(values)}" if isinstance(values, Mapping) else "parts"
    return str(schema.get("format") or schema.get("type", "anything"))


def _resolved(document: Json, schema: Json) -> Json:
    references = [one["$ref"] for one in (schema, *schema.get("allOf", ())) if "$ref" in one]
    for reference in references:
        schema = {**_at(document, reference), **schema}
    return schema


def _at(document: Json, reference: str) -> Json:
    """Return what a reference leads to."""
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return dict(found)
