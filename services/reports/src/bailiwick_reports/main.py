"""The composition root of reports: the only file that knows all of its rooms."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer
from fastapi import FastAPI

from bailiwick_access.authorizer import QUESTIONS
from bailiwick_access.composition import (
    customers_replica,
    entered,
    identity_replica,
)
from bailiwick_kit.bus.lanes import in_both_lanes
from bailiwick_kit.database.engine import Database
from bailiwick_kit.errors import Unavailable
from bailiwick_kit.imports.jsonl import LineError
from bailiwick_kit.policy.client import policy_of
from bailiwick_kit.process.housekeeping import Housekeeping
from bailiwick_kit.process.service import Service, Work
from bailiwick_kit.replication.replica import Replica
from bailiwick_kit.web.app import create_app
from bailiwick_kit.web.read_your_writes import versions_in
from bailiwick_reports.actions.rebuild import rebuild
from bailiwick_reports.actions.verify import Findings, verify
from bailiwick_reports.api import exports, reports
from bailiwick_reports.api.concurrency import Turns
from bailiwick_reports.api.dependencies import ReportsApp
from bailiwick_reports.api.spreadsheets import DownloadQuota
from bailiwick_reports.events.customers import from_customers
from bailiwick_reports.events.identity import from_identity
from bailiwick_reports.events.orders import from_orders
from bailiwick_reports.events.placed_totals import read_tally
from bailiwick_reports.settings import Settings
from bailiwick_reports.store import cube, replica_repair, tables
from bailiwick_reports.store.cube_rebuild import Cube
from bailiwick_reports.store.queries import ReportQueries
from bailiwick_reports.store.replica import CustomersReplica

T = TypeVar("T")

DEADLINE = 600
"""Seconds that a statement of an operator's command may take: a million orders are counted in one."""


def application(settings: Settings) -> FastAPI:
    """Build the HTTP application. It connects when it starts, and to what it needs when that is there."""
    database = Database(settings.database_api_url.get_secret_value(), name="reports-api")
    policy = policy_of(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        members, organizations = tables.members, tables.organizations
        lookups = {
            "identity": versions_in(database, members.c.member_id, organizations.c.org_id),
            "customers": versions_in(
                database, tables.customers.c.customer_id, tables.assignments.c.assignment_id
            ),
            "orders": versions_in(database, tables.orders.c.order_id),
        }
        async with entered(settings, database, policy, members, organizations, lookups) as entrance:
            yield ReportsApp(
                service="reports",
                entrance=entrance,
                queries=ReportQueries(),
                quota=DownloadQuota(exports.ROOM, exports.SHARE),
                turns=Turns(exports.AT_ONCE, exports.OF_ONE),
            ).state

    return create_app(
        title="Bailiwick reports",
        version="1",
        description="What was sold, by whom and to whom, as far as the caller may see it.",
        routers=[reports.router, exports.router],
        lifespan=lifespan,
    )


@asynccontextmanager
async def replicas(
    settings: Settings, database: Database
) -> AsyncIterator[tuple[Replica, Replica]]:
    """Open the change feeds of both authorities; yield the replicas of identity and of customers."""
    async with (
        identity_replica(
            settings, database, tables.members, tables.organizations, tables.replica_positions
        ) as identity,
        customers_replica(
            settings, database, tables.replica_positions, CustomersReplica().appliers()
        ) as customers,
    ):
        yield identity, customers


@asynccontextmanager
async def work(settings: Settings) -> AsyncIterator[Sequence[Work]]:
    """Open what the worker needs; yield what it does."""
    worker_url = settings.database_worker_url.get_secret_value()
    broker_url = settings.broker_url.get_secret_value()
    async with (
        Database(worker_url, name="reports-worker") as database,
        replicas(settings, database) as (identity, customers),
    ):
        yield [
            *in_both_lanes(from_identity(identity, broker_url, tables.inbox)),
            *in_both_lanes(from_customers(customers, broker_url, tables.inbox)),
            *in_both_lanes(from_orders(cube.count, database, broker_url, tables.inbox)),
            identity.keep_up,
            customers.keep_up,
            Housekeeping(database, inbox=tables.inbox).run,
        ]


service = Service(
    name="reports",
    settings=Settings,
    migrations=Path(__file__).parent / "store" / "migrations",
    application=application,
    work=work,
    questions=QUESTIONS,
)
program = service.command_line()

_Org = Annotated[UUID, typer.Option(help="The organization.")]


@asynccontextmanager
async def operator(settings: Settings) -> AsyncIterator[tuple[Cube, Sequence[replica_repair.Copy]]]:
    """Open what an operator's commands need: the cube, and the replicas before their feeds."""
    url = settings.database_worker_url.get_secret_value()
    async with (
        Database(url, name="reports-operator", pool=2, deadline=DEADLINE) as database,
        replicas(settings, database) as (identity, customers),
    ):
        yield (
            Cube(database),
            (replica_repair.of_identity(identity), replica_repair.of_customers(customers)),
        )


@program.command("rebuild")
def rebuild_(
    org: _Org,
    *,
    from_nothing: Annotated[
        bool, typer.Option("--from-nothing", help="Forget what each order counts for, too.")
    ] = False,
) -> None:
    """Rebuild replicas and cube while reports goes on serving; `orders republish` sends the orders again."""
    settings = service.load("worker")

    async def rebuilt() -> None:
        async with operator(settings) as (cube, replicas):
            async for said in rebuild(replicas, cube, org, forgetting=from_nothing):
                typer.echo(said)

    _run(rebuilt())


@program.command("verify")
def verify_(org: _Org) -> None:
    """Compare cube and replicas with their sources; pipe `orders tally` into it."""
    settings = service.load("worker")

    async def verified() -> Findings:
        tally = read_tally(sys.stdin.buffer)
        async with operator(settings) as (cube, replicas):
            return await verify(tally, cube, replicas, org)

    findings = _run(verified())
    for line in findings.in_words():
        typer.echo(line)
    typer.echo(findings.advice(org))
    if findings:
        raise typer.Exit(1)


def _run(command: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(command)
    except LineError as error:
        said = str(error)
    except Unavailable:
        said = "identity or customers does not answer: start it, and run this again."
    typer.echo(said, err=True)
    raise typer.Exit(2)
