"""P16, P13 and P17: filters and counts of a company with a million orders, and reports of its small part.

Each statement runs twenty times on one connection, since plans may change from the sixth time on; in two
rounds, each on a new connection, of which the quickest counts at each place: what is slow there is the plan.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from statistics import median
from types import ModuleType
from typing import Any
from uuid import UUID

import aiohttp
from lists import Client, served_at, until_ready
from measure import Compared, compare
from rich.console import Console
from rich.table import Table
from tell import tell

from bailiwick_access.authorizer import Gate, Visible
from bailiwick_access.caller import Callers
from bailiwick_access.requests import Reading
from bailiwick_customers.domain.views import Filters as CustomerFilters
from bailiwick_customers.store import tables as customers_tables
from bailiwick_customers.store.queries import CustomerQueries
from bailiwick_kit.database.engine import Database
from bailiwick_kit.policy.client import Policy
from bailiwick_launcher.databases import DatabaseUrls
from bailiwick_orders.domain.views import Filters as OrderFilters
from bailiwick_orders.store import tables as orders_tables
from bailiwick_orders.store.queries import OrderQueries
from bailiwick_reports.store import tables as reports_tables
from bailiwick_testkit.fakes.people import MadeUpIdentity, Person
from bailiwick_testkit.servers.real import Postgres, Servers
from bailiwick_testkit.services.application import served
from bailiwick_testkit.services.large_company import Company, fill, superuser_dsn

TIMES = 20
ROUNDS = 2
REPORTS = ("sales", "sales?by=month", "sales?by=customer", "credit?by=month", "portfolio")
PAIRS = 60

console = Console()
Ask = Callable[[Reading], Awaitable[Any]]


@dataclass(frozen=True)
class Timed:
    """A statement of one person: what it took at each of twenty times, in seconds."""

    name: str
    times: list[float]

    @property
    def ratio(self) -> float:
        """The slowest of them over the fastest."""
        return max(self.times) / min(self.times)

    @property
    def ms(self) -> float:
        """What it takes."""
        return 1000 * median(self.times)


async def measured(servers: Servers, identity: MadeUpIdentity) -> list[Compared]:
    """Make the companies, and measure all of it."""
    postgres, opa = servers.postgres(), servers.opa()
    org_id = identity.organization()
    people = {
        "manager": identity.person(org_id, "brand_manager"),
        "large": identity.person(org_id, "sales_representative"),
        "small": identity.person(org_id, "sales_representative"),
    }
    company = Company(org_id, people["large"].member_id, people["small"].member_id)
    tenth = Company(org_id, company.large, company.small, orders=company.orders // 10)

    async def filled(tables: ModuleType, service: str, which: Company) -> DatabaseUrls:
        return await made(postgres, identity, tables, service, which)

    results: list[Compared] = []
    orders = await filled(orders_tables, "orders", company)
    results += await _twenty("orders", orders, orders_tables, opa.url, people, _of_orders(company))
    customers = await filled(customers_tables, "customers", company)
    asked = _of_customers(company)
    results += await _twenty("customers", customers, customers_tables, opa.url, people, asked)
    whole, part = [await filled(reports_tables, "reports", one) for one in (company, tenth)]
    people = {name: identity.renewed(person) for name, person in people.items()}
    async with served(identity.application()) as (identity_url,):
        beside = (opa.url, identity_url)
        with served_at("app:create", orders, *beside) as address:
            results.append(await _page(address, people))
        with (
            served_at("reports_app:create", whole, *beside) as large,
            served_at("reports_app:create", part, *beside) as small,
        ):
            results += await _reports(large, small, people["small"])
    return results


async def made(
    postgres: Postgres,
    identity: MadeUpIdentity,
    tables: ModuleType,
    service: str,
    company: Company,
) -> DatabaseUrls:
    """Make a service's database with the company in it."""
    console.print(f"Preparing {service} with {company.orders:,} orders …")
    urls = await postgres.fresh_database(service)
    await tell(identity, urls, tables)
    await fill(service, superuser_dsn(postgres, urls), company)
    return urls


Asked = Callable[[Visible, Gate], Mapping[str, Ask]]
"""What to ask of a service for somebody who may see so much: lists, and counts, by name."""


def _of_orders(company: Company) -> Asked:
    today, nobody = datetime.now(UTC).date(), UUID(int=9)
    filters: dict[str, dict[str, Any]] = {
        "all": {},
        "state=draft": {"states": ("draft",)},
        "state=placed": {"states": ("placed",)},
        "state=cancelled&state=draft": {"states": ("cancelled", "draft")},
        "state=fulfilled": {"states": ("fulfilled",)},
        "currency of long ago": {"currency": "CHF"},
        "currency of none": {"currency": "USD"},
        "source=visit": {"source": "visit"},
        "source of none": {"source": "other"},
        "customer_id=former": {"customer_id": "former"},
        "country=PT": {"country": "PT"},
        "country=none": {"country": "none"},
        "author_id of the small": {"author_id": company.small},
        "author_id of none": {"author_id": nobody},
        "author_id=others": {"author_id": "others"},
        "placed_by of the large": {"placed_by": company.large},
        "credited_to of none": {"credited_to": nobody},
        "credited_to=house": {"credited_to": "house"},
        "credited_to=others": {"credited_to": "others"},
        "order_date_from=2030": {"order_date_from": date(2030, 1, 1)},
        "order_date_from a month ago": {"order_date_from": today - timedelta(30)},
        "order_date_to long ago": {"order_date_to": today - timedelta(650)},
        "order_date of one day": dict.fromkeys(
            ("order_date_from", "order_date_to"), today - timedelta(400)
        ),
        "text": {"text": "N99999"},
    }

    def asked(visible: Visible, _: Gate) -> Mapping[str, Ask]:
        queries, scope = OrderQueries(), visible.scope
        hides = visible.hides("order", "customer")
        return _both(
            {name: OrderFilters(**one, hides_customers=hides) for name, one in filters.items()},
            lambda one: lambda reading: queries.page(reading, scope, one, limit=51, after=None),
            lambda one: lambda reading: queries.count(reading, scope, one),
        )

    return asked


def _of_customers(company: Company) -> Asked:
    filters = {
        "all": CustomerFilters(),
        "rep of the large": CustomerFilters(rep=company.large),
        "any_rep of the small": CustomerFilters(any_rep=company.small),
        "rep of none": CustomerFilters(rep=UUID(int=9)),
        "unassigned=true": CustomerFilters(unassigned=True),
        "unassigned=false": CustomerFilters(unassigned=False),
        "country=PT": CustomerFilters(country="PT"),
        "country of none": CustomerFilters(country="DE"),
        "status=pending": CustomerFilters(status="pending"),
        "status=approved": CustomerFilters(status="approved"),
    }
    queries = CustomerQueries()

    def asked(visible: Visible, gate: Gate) -> Mapping[str, Ask]:
        async def holding(reading: Reading, one: CustomerFilters) -> Sequence[str]:
            return () if one.unassigned is None else await queries.holding(reading, gate)

        def listing(one: CustomerFilters) -> Ask:
            async def ask(reading: Reading) -> Any:
                held = await holding(reading, one)
                return await queries.page(reading, visible.scope, one, held, limit=51, after=None)

            return ask

        def counting(one: CustomerFilters) -> Ask:
            async def ask(reading: Reading) -> Any:
                held = await holding(reading, one)
                return await queries.count(reading, visible.scope, one, held)

            return ask

        return _both(filters, listing, counting)

    return asked


def _both(
    filters: Mapping[str, Any], listing: Callable[[Any], Ask], counting: Callable[[Any], Ask]
) -> Mapping[str, Ask]:
    return {
        f"{kind} {name}": asks(one)
        for name, one in filters.items()
        for kind, asks in (("list", listing), ("count", counting))
    }


async def _twenty(
    service: str,
    urls: DatabaseUrls,
    tables: Any,
    policy_url: str,
    people: Mapping[str, Person],
    asked: Asked,
) -> list[Compared]:
    found: list[Timed] = []
    callers = Callers(tables.members, tables.organizations)
    async with Policy(policy_url) as policy, Database(urls.api, pool=1) as database:
        gate = Gate(policy)
        for who, person in people.items():
            async with database.reading(person.org_id) as connection:
                ids = (person.org_id, person.member_id, datetime.now(UTC))
                caller = await callers.at_command_line(connection, *ids)
            for name, ask in asked(await gate.scope(caller, service), gate).items():
                rounds = [await one_round(urls, caller, ask) for _ in range(ROUNDS)]
                times = [min(place) for place in zip(*rounds, strict=True)]
                found.append(Timed(f"{name} ({who})", times))
    _show(service, found)
    return [
        Compared(
            f"P16 {service}, {kind}s: slowest / fastest of {TIMES}, worst",
            p50=worst.ratio,
            a_ms=slowest,
        )
        for kind in ("list", "count")
        for of_kind in [[one for one in found if one.name.startswith(kind)]]
        for worst in [max(of_kind, key=lambda one: one.ratio)]
        for slowest in [max(one.ms for one in of_kind)]
    ]


async def one_round(urls: DatabaseUrls, caller: Any, ask: Ask) -> list[float]:
    """Ask on one connection as a request does: lent for each, and given back.

    The first time is not counted: a new connection has yet to read what it keeps of tables.
    """
    times = []
    async with Database(urls.api, pool=1, deadline=60) as database:
        for _ in range(TIMES + 1):
            async with database.reading(caller.org_id, plans="force_generic_plan") as connection:
                began = time.perf_counter()
                await ask(Reading(caller, connection))
                times.append(time.perf_counter() - began)
    return times[1:]


def _show(service: str, found: Iterable[Timed]) -> None:
    table = Table(f"{service}: statement", "slowest / fastest", "ms")
    for one in sorted(found, key=lambda one: -one.ms):
        table.add_row(one.name, f"{one.ratio:.2f}", f"{one.ms:.1f}")
    console.print(table)


async def _page(address: str, people: Mapping[str, Person]) -> Compared:
    async with aiohttp.ClientSession() as session:
        await until_ready(session, address)
        page = f"{address}/v1/orders?limit=50"
        large, manager = (Client(session, people[who]).asks(page) for who in ("large", "manager"))
        return await compare(
            "P13 a representative's page / a manager's", large, manager, throughput=False
        )


async def _reports(large: str, small: str, person: Person) -> list[Compared]:
    async with aiohttp.ClientSession() as session:
        for address in (large, small):
            await until_ready(session, address)
        asks = Client(session, person).asks
        return [
            await compare(
                f"P17 {report}: of 1,000,000 orders / of 100,000",
                asks(f"{large}/v1/reports/{report}"),
                asks(f"{small}/v1/reports/{report}"),
                throughput=False,
                pairs=PAIRS,
            )
            for report in REPORTS
        ]
