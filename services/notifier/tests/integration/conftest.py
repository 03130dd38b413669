"""notifier on a real database and a real OPA, with made-up siblings, letters and mail server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from bailiwick_access.replica import IdentityReplica
from bailiwick_kit.clock import FixedClock
from bailiwick_kit.policy.client import Policy
from bailiwick_kit.replication.change_feed_client import ChangeFeedClient
from bailiwick_kit.replication.replica import Replica
from bailiwick_notifier.store import tables
from bailiwick_notifier.store.replica import CustomersReplica
from bailiwick_testkit.fakes.customers import MadeUpCustomers
from bailiwick_testkit.fakes.people import DOOR_SECRET
from bailiwick_testkit.servers.real import Opa, Postgres
from bailiwick_testkit.services.application import served
from bailiwick_testkit.services.notifier import NOON, SENDER, NotifierService
from bailiwick_testkit.services.service_under_test import ServiceUnderTest, open_shop


@pytest.fixture
async def shop(postgres: Postgres, opa: Opa) -> AsyncIterator[ServiceUnderTest]:
    """A fresh organization in a notifier with a database of its own."""
    smtp_url = SecretStr("smtp://127.0.0.1:9")
    async with open_shop(
        "notifier", postgres, opa.url, smtp_url=smtp_url, mail_from=SENDER
    ) as shop:
        yield shop


@pytest.fixture
async def room(shop: ServiceUnderTest, opa: Opa) -> AsyncIterator[NotifierService]:
    """The worker's parts, before the change feeds of the made-up siblings."""
    clock = FixedClock(NOON)
    customers, positions = MadeUpCustomers(shop.org_id), tables.replica_positions
    secret = SecretStr(DOOR_SECRET)
    async with (
        served(customers.application(), shop.identity.application()) as (
            customers_url,
            identity_url,
        ),
        ChangeFeedClient(customers_url, secret) as to_customers,
        ChangeFeedClient(identity_url, secret) as to_identity,
        Policy(opa.url, deadline=2.0) as policy,
    ):
        of_customers = CustomersReplica(clock).appliers()
        of_identity = IdentityReplica(tables.organizations, tables.members).appliers()
        yield NotifierService(
            shop,
            customers,
            Replica("customers", shop.database, positions, of_customers, to_customers),
            Replica("identity", shop.database, positions, of_identity, to_identity),
            policy,
            clock=clock,
        )
