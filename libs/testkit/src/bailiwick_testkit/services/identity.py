"""One running identity: real database, real OPA; people come into it and sign in as anybody does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
from joserfc import jws
from joserfc.jwk import ECKey

from bailiwick_identity import main
from bailiwick_identity.actions.create_organization import NewOrganization, create_organization
from bailiwick_identity.domain.grants import Mode, Role, granted
from bailiwick_identity.domain.member import NewMember
from bailiwick_identity.settings import Settings
from bailiwick_kit.database.engine import Database
from bailiwick_launcher.databases import DatabaseUrls
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.servers.real import Postgres
from bailiwick_testkit.services.application import Api, in_process, settings_for

PASSWORD = "seven purple umbrellas dance"  # noqa: S105 - made up
_numbers = count(1)


def claims_of(token: str) -> dict[str, Any]:
    """Read a token's claims without judging it."""
    read: dict[str, Any] = json.loads(jws.extract_compact(token.encode()).payload)
    return read


@dataclass
class IdentityService:
    """A running identity. `database` is open as the worker, for what a test must look at."""

    api: Api
    settings: Settings
    urls: DatabaseUrls
    database: Database
    keys: list[ECKey]
    emails: dict[UUID, str] = field(default_factory=dict)

    async def found(self, *, seat_limit: int | None = None, email: str | None = None) -> Person:
        """Found an organization, and sign its first brand manager in."""
        email = email or f"mia{next(_numbers)}@wines.example"
        manager = NewMember(
            "Mia",
            email,
            PASSWORD,
            granted(mode=Mode.ROLE, role=Role.BRAND_MANAGER),
            "en",
            None,
            None,
        )
        new = NewOrganization(
            f"Wines {email}", "Europe/Madrid", "EUR", "standard", seat_limit, manager
        )
        async with main.operator(self.settings) as tools:
            made = await create_organization(
                tools.open_unit,
                tools.sign_ins,
                tools.passwords,
                new,
                datetime.now(UTC),
                if_absent=False,
            )
        return await self.person(email, made.org_id)

    async def member(self, by: Person, **body: Any) -> dict[str, Any]:
        """Create a member, and return them as they are listed."""
        sent = {
            "name": "Ana",
            "email": f"ana{next(_numbers)}@wines.example",
            "password": PASSWORD,
            **body,
        }
        made = await self.api.post(by, "/v1/members", sent)
        made.raise_for_status()
        self.emails[UUID(made.json()["member_id"])] = sent["email"]
        return await self.read(by, made.json()["member_id"])

    async def hired(self, by: Person, **body: Any) -> Person:
        """Create a member, and sign them in."""
        made = await self.member(by, **body)
        return await self.person(made["email"], by.org_id)

    async def read(self, by: Person, member_id: object) -> dict[str, Any]:
        """Read a member."""
        answer = await self.api.get(by, f"/v1/members/{member_id}")
        answer.raise_for_status()
        body: dict[str, Any] = answer.json()
        return body

    async def token(self, form: Mapping[str, str], **headers: str) -> httpx2.Response:
        """Ask for a token; headers are named with underscores."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.api.send(None, "POST", "/v1/auth/token", data=dict(form), headers=sent)

    async def sign_in(self, email: str, password: str = PASSWORD, **more: str) -> httpx2.Response:
        """Sign in with email and password."""
        form = {"grant_type": "password", "username": email, "password": password}
        return await self.token({**form, **more})

    async def refresh(self, refresh_token: str) -> httpx2.Response:
        """Use a refresh token."""
        return await self.token({"grant_type": "refresh_token", "refresh_token": refresh_token})

    async def person(self, email: str, org_id: UUID | None = None) -> Person:
        """Sign somebody in, and be them."""
        named = {"org_id": str(org_id)} if org_id else {}
        answer = await self.sign_in(email, **named)
        answer.raise_for_status()
        token = answer.json()["access_token"]
        claims = claims_of(token)
        return Person(UUID(claims["org"]), UUID(claims["mem"]), token)


@asynccontextmanager
async def open_house(
    postgres: Postgres, policy_url: str, folder: Path
) -> AsyncIterator[IdentityService]:
    """Run identity in the test's process on a database of its own, with nobody in it.

    It has two signing keys, of which the first signs.
    """
    keys = [
        ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"})
        for kid in ("new", "old")
    ]
    file = folder / "signing-keys.json"
    file.write_text(json.dumps({"keys": [key.as_dict(private=True) for key in keys]}))
    urls = await postgres.fresh_database("identity")
    settings: Settings = settings_for(
        Settings,
        urls,
        policy_url=policy_url,
        signing_keys=file,
        password_time_cost=2,
        password_memory_kib=19456,
        password_parallelism=1,
        failed_sign_ins_per_address=25,
    )
    worker = Database(urls.worker, pool=2)
    async with in_process(main.application(settings)) as api:
        yield IdentityService(api, settings, urls, worker, keys)
    await worker.close()
