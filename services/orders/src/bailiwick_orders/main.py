"""The composition root of orders: the only file that knows all of its rooms."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from fastapi import FastAPI

from bailiwick_access.authorizer import QUESTIONS
from bailiwick_access.composition import entered
from bailiwick_contracts.catalogue import BOUND, SUBSCRIBED, SUBSCRIBER, queue_name
from bailiwick_contracts.envelope import EXCHANGE, bulk
from bailiwick_contracts.orders import OrderSnapshot
from bailiwick_kit.bus.broker import LOST
from bailiwick_kit.bus.lanes import in_both_lanes
from bailiwick_kit.bus.relay import Relay
from bailiwick_kit.bus.topology import is_declared
from bailiwick_kit.clock import SystemClock
from bailiwick_kit.database.engine import Database
from bailiwick_kit.imports import jsonl
from bailiwick_kit.policy.client import policy_of
from bailiwick_kit.process.housekeeping import Housekeeping
from bailiwick_kit.process.sampling import OutboxSampling
from bailiwick_kit.process.service import Service, Work
from bailiwick_kit.web.app import create_app
from bailiwick_kit.web.pages import Cursors
from bailiwick_kit.web.read_your_writes import versions_in
from bailiwick_orders import importing
from bailiwick_orders.api import orders
from bailiwick_orders.api.dependencies import OrdersApp
from bailiwick_orders.events.customers import from_customers
from bailiwick_orders.events.identity import from_identity
from bailiwick_orders.settings import Settings
from bailiwick_orders.store import tables
from bailiwick_orders.store.customer_names import Renaming
from bailiwick_orders.store.fan_out import FanOut
from bailiwick_orders.store.fan_out_sampling import FanOutSampling
from bailiwick_orders.store.placed_totals import Tally
from bailiwick_orders.store.queries import OrderQueries
from bailiwick_orders.store.snapshots import Snapshots
from bailiwick_orders.store.unit_of_work import OpenUnit

HEARING = frozenset(
    queue_name(consumer, "orders")
    for consumer, publishers in SUBSCRIBED.items()
    if OrderSnapshot in publishers.get("orders", ())
)
"""The queues of ours that all orders may be told to again. Elsewhere they go to their own organization."""


def application(settings: Settings) -> FastAPI:
    """Build the HTTP application. It connects when it starts, and to what it needs when that is there."""
    database = Database(settings.database_api_url.get_secret_value(), name="orders-api")
    policy = policy_of(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        members, organizations = tables.members, tables.organizations
        lookups = {
            "identity": versions_in(database, members.c.member_id, organizations.c.org_id),
            "customers": versions_in(
                database,
                tables.customers.c.customer_id,
                tables.assignments.c.assignment_id,
                late=tables.fan_outs.c.assignment_id,
            ),
        }
        async with entered(settings, database, policy, members, organizations, lookups) as entrance:
            yield OrdersApp(
                service="orders",
                entrance=entrance,
                queries=OrderQueries(),
                open_unit=OpenUnit(database, entrance.clock),
                cursors=Cursors(settings.cursor_secret.get_secret_value()),
            ).state

    return create_app(
        title="Bailiwick orders",
        version="1",
        description="What customers buy: drafts, placed orders, and who may see them.",
        routers=[orders.router],
        lifespan=lifespan,
    )


@asynccontextmanager
async def work(settings: Settings) -> AsyncIterator[Sequence[Work]]:
    """Open what the worker needs; yield what it does."""
    worker_url = settings.database_worker_url.get_secret_value()
    broker_url = settings.broker_url.get_secret_value()
    async with (
        Database(worker_url, name="orders-worker") as database,
        importing.replicas(settings, database) as (identity, customers),
    ):
        yield [
            Relay(worker_url, broker_url, "orders", EXCHANGE, BOUND).run,
            OutboxSampling(database, tables.outbox).run,
            *in_both_lanes(from_identity(identity, broker_url, tables.inbox)),
            *in_both_lanes(from_customers(customers, broker_url, tables.inbox)),
            identity.keep_up,
            customers.keep_up,
            FanOut(database).run,
            FanOutSampling(database).run,
            Renaming(database).run,
            Housekeeping(database, tables.outbox, tables.idempotency_keys, tables.inbox).run,
        ]


service = Service(
    name="orders",
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
    """Import orders, a JSON object a line of standard input."""
    raise typer.Exit(importing.run(service.load("worker"), org, member, source, update=update))


@program.command()
def republish(
    org: Annotated[UUID, typer.Option(help="The organization whose orders are sent again.")],
    to: Annotated[
        str,
        typer.Option(help=f"The one queue to send them to: reports.orders, or {SUBSCRIBER}.ORG.…"),
    ],
) -> None:
    """Send the present state of all orders again, to one consumer that rebuilds.

    They are written into the outbox, for the worker to send beside what people do meanwhile.
    """
    if to not in HEARING and not to.startswith(f"{SUBSCRIBER}.{org}."):
        known = ", ".join(sorted(HEARING))
        raise typer.BadParameter(f"name {known}, or the organization's own {SUBSCRIBER}.{org}.…")
    settings = service.load("worker")
    queue = bulk(to) if to in HEARING else to
    try:
        is_there = asyncio.run(is_declared(settings.broker_url.get_secret_value(), queue))
    except LOST as error:
        typer.echo(
            f"The broker does not answer ({type(error).__name__}). Nothing is sent.", err=True
        )
        raise typer.Exit(1) from None
    if not is_there:
        makes = "`migrate`" if to in HEARING else "notifier's `subscribers add`"
        typer.echo(f"There is no queue {queue}; {makes} makes it. Nothing is sent.", err=True)
        raise typer.Exit(1)

    async def written() -> int:
        url = settings.database_worker_url.get_secret_value()
        async with Database(url, name="orders-republish", pool=1) as database:
            return await Snapshots(database, SystemClock()).republish(org, queue)

    typer.echo(f"{asyncio.run(written())} orders are in the outbox, to be sent to {queue}")


@program.command()
def tally(
    org: Annotated[UUID, typer.Option(help="The organization whose placed orders are counted.")],
) -> None:
    """Count placed orders by everything that reports are asked for, a JSON object a line."""
    settings = service.load("worker")

    async def counted() -> AsyncIterator[Mapping[str, Any]]:
        url = settings.database_worker_url.get_secret_value()
        async with Database(url, name="orders-tally", pool=1) as database:
            async for row in Tally(database).rows(org):
                yield row

    raise typer.Exit(jsonl.tell(counted()))
