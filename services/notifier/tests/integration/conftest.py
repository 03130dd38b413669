"""notifier on a real database and a real OPA, with made-up siblings, letters and mail server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from bailiwick_access.replica import IdentityReplica
from bailiwick_kit.clock import FixedClock
from bailiwick_kit.policy.client import Policy
from bailiwick_kit.replication.change_feed_client import Door
from bailiwick_kit.replication.replica import Replica
from bailiwick_notifier.store import tables
from bailiwick_notifier.store.replica import CustomersReplica
from bailiwick_testkit.apps import served
from bailiwick_testkit.people import DOOR_SECRET
from bailiwick_testkit.portfolio import MadeUpCustomers
from bailiwick_testkit.postroom import NOON, SENDER, Postroom
from bailiwick_testkit.servers import Opa, Postgres
from bailiwick_testkit.shop import Shop, open_shop


@pytest.fixture
async def shop(postgres: Postgres, opa: Opa) -> AsyncIterator[Shop]:
    """A fresh organization in a notifier with a database of its own."""
    smtp_url = SecretStr("smtp://127.0.0.1:9")
    async with open_shop(
        "notifier", postgres, opa.url, smtp_url=smtp_url, mail_from=SENDER
    ) as shop:
        yield shop


@pytest.fixture
async def room(shop: Shop, opa: Opa) -> AsyncIterator[Postroom]:
    """The worker's parts, before the doors of the made-up siblings."""
    clock = FixedClock(NOON)
    customers, positions = MadeUpCustomers(shop.org_id), tables.replica_positions
    secret = SecretStr(DOOR_SECRET)
    async with (
        served(customers.application(), shop.identity.application()) as (
            customers_url,
            identity_url,
        ),
        Door(customers_url, secret) as to_customers,
        Door(identity_url, secret) as to_identity,
        Policy(opa.url, deadline=2.0) as policy,
    ):
        of_customers = CustomersReplica(clock).appliers()
        of_identity = IdentityReplica(tables.organizations, tables.members).appliers()
        yield Postroom(
            shop,
            customers,
            Replica("customers", shop.database, positions, of_customers, to_customers),
            Replica("identity", shop.database, positions, of_identity, to_identity),
            policy,
            clock=clock,
        )
