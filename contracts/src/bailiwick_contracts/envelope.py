"""What every event has in common: frozen, self-contained, whole state of one entity and its version.

An event class is the only place that knows its type; the type names the schema file, and the routing
key is the type followed by the organization (D15).
"""

from __future__ import annotations

from abc import abstractmethod
from decimal import Decimal
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from bailiwick_contracts.instants import Instant

EXCHANGE = "bailiwick"
"""The topic exchange of what people do now (D14)."""


def bulk(name: str) -> str:
    """Return the exchange or queue beside this one that bulk goes through (ADR 15)."""
    return f"{name}.bulk"


Pii = Field(json_schema_extra={"pii": True})
"""Marks personal data (D20): what erasure nulls, and what logs never hold."""

DECIMAL = r"^-?[0-9]+(\.[0-9]+)?$"
"""How an amount is written in every event that was ever published: digits, with a point at most (ADR 27)."""

Amount = Annotated[
    Decimal,
    Field(max_digits=18, decimal_places=4, description="A decimal, as a string."),
    PlainSerializer(lambda value: format(value, "f"), return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": DECIMAL}, mode="serialization"),
]
"""A decimal of up to four places; a string in JSON, so that nobody reads it as a float (D30)."""


class Payload(BaseModel):
    """A part of an event. Readers ignore members they do not know (additive change within a version)."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Event(Payload):
    """A fact about one entity. Subclasses say their `type`, and which member identifies the entity."""

    type: ClassVar[str]

    org_id: UUID = Field(description="The organization that it happened in.")
    version: int = Field(
        ge=1, description="The entity's version; a higher one replaces a lower one."
    )

    @property
    @abstractmethod
    def subject(self) -> UUID:
        """The entity that the event is about: the CloudEvents subject."""

    @property
    def routing_key(self) -> str:
        """Type and organization, so that a binding can select either (D15)."""
        return f"{self.type}.{self.org_id}"

    @classmethod
    def binding_key(cls) -> str:
        """Return the pattern that selects this type in every organization."""
        return f"{cls.type}.*"


class Sequenced(Event):
    """A fact from one of the two authorities, numbered without gaps per organization (D4)."""

    seq: int = Field(ge=1, description="The authority's gap-free number of this change.")


class Interval(Payload):
    """A half-open stretch of time [valid_from, valid_to), UTC; the open end is 9999-12-31 (D7)."""

    valid_from: Instant = Field(description="From this instant on it holds.")
    valid_to: Instant = Field(description="From this instant on it no longer holds.")
