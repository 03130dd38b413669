"""The composition root of identity: the only file that knows all of its rooms."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import typer
from fastapi import FastAPI

from bailiwick_access.authorizer import QUESTIONS
from bailiwick_access.composition import entered
from bailiwick_contracts.catalogue import BOUND
from bailiwick_contracts.envelope import EXCHANGE
from bailiwick_identity import founding
from bailiwick_identity.api import members, organization, token
from bailiwick_identity.api.dependencies import IdentityApp
from bailiwick_identity.importing import add_import
from bailiwick_identity.rules.throttle import Throttle
from bailiwick_identity.settings import Settings
from bailiwick_identity.store import tables
from bailiwick_identity.store.changes import IdentityChanges
from bailiwick_identity.store.expiry import SessionExpiry
from bailiwick_identity.store.passwords import ArgonPasswords
from bailiwick_identity.store.queries import IdentityQueries
from bailiwick_identity.store.sign_ins import StoredSignIns
from bailiwick_identity.store.signing_keys import SigningKeys, SigningKeysError
from bailiwick_identity.store.unit_of_work import OpenUnit
from bailiwick_kit.bus.relay import Relay
from bailiwick_kit.database.engine import Database
from bailiwick_kit.policy.client import policy_of
from bailiwick_kit.process.housekeeping import Housekeeping
from bailiwick_kit.process.sampling import OutboxSampling
from bailiwick_kit.process.service import Service, Work
from bailiwick_kit.replication.change_feed_routes import change_feed_routes
from bailiwick_kit.tokens.jwks import StaticKeys
from bailiwick_kit.web.app import create_app
from bailiwick_kit.web.pages import Cursors


def application(settings: Settings) -> FastAPI:
    """Build the HTTP application. It connects when it starts, and to what it needs when that is there."""
    database = Database(settings.database_api_url.get_secret_value(), name="identity-api")
    # The change feed is read as the worker: the API's role sees one organization at a time.
    feed = Database(settings.database_worker_url.get_secret_value(), name="identity-feed", pool=2)
    policy = policy_of(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        keys = SigningKeys.load(settings.signing_keys, settings.issuer)
        passwords = passwords_of(settings)
        sign_ins = StoredSignIns(database)
        # No position of identity's has to be waited for here: this is where they come from.
        async with (
            feed,
            entered(
                settings,
                database,
                policy,
                tables.members,
                tables.organizations,
                {},
                own_keys=StaticKeys(*keys.public),
            ) as entrance,
        ):
            try:
                yield IdentityApp(
                    service="identity",
                    entrance=entrance,
                    queries=IdentityQueries(),
                    open_unit=OpenUnit(database, keys.derived("idempotency"), entrance.clock),
                    cursors=Cursors(settings.cursor_secret.get_secret_value()),
                    sign_ins=sign_ins,
                    passwords=passwords,
                    keys=keys,
                    throttle=Throttle(sign_ins, settings.failed_sign_ins_per_address),
                ).state
            finally:
                passwords.close()

    return create_app(
        title="Bailiwick identity",
        version="1",
        description="Organizations, members with their grants, and signing in.",
        routers=[
            token.router,
            organization.router,
            members.router,
            change_feed_routes(IdentityChanges(feed), [settings.door_secret]),
        ],
        lifespan=lifespan,
    )


def passwords_of(settings: Settings) -> ArgonPasswords:
    """Return what hashes passwords, as hard as the settings say."""
    return ArgonPasswords(
        time_cost=settings.password_time_cost,
        memory_kib=settings.password_memory_kib,
        parallelism=settings.password_parallelism,
        at_once=settings.passwords_at_once,
    )


@asynccontextmanager
async def work(settings: Settings) -> AsyncIterator[Sequence[Work]]:
    """Open what the worker needs; yield what it does."""
    worker_url = settings.database_worker_url.get_secret_value()
    broker_url = settings.broker_url.get_secret_value()
    async with Database(worker_url, name="identity-worker", pool=3) as database:
        yield [
            Relay(worker_url, broker_url, "identity", EXCHANGE, BOUND).run,
            OutboxSampling(database, tables.outbox).run,
            Housekeeping(database, tables.outbox, tables.idempotency_keys).run,
            SessionExpiry(database).run,
        ]


@asynccontextmanager
async def operator(settings: Settings) -> AsyncIterator[founding.Tools]:
    """Open what an operator's command needs; it goes through the same actions as everybody."""
    try:
        keys = SigningKeys.load(settings.signing_keys, settings.issuer)
    except SigningKeysError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    database = Database(settings.database_api_url.get_secret_value(), name="identity-operator")
    passwords = passwords_of(settings)
    try:
        yield founding.Tools(
            OpenUnit(database, keys.derived("idempotency")), StoredSignIns(database), passwords
        )
    finally:
        passwords.close()
        await database.close()


service = Service(
    name="identity",
    settings=Settings,
    migrations=Path(__file__).parent / "store" / "migrations",
    application=application,
    work=work,
    questions=QUESTIONS,
)
program = service.command_line()
founding.add_to(program, lambda: operator(service.load("api")))
add_import(program, lambda: operator(service.load("api")))
