"""The composition root of customers: the only file that knows all of its rooms."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from fastapi import FastAPI

from bailiwick_access.authorizer import QUESTIONS
from bailiwick_access.composition import entered, identity_replica
from bailiwick_contracts.catalogue import BOUND
from bailiwick_contracts.envelope import EXCHANGE
from bailiwick_customers import importing
from bailiwick_customers.api import assignments, customers
from bailiwick_customers.api.dependencies import CustomersApp
from bailiwick_customers.events.identity import from_identity
from bailiwick_customers.settings import Settings
from bailiwick_customers.store import tables
from bailiwick_customers.store.changes import CustomerChanges
from bailiwick_customers.store.queries import CustomerQueries
from bailiwick_customers.store.searching import Refolding
from bailiwick_customers.store.unit_of_work import OpenUnit
from bailiwick_kit.bus.lanes import in_both_lanes
from bailiwick_kit.bus.relay import Relay
from bailiwick_kit.database.engine import Database
from bailiwick_kit.policy.client import policy_of
from bailiwick_kit.process.housekeeping import Housekeeping
from bailiwick_kit.process.sampling import OutboxSampling
from bailiwick_kit.process.service import Service, Work
from bailiwick_kit.replication.change_feed_routes import change_feed_routes
from bailiwick_kit.web.app import create_app
from bailiwick_kit.web.pages import Cursors
from bailiwick_kit.web.read_your_writes import versions_in


def application(settings: Settings) -> FastAPI:
    """Build the HTTP application. It connects when it starts, and to what it needs when that is there."""
    database = Database(settings.database_api_url.get_secret_value(), name="customers-api")
    # The change feed is read as the worker: the API's role sees one organization at a time.
    feed = Database(settings.database_worker_url.get_secret_value(), name="customers-feed", pool=2)
    policy = policy_of(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        members, organizations = tables.members, tables.organizations
        lookups = {"identity": versions_in(database, members.c.member_id, organizations.c.org_id)}
        async with (
            feed,
            entered(settings, database, policy, members, organizations, lookups) as entrance,
        ):
            yield CustomersApp(
                service="customers",
                entrance=entrance,
                queries=CustomerQueries(),
                open_unit=OpenUnit(database, entrance.clock),
                cursors=Cursors(settings.cursor_secret.get_secret_value()),
            ).state

    return create_app(
        title="Bailiwick customers",
        version="1",
        description="Who is a customer, on what terms, and whose portfolio they are in.",
        routers=[
            customers.router,
            assignments.router,
            change_feed_routes(CustomerChanges(feed), [settings.door_secret]),
        ],
        lifespan=lifespan,
    )


@asynccontextmanager
async def work(settings: Settings) -> AsyncIterator[Sequence[Work]]:
    """Open what the worker needs; yield what it does."""
    worker_url = settings.database_worker_url.get_secret_value()
    broker_url = settings.broker_url.get_secret_value()
    async with (
        Database(worker_url, name="customers-worker") as database,
        identity_replica(
            settings, database, tables.members, tables.organizations, tables.replica_positions
        ) as identity,
    ):
        yield [
            Relay(worker_url, broker_url, "customers", EXCHANGE, BOUND).run,
            OutboxSampling(database, tables.outbox).run,
            *in_both_lanes(from_identity(identity, broker_url, tables.inbox)),
            identity.keep_up,
            Refolding(database).run,
            Housekeeping(database, tables.outbox, tables.idempotency_keys, tables.inbox).run,
        ]


service = Service(
    name="customers",
    settings=Settings,
    migrations=Path(__file__).parent / "store" / "migrations",
    application=application,
    work=work,
    questions=QUESTIONS,
)
program = service.command_line()


@program.command("import")
def import_(
    org: Annotated[UUID, typer.Option(help="The organization to import into.")],
    source: Annotated[
        str, typer.Option(help="Where it comes from; with a record's own name, its key.")
    ],
    member: Annotated[
        UUID, typer.Option(help="The member who imports, as the audit trail has it.")
    ],
    *,
    update: Annotated[
        bool, typer.Option("--update", help="Take over what has changed since the last import.")
    ] = False,
) -> None:
    """Import customers and assignments, a JSON object a line of standard input."""
    raise typer.Exit(importing.run(service.load("worker"), org, member, source, update=update))
