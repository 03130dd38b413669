"""Every service told to stop under load: nobody who retries once notices, and nothing is lost (F26).

Two instances of each, API and worker in one process, and a router that sends requests to whoever is ready.
One is told to stop, comes back, and then the other: a rolling restart. Meanwhile orders come in all the
time, so that relays, consumers and mail are in the middle of something when they are told.

BAILIWICK_ROUNDS says how many rolling restarts of each; five are more than 20,000 requests.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from bailiwick_launcher.services import SERVICES
from bailiwick_testkit.fakes.subscriber import Ear
from bailiwick_testkit.servers.instances import Instance, Load, Request, instances_of, loaded
from bailiwick_testkit.servers.real import Servers
from bailiwick_testkit.servers.stack import running
from bailiwick_testkit.services.company import Company, a_company
from bailiwick_testkit.services.orders import an_order
from bailiwick_testkit.waiting import until, wait_until

pytestmark = pytest.mark.faults

PLACED = "orders.order.placed.v1"
GONE_WITHIN = 25
"""Seconds until the process has gone (F26); Kubernetes is told to wait for thirty."""
FORGETTING = 2.0
"""Seconds that a service goes on serving, not ready any more: eight looks of the router."""
BETWEEN = 60
"""Answers between two acts."""
ROUNDS = int(os.environ.get("BAILIWICK_ROUNDS", "1"))


@dataclass
class Town:
    """A company whose services come in twos, and every order that it was promised."""

    company: Company
    ear: Ear
    customer_id: str
    orders: set[str]
    customers: set[str]

    def requests(self, service: str) -> list[Request]:
        """Give what clients ask of a service."""
        order = Request("/v1/orders", an_order(self.customer_id, place=True), "order_id")
        return {
            "identity": [Request("/v1/me"), Request("/v1/members?limit=20")],
            "customers": [
                Request("/v1/customers?limit=20"),
                Request("/v1/customers", {"name": "Café Ñandú"}, "customer_id"),
            ],
            "orders": [order, Request("/v1/orders?limit=20")],
            "reports": [
                Request("/v1/reports/sales?by=customer"),
                Request("/v1/reports/sales/export?by=customer&format=csv"),
            ],
            "notifier": [Request("/v1/deliveries?limit=20"), Request("/v1/deliveries/count")],
        }[service]


@pytest.fixture(scope="module")
def town(servers: Servers) -> Iterator[Town]:
    """Start a stack of our own; nobody else's services are stopped."""
    mine = running(
        servers.places.data / "stopping",
        own=True,
        settings={
            "BAILIWICK_DRAIN_DELAY": str(FORGETTING),
            # It is stopping that is tried here: what two cores cannot answer in time is not to hide it.
        },
    )
    try:
        with a_company(mine) as company:
            ear = Ear(mine.stack.rabbitmq.url, company.org_id)
            ana = company.hire("Ana", permissions=["seller"])
            customer_id = company.customer("C1", by=ana)
            first = company.order(ana, customer_id)["order_id"]
            yield Town(company, ear, customer_id, {first}, {customer_id})
    finally:
        mine.stack.down()


async def restarted_one_by_one(
    first: Instance, second: Instance, load: Load, coming_in: Load
) -> list[float]:
    """Restart both instances under load, and return after how many seconds each had gone."""
    gone_after = []
    for instance in (first, second):
        gone_after.append(await is_told_to_stop(instance, load))
        await asyncio.to_thread(instance.process.start)
        await until(load.router.all_ready, "it is back", within=60)
    await coming_in.more(5)
    return gone_after


async def is_told_to_stop(instance: Instance, load: Load) -> float:
    """Stop a instance under load, and return after how many seconds it had gone."""
    await load.more(BETWEEN)
    began = time.monotonic()
    await asyncio.to_thread(instance.process.stop)
    seconds = time.monotonic() - began
    await load.more(BETWEEN)
    return seconds


@pytest.mark.parametrize("service", SERVICES)
async def test_told_to_stop_under_load_a_service_fails_nobody_who_retries_once(
    town: Town, service: str
) -> None:
    stack = town.company.running.stack
    token = town.company.boss.token
    first, second = instances_of(stack, service)
    await asyncio.to_thread(second.process.start)
    orders = instances_of(stack, "orders")[:1]
    placing = town.requests("orders")[:1]
    gone_after: list[float] = []
    try:
        async with loaded((first, second), token, town.requests(service)) as load:
            # Of orders itself, the load is on both of its instances: one alone would be missed.
            places = (first, second) if service == "orders" else orders
            async with loaded(places, token, placing, clients=1, pause=0.1) as coming_in:
                for _ in range(ROUNDS):
                    gone_after += await restarted_one_by_one(first, second, load, coming_in)
    finally:
        await asyncio.to_thread(second.process.stop)
    assert (load.failures, coming_in.failures) == ([], [])
    # Stopped in order, a service is not even sent a request that it does not answer.
    assert (load.retried, coming_in.retried) == (0, 0)
    for instance in (first, second):
        assert "service.cut_off" not in instance.process.log_file.read_text()
    assert max(gone_after) < GONE_WITHIN, gone_after
    assert load.answered >= 4 * BETWEEN * ROUNDS
    town.orders |= {*coming_in.promised, *(load.promised if service == "orders" else [])}
    town.customers |= set(load.promised if service == "customers" else [])
    await asyncio.to_thread(accounts_for, town)


def accounts_for(town: Town) -> None:
    """Hold what was promised against the lists, the events, the figures and the mail: each once."""
    boss = town.company.boss
    listed = [one["order_id"] for one in boss.list("/v1/orders")]
    assert len(listed) == len(set(listed))
    assert set(listed) >= town.orders, "an order that was promised is not there"
    assert {one["customer_id"] for one in boss.list("/v1/customers")} >= town.customers
    town.ear.wait_for(PLACED, set(listed))
    assert {len(ids) for ids in town.ear.subjects(PLACED).values()} == {1}, "told as two things"

    def counted() -> bool:
        rows = boss.get("/v1/reports/sales", by="source").json()["rows"]
        return bool(sum(row["orders"] for row in rows) == len(listed))

    wait_until(counted, "the figures have every order")

    def told() -> bool:
        deliveries = [one["order_id"] for one in boss.list("/v1/deliveries")]
        assert len(deliveries) == len(set(deliveries)), "two mails of one order"
        settled = [one for one in boss.list("/v1/deliveries") if one["state"] != "pending"]
        return len(settled) == len(deliveries) and set(deliveries) >= town.orders - first_by(town)

    wait_until(told, "every mail that was due has gone out")


def first_by(town: Town) -> set[str]:
    """Give the orders that nobody is told of: who placed them is whom they concern."""
    own = town.company["Ana"].member_id
    return {o["order_id"] for o in town.company.boss.list("/v1/orders") if o["author_id"] == own}
