"""P18: searches among 100,000 customers, in terms of the first page of the whole list of the same person."""

from __future__ import annotations

from datetime import UTC, datetime
from statistics import median

from filters import made, one_round
from measure import Compared

from bailiwick_access.caller import Callers
from bailiwick_access.gate import Gate
from bailiwick_access.requests import Reading
from bailiwick_customers.actions.ports import Filters
from bailiwick_customers.store import tables
from bailiwick_customers.store.queries import CustomerQueries
from bailiwick_kit.database import Database
from bailiwick_kit.policy import Policy
from bailiwick_testkit.large import Company
from bailiwick_testkit.people import MadeUpIdentity
from bailiwick_testkit.servers import Servers

TEXTS = {
    "nothing": "nowhere",
    "one": "99999",
    "a seventh": "librería",
    "two frequent words": "librería madrid",
    "a frequent and a rare one": "librería 9999",
    "two that never meet": "porto london",
}
PEOPLE = {
    "manager": "brand_manager",
    "large": "sales_representative",
    "small": "sales_representative",
}


def name_of(text: str, who: str) -> str:
    """Return how a figure is called."""
    return f"P18 search for {text} ({who}) / first page"


async def measured(servers: Servers, identity: MadeUpIdentity) -> list[Compared]:
    """Make the company, and measure each search of each person."""
    opa, org_id = servers.opa(), identity.organization()
    people = {who: identity.person(org_id, role) for who, role in PEOPLE.items()}
    company = Company(org_id, people["large"].member_id, people["small"].member_id)
    urls = await made(servers.postgres(), identity, tables, "customers", company)
    callers, queries = Callers(tables.members, tables.organizations), CustomerQueries()
    results = []
    async with Policy(opa.url) as policy, Database(urls.api, pool=1) as database:
        gate = Gate(policy)
        for who, person in people.items():
            async with database.reading(org_id) as connection:
                ids = (org_id, person.member_id, datetime.now(UTC))
                caller = await callers.at_command_line(connection, *ids)
            scope = (await gate.scope(caller, "customers")).scope

            async def took(filters: Filters) -> float:
                async def ask(reading: Reading) -> object:
                    return await queries.page(reading, scope, filters, (), limit=51, after=None)  # noqa: B023

                return median(await one_round(urls, caller, ask))  # noqa: B023

            page = await took(Filters())
            for name, text in TEXTS.items():
                search = await took(Filters(text=text))
                results.append(
                    Compared(
                        name_of(name, who), p50=search / page, a_ms=1000 * search, b_ms=1000 * page
                    )
                )
    return results
