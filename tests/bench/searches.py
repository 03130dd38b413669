"""P18: searches among 100,000 customers, and by their names among their million orders.

In terms of the first page of the whole list of the same person.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from statistics import median
from types import ModuleType
from typing import Any

from filters import Ask, made, one_round
from measure import Compared

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Callers
from bailiwick_access.requests import Reading
from bailiwick_customers.domain.views import Filters as CustomerFilters
from bailiwick_customers.store import tables as customers_tables
from bailiwick_customers.store.queries import CustomerQueries
from bailiwick_kit.database.engine import Database
from bailiwick_kit.policy.client import Policy
from bailiwick_kit.policy.scope import Scope
from bailiwick_orders.domain.views import Filters as OrderFilters
from bailiwick_orders.store import tables as orders_tables
from bailiwick_orders.store.queries import OrderQueries
from bailiwick_testkit.fakes.people import MadeUpIdentity
from bailiwick_testkit.servers.real import Servers
from bailiwick_testkit.services.large_company import Company

TEXTS = {
    "nothing": "nowhere",
    "one": "99999",
    "a seventh": "librería",
    "two frequent words": "librería madrid",
    "a frequent and a rare one": "librería 9999",
    "two that never meet": "porto london",
}
OF_ORDERS = {
    "nothing": "nowhere",
    "a number": "N99999",
    "one": "99999",
    "a seventh": "librería",
    "a frequent and a rare one": "librería 9999",
    "two that never meet": "librería bazar",
}
PEOPLE = {
    "manager": "brand_manager",
    "large": "sales_representative",
    "small": "sales_representative",
}
Listing = Callable[[Scope, str | None], Ask]
"""Returns what asks for the first page of what a text finds; of all, without one."""


def name_of(what: str, text: str, who: str) -> str:
    """Return how a figure is called."""
    return f"P18 search of {what} for {text} ({who}) / first page"


async def measured(servers: Servers, identity: MadeUpIdentity) -> list[Compared]:
    """Make the company, and measure each search of each person."""
    opa, org_id = servers.opa(), identity.organization()
    people = {who: identity.person(org_id, role).member_id for who, role in PEOPLE.items()}
    company = Company(org_id, people["large"], people["small"])
    results = []
    async with Policy(opa.url) as policy:
        for what, tables, texts, listing in (
            ("customers", customers_tables, TEXTS, _customers),
            ("orders", orders_tables, OF_ORDERS, _orders),
        ):
            urls = await made(servers.postgres(), identity, tables, what, company)
            async with Database(urls.api, pool=1) as database:
                for who, member_id in people.items():
                    caller, scope = await _seen(database, policy, tables, company, member_id, what)
                    took = partial(_took, urls, caller, listing, scope)
                    page = await took(None)
                    for found_by, text in texts.items():
                        search = await took(text)
                        figures = {"a_ms": 1000 * search, "b_ms": 1000 * page}
                        name = name_of(what, found_by, who)
                        results.append(Compared(name, p50=search / page, **figures))
    return results


async def _seen(
    database: Database,
    policy: Policy,
    tables: ModuleType,
    company: Company,
    member_id: Any,
    what: str,
) -> tuple[Any, Scope]:
    callers = Callers(tables.members, tables.organizations)
    async with database.reading(company.org_id) as connection:
        ids = (company.org_id, member_id, datetime.now(UTC))
        caller = await callers.at_command_line(connection, *ids)
    return caller, (await Gate(policy).scope(caller, what)).scope


async def _took(urls: Any, caller: Any, listing: Listing, scope: Scope, text: str | None) -> float:
    return median(await one_round(urls, caller, listing(scope, text)))


def _customers(scope: Scope, text: str | None) -> Ask:
    async def ask(reading: Reading) -> object:
        filters = CustomerFilters(text=text)
        return await CustomerQueries().page(reading, scope, filters, (), limit=51, after=None)

    return ask


def _orders(scope: Scope, text: str | None) -> Ask:
    async def ask(reading: Reading) -> object:
        filters = OrderFilters(text=text)
        return await OrderQueries().page(reading, scope, filters, limit=51, after=None)

    return ask
