"""Lets a service know made-up people, as identity's events would."""

from __future__ import annotations

from typing import Any

from bailiwick_access.replica import IdentityReplica
from bailiwick_contracts.identity import MemberChanged, OrganizationChanged
from bailiwick_kit.database.engine import Database
from bailiwick_launcher.databases import DatabaseUrls
from bailiwick_testkit.fakes.people import MadeUpIdentity


async def tell(identity: MadeUpIdentity, urls: DatabaseUrls, tables: Any) -> None:
    """Write the made-up members into a service's replica."""
    appliers = IdentityReplica(tables.organizations, tables.members).appliers()
    database = Database(urls.worker, pool=1)
    for event in identity.events.values():
        if isinstance(event, OrganizationChanged | MemberChanged):
            async with database.writing(event.org_id) as connection:
                await appliers[type(event)](connection, [event])
    await database.close()
