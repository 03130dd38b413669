"""The list of the heaviest records: customers as heavy as the API takes them, beside ordinary ones."""

from __future__ import annotations

from typing import Any

import aiohttp
from lists import Client, served_at, until_ready
from measure import Compared, compare
from rich.console import Console
from tell import tell

from bailiwick_customers.store import tables
from bailiwick_testkit.fakes.people import MadeUpIdentity, Person
from bailiwick_testkit.servers.real import Servers
from bailiwick_testkit.services.application import served

CUSTOMERS = 200
"""The most that a page may be asked for."""
MOST_BYTES = 2 * 1024 * 1024
_LONG = "Ω" * 200
"""As long as a text may be, and two bytes a letter."""
_CREATED = 201

console = Console()


async def measured(servers: Servers, identity: MadeUpIdentity) -> list[Compared]:
    """Make both kinds of customers through the API, and measure their lists."""
    urls = await servers.postgres().fresh_database("customers")
    heavy, light = (identity.person(identity.organization(), "brand_manager") for _ in range(2))
    await tell(identity, urls, tables)
    async with served(identity.application()) as (identity_url,):
        policy_url = servers.opa().url
        with served_at("customers_app:create", urls, policy_url, identity_url) as address:
            async with aiohttp.ClientSession() as session:
                await until_ready(session, address)
                size = await _heaviest(session, address, heavy)
                await _create(session, address, heavy, _body(size), CUSTOMERS)
                await _create(session, address, light, _body(0), CUSTOMERS)
                return [await _compared(session, address, heavy, light)]


def _body(size: int) -> dict[str, Any]:
    contacts = [{"name": _LONG, "phone": "1" * 60, "title": "Ω" * 60} for _ in range(size)]
    return {"name": "Librería Sol", "contacts": contacts}


async def _heaviest(session: aiohttp.ClientSession, address: str, who: Person) -> int:
    """Return how many contacts of full length a customer may have."""
    for size in range(50, 0, -1):
        if await _sent(session, address, who, _body(size)) == _CREATED:
            return size
    raise RuntimeError("no customer with a contact is accepted")


async def _create(
    session: aiohttp.ClientSession, address: str, who: Person, body: dict[str, Any], count: int
) -> None:
    for _ in range(count):
        if (status := await _sent(session, address, who, body)) != _CREATED:
            raise RuntimeError(f"a customer was answered {status}")


async def _sent(
    session: aiohttp.ClientSession, address: str, who: Person, body: dict[str, Any]
) -> int:
    url = f"{address}/v1/customers"
    async with session.post(url, json=body, headers=who.headers) as answer:
        await answer.read()
        return answer.status


async def _compared(
    session: aiohttp.ClientSession, address: str, heavy: Person, light: Person
) -> Compared:
    page = f"{address}/v1/customers?limit={CUSTOMERS}"
    async with session.get(page, headers=heavy.headers) as answer:
        raw = await answer.read()
        shown = len((await answer.json())["items"])
    console.print(f"A page of {shown} of the heaviest customers has {len(raw):,} bytes.")
    if len(raw) > MOST_BYTES:
        raise RuntimeError(f"a page of {len(raw):,} bytes")
    asks = (Client(session, who).asks(page) for who in (heavy, light))
    return await compare(
        f"heaviest: a page by bytes ({shown}) / {CUSTOMERS} ordinary customers",
        *asks,
        throughput=False,
    )
