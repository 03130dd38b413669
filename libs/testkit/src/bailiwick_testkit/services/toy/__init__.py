"""A service without business, to try kit's bus and database on: it tells itself about things.

One database has both ends: who changes a thing writes it to `originals` and to the outbox; the queue
`listener.things` brings it back to `copies`, as a replica would have it, and to `effects`, which counts
how often each version had its effect and so shows whatever was doubled.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from typing_extensions import override

from bailiwick_contracts.envelope import Event, Sequenced
from bailiwick_kit import crash_points
from bailiwick_kit.bus import topology
from bailiwick_kit.bus.consumer import Consumer
from bailiwick_kit.bus.handling import Handler, SingleHandler, one_by_one
from bailiwick_kit.bus.inbox import inbox_table
from bailiwick_kit.bus.outbox import outbox_table, record
from bailiwick_kit.bus.relay import Relay
from bailiwick_kit.database import migrations
from bailiwick_kit.database.audit import audit_table
from bailiwick_kit.database.engine import Database
from bailiwick_kit.replication.change_counter import change_counters_table
from bailiwick_kit.replication.replica import replica_positions_table
from bailiwick_kit.telemetry.trace import trace_parent
from bailiwick_launcher.databases import DatabaseUrls
from bailiwick_testkit.servers.real import Postgres

EXCHANGE = "things"
QUEUE = "listener.things"
MIGRATIONS = Path(__file__).parent / "migrations"


class ThingChanged(Sequenced):
    """A thing was made or changed."""

    type: ClassVar[str] = "things.thing.changed.v1"

    thing_id: UUID
    name: str = ""
    chunks: int = 1

    @property
    @override
    def subject(self) -> UUID:
        return self.thing_id


metadata = sa.MetaData()
outbox = outbox_table(metadata)
inbox = inbox_table(metadata)
audit = audit_table(metadata)
change_counters = change_counters_table(metadata)
replica_positions = replica_positions_table(metadata)


def _things(name: str) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        sa.Column("org_id", sa.Uuid, primary_key=True),
        sa.Column("thing_id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )


originals = _things("originals")
copies = _things("copies")
effects = sa.Table(
    "effects",
    metadata,
    sa.Column("org_id", sa.Uuid, primary_key=True),
    sa.Column("thing_id", sa.Uuid, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("times", sa.Integer, nullable=False),
)


async def upsert(connection: AsyncConnection, table: sa.Table, event: ThingChanged) -> None:
    """Write the thing unless the same or a higher version is there."""
    row = {column.name: getattr(event, column.name) for column in table.columns}
    statement = insert(table).values(**row)
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(table.primary_key.columns),
            set_={"name": event.name, "version": event.version},
            where=table.c.version < event.version,
        )
    )


async def copy(connection: AsyncConnection, event: Event) -> None:
    """Handle an event: keep the newest version of the thing, and count the effect."""
    assert isinstance(event, ThingChanged)  # noqa: S101
    await upsert(connection, copies, event)
    key = {"org_id": event.org_id, "thing_id": event.thing_id, "version": event.version}
    counted = insert(effects).values(**key, times=1)
    await connection.execute(
        counted.on_conflict_do_update(
            index_elements=list(effects.primary_key.columns),
            set_={"times": effects.c.times + 1},
        )
    )


def changed(
    org_id: UUID, thing_id: UUID | None = None, version: int = 1, *, seq: int | None = None
) -> ThingChanged:
    """Make an event."""
    return ThingChanged(
        org_id=org_id,
        thing_id=thing_id or uuid4(),
        version=version,
        seq=seq or version,
        name=f"version {version}",
    )


@dataclass
class Things:
    """The service: its database under each role, and its broker."""

    urls: DatabaseUrls
    broker_url: str
    admin_dsn: str
    api: Database = field(init=False)
    worker: Database = field(init=False)

    def __post_init__(self) -> None:
        self.api = Database(self.urls.api, name="things-api", pool=3)
        self.worker = Database(self.urls.worker, name="things-worker", pool=4)

    async def change(
        self, *events: ThingChanged, recipient: str | None = None, bulk: bool = False
    ) -> list[UUID]:
        """Change things of one organization, as an action would; return the ids of the events."""
        async with self.api.writing(events[0].org_id) as connection:
            for event in events:
                await upsert(connection, originals, event)
            ids = await record(
                connection,
                outbox,
                events,
                trace_parent=trace_parent(),
                recipient=recipient,
                bulk=bulk,
            )
            crash_points.reach("action.before-commit")
        crash_points.reach("action.after-commit")
        return ids

    async def declare(self) -> None:
        """Declare the exchange and the queues."""
        bindings = {QUEUE: [ThingChanged.binding_key()]}
        await topology.declare(self.broker_url, EXCHANGE, bindings)

    def relay(self, **more: Any) -> Relay:
        """Return a relay of the outbox."""
        where = (self.urls.worker, self.broker_url, "things", EXCHANGE)
        return Relay(*where, {ThingChanged.type}, **more)

    def consumer(
        self, handler: SingleHandler = copy, *, of_many: Handler | None = None, **more: Any
    ) -> Consumer:
        """Return a consumer of the queue, with a handler of each event or of many."""
        handlers: dict[type[Event], Handler] = {ThingChanged: of_many or one_by_one(handler)}
        return Consumer(QUEUE, self.broker_url, self.worker, inbox, handlers, **more)

    def environment(self) -> dict[str, str]:
        """Return what `python -m bailiwick_testkit.services.toy` needs to be told."""
        where = {**asdict(self.urls), "broker": self.broker_url, "admin": self.admin_dsn}
        return {**os.environ, "THINGS": json.dumps(where)}

    async def ask(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """Ask the database as its superuser, past row-level security."""
        connection = await asyncpg.connect(self._own_admin_dsn())
        try:
            return list(await connection.fetch(statement, *values))
        finally:
            await connection.close()

    async def one(self, statement: str, *values: object) -> Any:
        """Ask for one value."""
        return (await self.ask(statement, *values))[0][0]

    async def unsent(self) -> int:
        """Count what the outbox still holds."""
        return int(await self.one("SELECT count(*) FROM outbox WHERE sent_at IS NULL"))

    async def is_settled(self) -> bool:
        """Tell whether all that was recorded has been sent and has had its effect."""
        statement = """
            SELECT count(*) FROM outbox o LEFT JOIN inbox i USING (event_id)
            WHERE o.sent_at IS NULL OR i.done_at IS NULL
        """
        return int(await self.one(statement)) == 0

    async def state(self) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]], set[int]]:
        """Return originals, copies, and how often effects were had: the first two alike, and {1}."""
        columns = "org_id, thing_id, name, version"
        made = await self.ask(f"SELECT {columns} FROM originals ORDER BY {columns}")  # noqa: S608
        kept = await self.ask(f"SELECT {columns} FROM copies ORDER BY {columns}")  # noqa: S608
        times = {row["times"] for row in await self.ask("SELECT times FROM effects")}
        return [tuple(row) for row in made], [tuple(row) for row in kept], times

    async def close(self) -> None:
        """Close the connections."""
        await self.api.close()
        await self.worker.close()

    def _own_admin_dsn(self) -> str:
        return urlsplit(self.admin_dsn)._replace(path=f"/{self.urls.name}").geturl()


async def migrated(postgres: Postgres) -> DatabaseUrls:
    """Return a database of the toy service with its tables made."""
    urls = await postgres.fresh_database("things", migrated=False)
    roles = {"api_role": "things_api", "worker_role": "things_worker"}
    await asyncio.to_thread(migrations.upgrade, MIGRATIONS, urls.owner, **roles)
    return urls


@asynccontextmanager
async def open_things(urls: DatabaseUrls, broker_url: str, admin_dsn: str) -> AsyncIterator[Things]:
    """Open the service, and close it at the end."""
    things = Things(urls, broker_url, admin_dsn)
    try:
        yield things
    finally:
        await things.close()
