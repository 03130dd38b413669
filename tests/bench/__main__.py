"""The goals that are ratios, side by side in one run on this machine: `./bailiwick bench [PART …]`.

A control (the same thing twice) that differs by more than 15 % voids the run.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import bodies
import bus
import consuming
import filters
import heaviest
import lists
import placing
import sales
import searches
from measure import Compared
from rich.console import Console
from rich.table import Table
from tell import tell
from world import ORDERS, PORTFOLIOS, fill

from bailiwick_orders.store import tables as orders_tables
from bailiwick_reports.store import tables as reports_tables
from bailiwick_testkit.fakes.people import MadeUpIdentity
from bailiwick_testkit.servers.real import Servers, folder_of_runs
from bailiwick_testkit.services.application import served
from bailiwick_testkit.services.large_company import superuser_dsn

VOID_BEYOND = 0.15
console = Console()


@dataclass(frozen=True)
class Goal:
    """What a figure should be at most (p50, p99) and at least (throughput)."""

    p50: float | None = None
    throughput: float | None = None
    p99: float | None = None


GOALS = {
    "P1 list of 50: policy asked / by hand": Goal(1.6, 0.7),
    "P3 portfolio of 10,000 / of 100": Goal(1.25),
    **{f"{kind}: looking for what a large act takes / not": Goal(1.1) for kind in lists.KINDS},
    "P3 deep page / first": Goal(2.0),
    "P5 one order: policy asked / not": Goal(1.35, 0.75),
    **{case.name: Goal(throughput=1.0) for case in consuming.CASES},
    "P8 commit to subscriber / bare publish": Goal(2.0, p99=4.0),
    "P10 relay / bare confirmed publishing": Goal(throughput=0.65),
    "P11 placing: relay awake / asleep": Goal(throughput=0.85),
    # At most 50 ms of the event loop on the reference machine, where B takes some 15.
    bodies.NAME: Goal(3.3),
    **{
        f"P16 {service}, {kind}: slowest / fastest of {filters.TIMES}, worst": Goal(3.0)
        for service in ("orders", "customers")
        for kind in ("lists", "counts")
    },
    "P13 a representative's page / a manager's": Goal(1.3),
    **{
        searches.name_of("customers", text, who): Goal(goal)
        for who, goal in (("manager", 20.0), ("large", 40.0), ("small", 2.0))
        for text in searches.TEXTS
    },
    **{f"P17 {one}: of 1,000,000 orders / of 100,000": Goal(1.3) for one in filters.REPORTS},
}


async def run(parts: Sequence[str]) -> int:
    """Run the named parts of the bench and print their table; 1 where a control voids it."""
    servers = Servers(folder_of_runs() / f"{os.getpid()}-bench", durable=True)
    identity = MadeUpIdentity()
    results: list[Compared] = []
    try:
        for part in parts:
            results += await PARTS[part](servers, identity)
    finally:
        servers.end()
    return report(results)


async def of_requests(servers: Servers, identity: MadeUpIdentity) -> list[Compared]:
    """Measure lists, records, reports, placing and the bus over a hundred thousand orders."""
    org_id = identity.organization()
    people = {name: identity.person(org_id, "sales_representative") for name in PORTFOLIOS}
    console.print(f"Preparing {ORDERS:,} orders …")
    postgres, opa, rabbitmq = servers.postgres(), servers.opa(), servers.rabbitmq()
    urls = await postgres.fresh_database("orders")
    portfolios = {name: one.member_id for name, one in people.items()}
    people["manager"] = identity.person(org_id, "brand_manager")
    await tell(identity, urls, orders_tables)
    admin = superuser_dsn(postgres, urls)
    world = await fill(admin, org_id, portfolios)
    figures = await postgres.fresh_database("reports")
    await tell(identity, figures, reports_tables)
    await sales.fill(admin, superuser_dsn(postgres, figures), figures, org_id)
    async with served(identity.application()) as (identity_url,):
        beside = (opa.url, identity_url)
        with lists.served_at("app:create", urls, *beside) as asked:
            with (
                lists.served_at("app:create", urls, *beside, BENCH_UNASKED="1") as unasked,
                lists.served_at("app:create", urls, *beside, BENCH_STALE="no") as unwatched,
            ):
                addresses = (asked, unasked, unwatched)
                results = await lists.measured(*addresses, people, world.order_id)
            with lists.served_at("reports_app:create", figures, *beside) as reports:
                results += await sales.measured(reports, asked, people)
            results += await bus.measured(postgres, rabbitmq)
            results += await consuming.measured(postgres, rabbitmq)
            results += await placing.measured(rabbitmq, asked, urls, admin, people["large"])
    return results


async def of_bodies(_: Servers, __: MadeUpIdentity) -> list[Compared]:
    """Measure the worst body that is accepted."""
    return [bodies.measured(console)]


PARTS: Mapping[str, Callable[[Servers, MadeUpIdentity], Awaitable[list[Compared]]]] = {
    "requests": of_requests,
    "filters": filters.measured,
    "heaviest": heaviest.measured,
    "searches": searches.measured,
    "bodies": of_bodies,
}
"""What can be run by itself: `./bailiwick bench filters`."""


def report(results: list[Compared]) -> int:
    """Print the table, and say whether the run counts."""
    table = Table("figure", "p50", "p99", "throughput", "goal", "A ms", "B ms")
    for one in results:
        measured = (one.p50, one.p99, one.throughput)
        table.add_row(
            one.name,
            *map(_shown, measured),
            _wanted(GOALS.get(one.name, Goal())),
            *map(_shown, (one.a_ms, one.b_ms)),
        )
    console.print(table)
    controls = [one for one in results if one.name.startswith("control")]
    ratios = [ratio for one in controls for ratio in (one.p50, one.throughput) if ratio is not None]
    if any(abs(ratio - 1) > VOID_BEYOND for ratio in ratios):
        console.print(
            "A control differs by more than 15 %: this run counts for nothing. Run it again, alone."
        )
        return 1
    return 0


def _shown(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


def _wanted(goal: Goal) -> str:
    most = {"p50": goal.p50, "p99": goal.p99}
    wanted = [f"{name} ≤ {ratio}" for name, ratio in most.items() if ratio is not None]
    if goal.throughput is not None:
        wanted.append(f"thr ≥ {goal.throughput}")
    return " ".join(wanted)


if __name__ == "__main__":
    wanted = sys.argv[1:] or [*PARTS]
    if unknown := set(wanted) - PARTS.keys():
        sys.exit(f"There is no part {', '.join(unknown)}. Parts: {', '.join(PARTS)}.")
    sys.exit(asyncio.run(run(wanted)))
