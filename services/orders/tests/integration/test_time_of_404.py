"""The time of a refusal tells nothing: interleaved pairs of a hidden and a random id (S2).

What the database and policy are asked is held equal by test_hidden; here the service's own work is, by
processor time, which others on the machine stretch less. Every run finds half a millisecond; the long
mode, with 2,000 pairs, a fifth of one, and tries that it would.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from bailiwick_access.authorizer import Gate
from bailiwick_kit.policy.client import Decision
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.security.timing import Clock, burn, told_apart
from bailiwick_testkit.services.orders import PATH, OrdersService, a_line, an_order

Way = Callable[[object, object], Any]
OPERATIONS = ("read", "edit", "place", "cancel", "create")
PLANTED = 200_000
"""Nanoseconds of the smallest difference that is to be found."""


@asynccontextmanager
async def hidden(market: OrdersService) -> AsyncIterator[tuple[Person, str, UUID]]:
    """Give a representative, and an order and a customer that are hidden from them."""
    mia = await market.shop.member("brand_manager")
    bruno = await market.shop.member("sales_representative")
    customer = await market.customer(main=mia)
    order = await market.order(mia, customer, lines=[a_line()] * 100)
    with capture_logs():
        yield bruno, order["order_id"], customer


def ways(market: OrdersService, who: Person) -> Mapping[str, Way]:
    api = market.shop.api
    return {
        "read": lambda order, _: api.get(who, f"{PATH}/{order}"),
        "edit": lambda order, _: api.patch(who, f"{PATH}/{order}", {"note": "x"}, "*"),
        "place": lambda order, _: market.act(who, f"{PATH}/{order}", "place"),
        "cancel": lambda order, _: market.act(who, f"{PATH}/{order}", "cancel"),
        "create": lambda _, customer: api.post(who, PATH, an_order(str(customer))),
    }


async def auc(market: OrdersService, operation: str, pairs: int, clock: Clock) -> float:
    async with hidden(market) as (bruno, order, customer):
        way = ways(market, bruno)[operation]

        async def of_hidden() -> None:
            assert (await way(order, customer)).status_code == 404

        async def of_none() -> None:
            assert (await way(uuid4(), uuid4())).status_code == 404

        await told_apart(of_hidden, of_none, 5, clock)  # warm
        return await told_apart(of_hidden, of_none, pairs, clock)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_processor_time_does_not_tell_a_hidden_order(
    market: OrdersService, operation: str
) -> None:
    found = await auc(market, operation, 150, time.process_time_ns)
    assert abs(found - 0.5) < 0.13, found  # 0.5 ± four standard errors of 150 pairs


@pytest.mark.slow
async def test_a_fifth_of_a_millisecond_would_tell(
    market: OrdersService, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide = Gate.decide

    async def slower(gate: Gate, *asked: Any, **rows: Any) -> Decision:
        if None not in rows.values():
            burn(PLANTED)
        return await decide(gate, *asked, **rows)

    monkeypatch.setattr(Gate, "decide", slower)
    assert await auc(market, "edit", 2000, time.process_time_ns) > 0.53


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_time_does_not_tell_a_hidden_order(market: OrdersService, operation: str) -> None:
    found = await auc(market, operation, 2000, time.process_time_ns)
    assert abs(found - 0.5) < 0.03, found  # three standard errors of 2,000 pairs
