"""What a consumer must be able to hear: the samples of now, of the last release, and of a later one.

Samples are only added to, so those of now are nearly all there is; what the last release had besides
(a sample that was changed or deleted since) is read from it. A later release is made up: its events have
members that nobody here knows.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from typing_extensions import override

from bailiwick_contracts.catalogue import SUBSCRIBED
from bailiwick_contracts.envelope import Event
from bailiwick_kit.bus.consumer import Consumer
from bailiwick_kit.bus.handling import Applying
from bailiwick_kit.bus.messages import Envelope
from bailiwick_kit.database.engine import Database
from bailiwick_kit.process.service import Service
from bailiwick_launcher.databases import DatabaseUrls
from bailiwick_testkit.checkout import CHECKOUT, released
from bailiwick_testkit.services.application import settings_for

FOLDER = Path("contracts", "samples")
A_LATER_MEMBER = "a_member_of_a_later_release"


@dataclass(frozen=True)
class Sample:
    """One event's data as text, and where it comes from: `placed.v1/typical, last release`."""

    event: type[Event]
    name: str
    text: str

    @override
    def __str__(self) -> str:
        """Name it, for a test's id."""
        return f"{self.event.type}/{self.name}"

    def document(self, org_id: UUID, *, later: bool = False) -> dict[str, Any]:
        """Return its data in an organization of the test's own, as a later release might tell it too."""
        document: dict[str, Any] = {**json.loads(self.text), "org_id": str(org_id)}
        schema = self.event.model_json_schema(mode="serialization")
        return _grown(document, schema, schema) if later else document


def samples_for(consumer: str) -> list[Sample]:
    """Return every sample of every event that a service hears, of now and of the last release."""
    heard = [event for events in SUBSCRIBED[consumer].values() for event in events]
    return [sample for event in heard for sample in _samples(event)]


@cache
def _samples(event: type[Event]) -> tuple[Sample, ...]:
    now = {path.stem: path.read_text("utf-8") for path in _folder(event).glob("*.json")}
    before = {path.stem: text for path, text in _released(event).items()}
    gone = {f"{name}, last release": text for name, text in before.items() if now.get(name) != text}
    return tuple(Sample(event, name, text) for name, text in sorted({**now, **gone}.items()))


def _folder(event: type[Event]) -> Path:
    return CHECKOUT / FOLDER / event.type


def _released(event: type[Event]) -> Mapping[Path, str]:
    return {path: text for path, text in _all_released().items() if path.parent.name == event.type}


@cache
def _all_released() -> Mapping[Path, str]:
    return released(str(FOLDER))


def _grown(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    """Give every part that has named members one that nobody knows; maps and lists stay as they are."""
    for form in _forms(schema, root):
        if isinstance(value, dict) and "properties" in form:
            known = form["properties"]
            parts = {name: _grown(part, known.get(name, {}), root) for name, part in value.items()}
            return {**parts, A_LATER_MEMBER: {"of": ["whatever", 1, None]}}
        if isinstance(value, list) and isinstance(form.get("items"), dict):
            return [_grown(part, form["items"], root) for part in value]
    return value


def _forms(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Give what a value may look like: references followed, alternatives one by one."""
    if reference := schema.get("$ref"):
        schema = root["$defs"][str(reference).removeprefix("#/$defs/")]
    yield schema
    for one in schema.get("anyOf", ()):
        yield from _forms(one, root)


@dataclass(frozen=True)
class Listener:
    """A service's own consumers on a database, fed by hand: no broker, and every change feed shut.

    `database` is open as the owner: a worker may not read all that it keeps.
    """

    service: str
    database: Database
    consumers: tuple[Consumer, ...]
    tables: Mapping[str, sa.Table]

    async def hear(
        self, sample: Sample, *, org_id: UUID, event_id: UUID, later: bool = False
    ) -> None:
        """Take one event as if it had just come from the broker.

        Raises:
            PoisonError, Exception: what the consumer would set aside or try again for.
        """
        consumer = next(one for one in self.consumers if sample.event in one.handlers)
        document = sample.document(org_id, later=later)
        subject = sample.event.model_validate(document).subject
        body = json.dumps(document).encode()
        envelope = Envelope(event_id, sample.event.type, subject, body)
        applying = Applying(consumer.database, consumer.inbox, consumer.handlers)
        await applying.apply([applying.read(envelope)])

    async def state(self, org_id: UUID) -> dict[str, list[tuple[Any, ...]]]:
        """Return what the service keeps of an organization, without that organization's id."""
        found = {}
        async with self.database.reading(org_id) as connection:
            for name, table in sorted(self.tables.items()):
                columns = [column for column in table.columns if column.name != "org_id"]
                rows = await connection.execute(sa.select(*columns).where(table.c.org_id == org_id))
                found[name] = sorted((tuple(row) for row in rows), key=repr)
        return {name: rows for name, rows in found.items() if rows}

    async def heard(self, sample: Sample, *, later: bool = False) -> Mapping[str, Any]:
        """Hear a sample in a new organization, the same event again, and one that says the same.

        Return what is then kept. An event that comes twice must leave what it left once.
        """
        org_id, first, second = uuid4(), uuid4(), uuid4()
        await self.hear(sample, org_id=org_id, event_id=first, later=later)
        once = await self.state(org_id)
        for event_id in (first, second):
            await self.hear(sample, org_id=org_id, event_id=event_id, later=later)
            assert await self.state(org_id) == once, f"{sample} twice is not {sample} once"  # noqa: S101
        return once


@asynccontextmanager
async def listening(
    service: Service[Any], tables: sa.MetaData, urls: DatabaseUrls, **more: Any
) -> AsyncIterator[Listener]:
    """Open a service's consumers as its worker does, on a database of its own.

    `more` are settings that only this service has.
    """
    async with (
        service.work(settings_for(service.settings, urls, **more)) as jobs,
        Database(urls.owner, pool=1) as database,
    ):
        owners = [getattr(job, "__self__", None) for job in jobs]
        consumers = tuple(owner for owner in owners if isinstance(owner, Consumer))
        kept = {
            name: table
            for name, table in tables.tables.items()
            if "org_id" in table.c and name not in {"outbox", "audit"}
        }
        yield Listener(service.name, database, consumers, kept)
