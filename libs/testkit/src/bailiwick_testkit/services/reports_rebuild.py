"""A reports service with the siblings that it hears made up: what its tests arrange and compare."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bailiwick_contracts.orders import OrderEvent
from bailiwick_kit.replication.replica import Replica
from bailiwick_reports.actions.rebuild import rebuild
from bailiwick_reports.actions.verify import Findings, verify
from bailiwick_reports.domain.differences import Cell, Sums
from bailiwick_reports.main import operator
from bailiwick_reports.settings import Settings
from bailiwick_reports.store import cube, tables
from bailiwick_reports.store.cube_rebuild import Cube
from bailiwick_reports.store.replica_repair import Copy
from bailiwick_testkit.fakes.customers import MadeUpCustomers
from bailiwick_testkit.fakes.orders import MadeUpOrders
from bailiwick_testkit.fakes.people import LONG_AGO
from bailiwick_testkit.services.application import served, settings_for
from bailiwick_testkit.services.service_under_test import ServiceUnderTest

Digest = dict[str, set[tuple[Any, ...]]]
"""Every row of every table."""


@dataclass
class ReportsRebuild:
    """A reports service before the change feeds of made-up siblings."""

    shop: ServiceUnderTest
    customers: MadeUpCustomers
    orders: MadeUpOrders
    cube: Cube
    copies: Sequence[Copy]

    @property
    def replicas(self) -> tuple[Replica, Replica]:
        """The replicas of identity and of customers."""
        identity, customers = (copy.replica for copy in self.copies)
        return identity, customers

    async def trade(self, draw: random.Random, acts: int = 60) -> None:
        """Let all three siblings do something, and reports hear of it."""
        people = [await self.shop.member("sales_representative") for _ in range(3)]
        customers = [self.customers.customer(f"C{number}") for number in range(4)]
        held = [self.customers.assign(one, draw.choice(people).member_id) for one in customers[1:]]
        self.customers.hand_over(held[0], people[0].member_id, LONG_AGO)
        self.orders.trade(draw, customers, [one.member_id for one in people], acts)
        for replica in self.replicas:
            await replica.pull(self.shop.org_id)
        await self.hear(*self.orders.told)

    async def hear(self, *events: OrderEvent) -> None:
        """Take events one after the other, each in a transaction, as the consumer would."""
        for event in events:
            async with self.shop.database.writing(event.org_id) as connection:
                await cube.count(connection, [event])

    async def rebuild(self, *, forgetting: bool = False) -> list[str]:
        """Make everything anew, and return what is said of it."""
        said = rebuild(self.copies, self.cube, self.shop.org_id, forgetting=forgetting)
        return [line async for line in said]

    async def verify(self, patience: float = 0.0) -> Findings:
        """Compare everything with what the siblings have."""
        tally = {Cell(*key): Sums(*figures) for key, figures in self.orders.tally().items()}
        return await verify(tally, self.cube, self.copies, self.shop.org_id, patience=patience)

    async def digest(self) -> Digest:
        """Return every row of every read model and replica."""
        async with self.shop.database.reading(self.shop.org_id) as connection:
            return {
                name: {tuple(map(repr, row)) for row in await connection.execute(sa.select(table))}
                for name, table in tables.metadata.tables.items()
                if name != "inbox"
            }

    async def damage(self, *statements: sa.Executable) -> None:
        """Do harm by hand."""
        async with self.shop.database.writing(self.shop.org_id) as connection:
            for statement in statements:
                await connection.execute(statement)


@asynccontextmanager
async def open_books(shop: ServiceUnderTest) -> AsyncIterator[ReportsRebuild]:
    """Give a shop of reports siblings, with nothing told yet."""
    customers = MadeUpCustomers(shop.org_id)
    feeds = (shop.identity.application(), customers.application())
    async with served(*feeds) as (identity_url, customers_url):
        settings = settings_for(
            Settings, shop.urls, identity_url=identity_url, customers_url=customers_url
        )
        async with operator(settings) as (cube, copies):
            yield ReportsRebuild(shop, customers, MadeUpOrders(shop.org_id), cube, copies)
