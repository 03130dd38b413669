"""The composition root of notifier: the only file that knows all of its rooms."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from bailiwick_access.authorizer import QUESTIONS, Gate
from bailiwick_access.composition import (
    customers_replica,
    entered,
    identity_replica,
)
from bailiwick_kit.bus.lanes import in_both_lanes
from bailiwick_kit.clock import SystemClock
from bailiwick_kit.database.engine import Database
from bailiwick_kit.policy.client import policy_of
from bailiwick_kit.process.housekeeping import Housekeeping
from bailiwick_kit.process.service import Service, Work
from bailiwick_kit.web.app import create_app
from bailiwick_kit.web.pages import Cursors
from bailiwick_kit.web.read_your_writes import versions_in
from bailiwick_notifier import mail_templates
from bailiwick_notifier.actions.fix_recipients import Desk
from bailiwick_notifier.actions.send_dispatch import Office
from bailiwick_notifier.api import deliveries, preferences
from bailiwick_notifier.api.dependencies import NotifierApp
from bailiwick_notifier.events.customers import from_customers
from bailiwick_notifier.events.identity import from_identity
from bailiwick_notifier.events.orders import from_orders
from bailiwick_notifier.mail.sending import Mailer
from bailiwick_notifier.settings import Settings
from bailiwick_notifier.store import tables
from bailiwick_notifier.store.backlog_metrics import Waiting
from bailiwick_notifier.store.dispatches import StoredDispatches
from bailiwick_notifier.store.notices import KeepChanged, StoredNotices, TakeNotice
from bailiwick_notifier.store.queries import DeliveryQueries
from bailiwick_notifier.store.replica import CustomersReplica
from bailiwick_notifier.store.retention import Retention
from bailiwick_notifier.store.unit_of_work import OpenUnit
from bailiwick_notifier.subscribing import subscriber_commands
from bailiwick_notifier.workers import Fixing, Patient, Sending


def application(settings: Settings) -> FastAPI:
    """Build the HTTP application. It connects when it starts, and to what it needs when that is there."""
    database = Database(settings.database_api_url.get_secret_value(), name="notifier-api")
    policy = policy_of(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        members, organizations = tables.members, tables.organizations
        # Of customers nothing is shown here, so no position of theirs has to be waited for.
        lookups = {"identity": versions_in(database, members.c.member_id, organizations.c.org_id)}
        async with entered(settings, database, policy, members, organizations, lookups) as entrance:
            yield NotifierApp(
                service="notifier",
                entrance=entrance,
                queries=DeliveryQueries(),
                open_unit=OpenUnit(database),
                cursors=Cursors(settings.cursor_secret.get_secret_value()),
            ).state

    return create_app(
        title="Bailiwick notifier",
        version="1",
        description="Mails about new orders: to whom, whether sent, and what each member wants.",
        routers=[
            preferences.router,
            deliveries.router,
        ],
        lifespan=lifespan,
    )


@asynccontextmanager
async def work(settings: Settings) -> AsyncIterator[Sequence[Work]]:
    """Open what the worker needs; yield what it does."""
    broker_url, clock = settings.broker_url.get_secret_value(), SystemClock()
    members, organizations = tables.members, tables.organizations
    positions, customers_appliers = tables.replica_positions, CustomersReplica(clock).appliers()
    async with (
        Database(
            settings.database_worker_url.get_secret_value(), name="notifier-worker"
        ) as database,
        policy_of(settings) as policy,
        identity_replica(settings, database, members, organizations, positions) as identity,
        customers_replica(settings, database, positions, customers_appliers) as customers,
    ):
        gate = Gate(policy)
        desk = Desk(
            notices=StoredNotices(database),
            customers=Patient(customers),
            identity=Patient(identity),
            gate=gate,
            clock=clock,
        )
        office = Office(
            dispatches=StoredDispatches(database),
            gate=gate,
            letters=mail_templates,
            mailer=Mailer(settings.smtp_url.get_secret_value(), deadline=settings.mail_deadline),
            clock=clock,
            sender=settings.mail_from,
            public_url=settings.public_url,
            deadline=timedelta(seconds=settings.mail_deadline),
            first_pause=timedelta(seconds=settings.mail_retry_after),
        )
        yield [
            *in_both_lanes(from_identity(identity, broker_url, tables.inbox)),
            *in_both_lanes(from_customers(customers, broker_url, tables.inbox)),
            *in_both_lanes(
                from_orders(
                    database,
                    broker_url,
                    tables.inbox,
                    take=TakeNotice(clock),
                    keep=KeepChanged(clock),
                )
            ),
            identity.keep_up,
            customers.keep_up,
            Fixing(desk).run,
            Sending(office).run,
            Housekeeping(database, inbox=tables.inbox).run,
            Retention(database, clock).run,
            Waiting(database, clock).run,
        ]


service = Service(
    name="notifier",
    settings=Settings,
    migrations=Path(__file__).parent / "store" / "migrations",
    application=application,
    work=work,
    questions=QUESTIONS,
)
program = service.command_line()
# Of no process: whoever lets others in is given the broker and nothing else.
program.add_typer(subscriber_commands(service.load), name="subscribers")
