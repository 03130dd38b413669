"""A stack of our own, and harm done to its parts under load: nothing lost, nothing doubled, nobody misled.

What clients were promised is written down while things break (`bailiwick_testkit.checks.load_clients`), and
counted at the end: each order once in the list, each told of once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from bailiwick_kit.policy.client import DEADLINE
from bailiwick_launcher.servers import Server
from bailiwick_testkit.checks.load_clients import Busy, Ledger, under_load
from bailiwick_testkit.checks.operations import Operation, operations
from bailiwick_testkit.fakes.subscriber import Ear, a_message, deliver
from bailiwick_testkit.servers.real import Servers
from bailiwick_testkit.servers.stack import Running, running
from bailiwick_testkit.services.company import Company, Someone, a_company, done
from bailiwick_testkit.services.orders import an_order
from bailiwick_testkit.waiting import wait_until

pytestmark = pytest.mark.faults

PLACED, CUSTOMER = "orders.order.placed.v1", "customers.customer.changed.v1"
QUEUE = "orders.customers"
STARVED = "policy-unavailable"
"""What whoever gets no processor for two seconds answers, and means it (T9, F12). It is no word
about the broker, whose absence refuses nobody (F1); on two cores that others use too it happens."""
OF_ONESELF = {"read_me", "list_memberships", "accept_membership"}
"""These are everybody's who has signed in: no policy is asked."""


@dataclass
class Town:
    """A company in a stack that may be harmed, and every order that anybody was promised."""

    company: Company
    ear: Ear
    c1: str
    c2: str
    orders: set[str] = field(default_factory=set)

    @property
    def stack(self) -> Any:
        """The launcher's view of what runs."""
        return self.company.running.stack

    def accounts_for(self, ledger: Ledger, *, told: bool = True) -> None:
        """Hold what was promised against the lists, and against what subscribers were told."""
        promised = set(ledger.promised.values())
        assert not ledger.unexpected, ledger.unexpected
        assert len(promised) == len(ledger.promised), "two keys, one order"
        self.lists_are_right()
        if told:
            self.ear.wait_for(PLACED, promised)
            heard = self.ear.subjects(PLACED)
            assert heard.keys() <= self.orders, "told of an order that is not there"
            assert {len(ids) for ids in heard.values()} <= {1}, "told twice, as two things"

    def lists_are_right(self) -> None:
        """Hold each list against what was promised: each order once, and no other."""
        listed = [one["order_id"] for one in self.company.boss.list("/v1/orders")]
        assert len(listed) == len(set(listed))
        assert set(listed) == self.orders
        assert self.company.boss.count("/v1/orders") == len(listed)


@pytest.fixture(scope="module")
def own(servers: Servers) -> Iterator[Running]:
    """Start a stack of our own; nobody else's servers are harmed."""
    mine = running(servers.places.data / "faults", own=True)
    yield mine
    mine.stack.down()


@pytest.fixture(scope="module")
def town(own: Running) -> Iterator[Town]:
    with a_company(own) as company:
        # Declared before anybody is hired: a queue must not be too young when its broker is killed.
        ear = Ear(own.stack.rabbitmq.url, company.org_id)
        ana = company.hire("Ana", permissions=["seller"])
        bruno = company.hire("Bruno", "sales_representative")
        c1, c2 = company.customer("C1", by=ana), company.customer("C2", by=bruno)
        town = Town(company, ear, c1, c2)
        for who, customer in ((ana, c1), (bruno, c2), (company.boss, c1)):
            town.orders.add(company.order(who, customer)["order_id"])
        ear.wait_for(PLACED, town.orders)
        yield town


@contextmanager
def placing(town: Town) -> Iterator[Ledger]:
    """Let Mia, Ana and Bruno place orders, each on a connection of their own.

    What they were promised is the town's, also where a test expects too much: no other fails for that.
    """
    company, customers = town.company, {"Mia": town.c1, "Ana": town.c1, "Bruno": town.c2}
    with ExitStack() as connections:
        clients = []
        for name, customer in customers.items():
            http = connections.enter_context(connected(town))
            body = an_order(customer, place=True)
            clients.append(Busy(http, company[name].token, "/v1/orders", "order_id", body))
        ledger = connections.enter_context(under_load(*clients))
        try:
            yield ledger
        finally:
            connections.close()  # what is under way is seen through
            town.orders.update(ledger.promised.values())


@contextmanager
def opening_shops(town: Town) -> Iterator[Ledger]:
    """Let Bruno create customers."""
    token, body = town.company["Bruno"].token, {"name": "Café Ñandú"}
    with (
        connected(town) as http,
        under_load(Busy(http, token, "/v1/customers", "customer_id", body)) as ledger,
    ):
        yield ledger


def connected(town: Town) -> httpx2.Client:
    return httpx2.Client(base_url=town.stack.gateway.url, timeout=30)


def eventually_orders_for(town: Town, who: Someone, customer_id: str) -> None:
    """Order for a customer as soon as orders knows of it, without saying that it must."""

    def ordered() -> bool:
        who.positions.clear()
        answer = who.post("/v1/orders", an_order(customer_id, place=True))
        if answer.is_success:
            town.orders.add(answer.json()["order_id"])
        return bool(answer.is_success)

    wait_until(ordered, "orders knows of a customer")


def test_orders_are_taken_while_the_broker_is_away_and_told_when_it_is_back(town: Town) -> None:
    broker, bruno = town.stack.rabbitmq, town.company["Bruno"]
    with placing(town) as ledger:
        ledger.wait_for(10)
        broker.kill()
        try:
            ledger.wait_for(20)
            # What customers cannot tell orders by an event, orders asks for at its change feed.
            made = bruno.post("/v1/customers", {"name": "Night shop"})
            after = {"Bailiwick_After": made.headers["Bailiwick-Position"]}
            body = an_order(done(made)["customer_id"], place=True)
            town.orders.add(done(bruno.post("/v1/orders", body, **after))["order_id"])
            ledger.wait_for(10)
        finally:
            broker.start()
        ledger.wait_for(10)
    ledger.holds_only(201, besides=STARVED)
    town.accounts_for(ledger)


def test_a_broker_that_goes_down_again_and_again_loses_and_doubles_nothing(town: Town) -> None:
    broker = town.stack.rabbitmq
    harms: list[tuple[Callable[[], None], Callable[[], None]]] = [
        (broker.kill, broker.start),
        (broker.pause, broker.resume),
        (broker.stop, broker.start),
        (broker.kill, broker.start),
    ]
    with placing(town) as ledger, opening_shops(town) as shops:
        for harm, mend in harms:
            ledger.wait_for(10)
            harm()
            try:
                ledger.wait_for(10)
            finally:
                mend()
        ledger.wait_for(10)
    ledger.holds_only(201, besides=STARVED)
    shops.holds_only(201, besides=STARVED)
    town.accounts_for(ledger)
    assert not shops.unexpected
    shop_ids = set(shops.promised.values())
    town.ear.wait_for(CUSTOMER, shop_ids)
    for customer_id in sorted(shop_ids)[:: max(1, len(shop_ids) // 3)]:
        eventually_orders_for(town, town.company["Bruno"], customer_id)


def test_a_database_that_goes_down_loses_no_promise_and_says_try_again(town: Town) -> None:
    database: Server = town.stack.postgres
    with placing(town) as ledger:
        for harm in (database.kill, database.stop, database.kill):
            ledger.wait_for(10, 201)
            harm()
            try:
                ledger.wait_for(6, 503)
            finally:
                database.start()
            begun = time.monotonic()
            ledger.wait_for(1, 201)
            assert time.monotonic() - begun < 10
    ledger.holds_only(201, 409, 503)
    town.accounts_for(ledger)


@pytest.mark.parametrize("victim", ["orders", "customers"])
def test_a_service_killed_at_work_loses_and_doubles_nothing(town: Town, victim: str) -> None:
    with placing(town) as ledger, opening_shops(town) as shops:
        for _ in range(2):
            ledger.wait_for(10, 201)
            shops.wait_for(3, 201)
            town.stack.service(victim).kill()
            (ledger if victim == "orders" else shops).wait_for(3, 503)
            town.company.running.start(victim)
    town.accounts_for(ledger)
    assert not shops.unexpected
    shop_ids = set(shops.promised.values())
    assert len(shop_ids) == len(shops.promised)
    assert shop_ids <= {one["customer_id"] for one in town.company["Bruno"].list("/v1/customers")}
    town.ear.wait_for(CUSTOMER, shop_ids)
    heard = town.ear.subjects(CUSTOMER)
    assert {len(heard[one]) for one in shop_ids} == {1}, "told twice, as two things"
    eventually_orders_for(town, town.company["Bruno"], shops.promised.popitem()[1])


def test_a_customer_moved_while_orders_is_dead_has_moved_there_too(town: Town) -> None:
    company = town.company
    ana, bruno = company["Ana"], company["Bruno"]
    customer_id = company.customer("Wanderer", by=ana)
    order_id = company.order(ana, customer_id)["order_id"]
    town.orders.add(order_id)
    assert bruno.get(f"/v1/orders/{order_id}").status_code == 404
    town.stack.service("orders").kill()
    company.assign(customer_id, bruno)
    assert bruno.count("/v1/customers", text="Wanderer") == 1
    company.running.start("orders")
    # The first answer that is one is right: whoever says what they have seen is not shown older things.
    while (answer := bruno.get(f"/v1/orders/{order_id}")).status_code == 503:
        assert answer.json()["code"] == "position-not-reached"
    assert answer.status_code == 200
    company.boss.positions.clear()
    assert order_id in {one["order_id"] for one in bruno.list("/v1/orders")}
    kept = done(ana.get(f"/v1/orders/{order_id}"))
    assert kept["customer"] == {"name": "Wanderer"}
    assert ana.count("/v1/orders", customer_id=customer_id) == 0


@pytest.mark.parametrize("harm", ["kill", "pause"])
@pytest.mark.parametrize("service", ["identity", "customers", "orders"])
def test_without_its_policy_a_service_shows_and_does_nothing(
    town: Town, service: str, harm: str
) -> None:
    engine: Server = town.stack.policies[service]
    boss, ids = town.company.boss, ids_of(town)
    before = {name: boss.get(path).status_code for name, path in health_of_others(service).items()}
    assert set(before.values()) == {200}
    getattr(engine, harm)()
    try:
        asked = [one for one in operations() if one.service == service and one.asks_who]
        within = 2 + DEADLINE  # the first is waited for to the end, all others are not
        for operation in asked:
            if operation.name not in OF_ONESELF:
                for who in (boss, town.company["Ana"]):
                    refused(who, operation, ids, within=within)
                    within = 2
        assert town.company.running.health(service) == 503
        assert town.company.running.health(service, "/live") == 200
        for path in health_of_others(service).values():
            assert boss.get(path).status_code == 200, path
        nobody = town.company.http.get(asked[0].at(**ids))
        assert nobody.status_code == 401
    finally:
        engine.resume() if harm == "pause" else engine.start()
    wait_until(lambda: boss.get(HEALTH[service]).status_code == 200, "policy answers again")
    town.lists_are_right()


HEALTH = {"identity": "/v1/members", "customers": "/v1/customers", "orders": "/v1/orders"}


def health_of_others(service: str) -> dict[str, str]:
    return {name: path for name, path in HEALTH.items() if name != service} | {"me": "/v1/me"}


def ids_of(town: Town) -> dict[str, str]:
    history = done(town.company.boss.get(f"/v1/customers/{town.c1}/assignments"))["items"]
    return {
        "customer_id": town.c1,
        "order_id": min(town.orders),
        "member_id": town.company["Bruno"].member_id,
        "assignment_id": history[0]["assignment_id"],
    }


def refused(who: Someone, operation: Operation, ids: dict[str, str], *, within: float) -> None:
    """Send a request that would do, and hold that it is neither done nor denied."""
    body: dict[str, Any] | None = None if operation.schema is None else {}
    if operation.name == "create_order":
        body = an_order(ids["customer_id"])
    begun = time.monotonic()
    answer = who.send(operation.method, operation.at(**ids), body, if_match="*")
    said = (answer.status_code, answer.json()["code"], answer.headers.get("Retry-After"))
    assert said == (503, "policy-unavailable", "1"), (operation.name, answer.text)
    assert time.monotonic() - begun < within


def test_poison_is_set_aside_while_all_else_flows_and_operators_deal_with_it(town: Town) -> None:
    company, ana = town.company, town.company["Ana"]
    customer_id = company.customer("Taster", by=ana)
    town.ear.wait_for(CUSTOMER, {customer_id})
    genuine = next(one for one in town.ear.listen() if str(one.subject) == customer_id)
    body = json.loads(genuine.body)
    # Later than everything that is known here: what is not is passed over, for a pull has brought it.
    later = {"version": 2, "seq": body["seq"] + 1_000, "name": "Replayed"}
    newer = json.dumps({**body, **later}).encode()
    poison = {
        "not-json": (genuine.headers, CUSTOMER, b"{"),
        "half": (genuine.headers, CUSTOMER, json.dumps({**body, "seq": None}).encode()),
        "unknown": ({**genuine.headers, "ce-type": "x.y.v9"}, "x.y.v9", genuine.body),
        "bare": ({}, "", b"\x00\xff"),
    }
    sent = {name: str(uuid4()) for name in (*poison, "newer")}
    publish(town, QUEUE, {sent[name]: what for name, what in poison.items()})
    publish(town, f"{QUEUE}.dead", {sent["newer"]: (genuine.headers, CUSTOMER, newer)})

    eventually_orders_for(town, ana, company.customer("Next in line", by=ana))
    listed = dead_letters(town, "list")
    assert {line.split("  ")[1] for line in listed} == set(sent.values())
    reasons = {line.split("  ")[1]: line.split("  ")[-1] for line in listed}
    assert reasons[sent["not-json"]].startswith("invalid")
    assert "unknown type" in reasons[sent["unknown"]]
    assert "unreadable" in reasons[sent["bare"]]
    assert dead_letters(town, "show", sent["half"])[-1] == poison["half"][2].decode()

    assert dead_letters(town, "replay", sent["newer"]) == ["1 replayed"]
    ana.positions.clear()

    def shown() -> bool:
        order = company.order(ana, customer_id)
        town.orders.add(order["order_id"])
        return bool(order["customer"]["name"] == "Replayed")

    wait_until(shown, "what was replayed has its effect")
    for name in poison:
        assert dead_letters(town, "drop", sent[name]) == ["1 dropped"]
    assert dead_letters(town, "list") == []


def dead_letters(town: Town, *arguments: str) -> list[str]:
    """Run the operator's command, and give the lines that it says."""
    done = town.stack.run_service("orders", "dead-letters", *arguments)
    assert done.returncode == 0, done.stderr
    return list(done.stdout.splitlines())


def publish(town: Town, queue: str, messages: dict[str, tuple[Any, str, bytes]]) -> None:
    """Put messages straight into a queue, each under an id of its own."""
    made = [
        a_message(one, event_type, {**headers, "ce-id": one} if headers else {}, body)
        for one, (headers, event_type, body) in messages.items()
    ]
    deliver(town.stack.rabbitmq.url, queue, *made)
