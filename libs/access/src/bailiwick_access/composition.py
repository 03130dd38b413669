"""Puts a service's entrance together: what is the same in every `main.py`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import sqlalchemy as sa

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Callers
from bailiwick_access.replica import IdentityReplica
from bailiwick_access.requests import Entrance
from bailiwick_contracts.envelope import Event
from bailiwick_kit.bus.outbox_notify import Wake
from bailiwick_kit.clock import SystemClock
from bailiwick_kit.database.engine import Database
from bailiwick_kit.policy.client import Policy
from bailiwick_kit.replication.change_feed_client import ChangeFeedClient
from bailiwick_kit.replication.replica import Applier, Replica, ask_to_pull
from bailiwick_kit.settings import ServiceSettings
from bailiwick_kit.tokens.access_tokens import TokenVerifier
from bailiwick_kit.tokens.jwks import Keys, KeySet
from bailiwick_kit.web.read_your_writes import Lookup, Positions, Seal


@asynccontextmanager
async def entered(
    settings: ServiceSettings,
    database: Database,
    policy: Policy,
    members: sa.Table,
    organizations: sa.Table,
    lookups: Mapping[str, Lookup],
    *,
    own_keys: Keys | None = None,
) -> AsyncIterator[Entrance]:
    """Open keys and policy, wake the relay after commits, and yield the entrance; close all at the end.

    `own_keys` are for identity, which need not ask itself.
    """
    clock = SystemClock()
    wake = Wake(settings.database_api_url.get_secret_value())
    database.after_commit(wake.call)
    waking = asyncio.create_task(wake.run())
    try:
        address = f"{settings.identity_url}/.well-known/jwks.json"
        async with KeySet(address) as fetched_keys, policy:
            keys = own_keys or fetched_keys
            yield Entrance(
                database=database,
                tokens=TokenVerifier(keys, issuer=settings.issuer, clock=clock),
                callers=Callers(members, organizations),
                gate=Gate(policy),
                positions=Positions(
                    lookups,
                    Seal(settings.door_secret.get_secret_value()),
                    nudge=lambda source, org_id: ask_to_pull(database, source, org_id),
                ),
                clock=clock,
                is_authority=own_keys is not None,
            )
    finally:
        waking.cancel()
        await asyncio.gather(waking, return_exceptions=True)
        await database.close()


@asynccontextmanager
async def identity_replica(
    settings: ServiceSettings,
    database: Database,
    members: sa.Table,
    organizations: sa.Table,
    positions: sa.Table,
) -> AsyncIterator[Replica]:
    """Open identity's change feed; yield the replica that a service keeps of what is behind it."""
    async with ChangeFeedClient(settings.identity_url, settings.door_secret) as feed:
        yield Replica(
            source="identity",
            database=database,
            positions=positions,
            appliers=IdentityReplica(organizations, members).appliers(),
            feed=feed,
        )


@asynccontextmanager
async def customers_replica(
    settings: ServiceSettings,
    database: Database,
    positions: sa.Table,
    appliers: Mapping[type[Event], Applier],
) -> AsyncIterator[Replica]:
    """Open customers' change feed; yield the replica that a service keeps of what is behind it."""
    async with ChangeFeedClient(settings.customers_url, settings.door_secret) as feed:
        yield Replica(
            source="customers",
            database=database,
            positions=positions,
            appliers=appliers,
            feed=feed,
        )
