"""One organization in one running service: real database, real OPA, made-up identity."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from bailiwick_access.replica import IdentityReplica
from bailiwick_contracts.identity import MemberChanged, OrganizationChanged
from bailiwick_kit.database.engine import Database
from bailiwick_launcher.databases import DatabaseUrls
from bailiwick_testkit.fakes.people import MadeUpIdentity, Person
from bailiwick_testkit.servers.real import Postgres
from bailiwick_testkit.services.application import Api, in_process, served, settings_for


@dataclass
class ServiceUnderTest:
    """An organization in a service. `database` is open as the worker, for what a test must arrange."""

    api: Api
    identity: MadeUpIdentity
    database: Database
    urls: DatabaseUrls
    org_id: UUID
    tables: Any

    async def member(self, role: str | None = None, **changes: Any) -> Person:
        """Make a member, or change one, and let the service know."""
        person = self.identity.person(self.org_id, role, **changes)
        await self.tell()
        return person

    async def settings(self, **settings: Any) -> None:
        """Change the organization's settings, and let the service know."""
        self.identity.organization(org_id=self.org_id, **settings)
        await self.tell()

    async def tell(self) -> None:
        """Write what identity knows into the replica, as its events would."""
        appliers = IdentityReplica(self.tables.organizations, self.tables.members).appliers()
        for event in self.identity.events.values():
            if isinstance(event, OrganizationChanged | MemberChanged):
                async with self.database.writing(event.org_id) as connection:
                    await appliers[type(event)](connection, [event])


@asynccontextmanager
async def open_shop(
    service: str,
    postgres: Postgres,
    policy_url: str,
    identity: MadeUpIdentity | None = None,
    **more: Any,
) -> AsyncIterator[ServiceUnderTest]:
    """Run a service in the test's process on a database of its own, with one organization in it.

    Given an identity, it is one more service of the same people. `more` are settings that only this
    service has.
    """
    main: Any = importlib.import_module(f"bailiwick_{service}.main")
    tables: Any = importlib.import_module(f"bailiwick_{service}.store.tables")
    identity = identity or MadeUpIdentity()
    urls = await postgres.fresh_database(service)
    worker = Database(urls.worker, pool=2)
    async with served(identity.application()) as (identity_url,):
        settings = settings_for(
            main.service.settings, urls, policy_url=policy_url, identity_url=identity_url, **more
        )
        async with in_process(main.application(settings)) as api:
            shop = ServiceUnderTest(api, identity, worker, urls, identity.organization(), tables)
            await shop.tell()
            yield shop
    await worker.close()
