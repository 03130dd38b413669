"""What was committed is answered as done, whatever fails from then on."""

from __future__ import annotations

from typing import Any

import pytest

from bailiwick_testkit.checks.committing import nothing_answers_after_commits
from bailiwick_testkit.services.orders import PATH, OrdersService, a_line, an_order

BEFORE = {"edit": (), "place": (), "confirm": ("place",), "fulfil": ("place", "confirm")}
CHANGES = {"note": "Call first", "lines": [a_line("1.50", "10.0", discount="0.25")]}


@pytest.mark.parametrize("act", ["draft", "placed", "edit", "place", "confirm", "fulfil", "cancel"])
async def test_what_was_committed_is_answered_as_it_is_read(
    market: OrdersService, act: str
) -> None:
    mia = await market.shop.member("brand_manager")
    api, customer = market.shop.api, await market.customer(main=mia)
    if act in {"draft", "placed"}:
        body = an_order(customer, place=act == "placed", **CHANGES)
        with nothing_answers_after_commits():
            done = await api.post(mia, PATH, body)
        path = done.headers["location"]
    else:
        path = (await market.order(mia, customer))["path"]
        for verb in BEFORE.get(act, ()):
            await market.act(mia, path, verb)
        with nothing_answers_after_commits():
            if act == "edit":
                done = await api.patch(mia, path, CHANGES, "*")
            else:
                done = await market.act(mia, path, act)
    assert done.status_code == (201 if act in {"draft", "placed"} else 200), done.text
    read = await api.get(mia, path)
    assert (done.content, done.headers["etag"]) == (read.content, read.headers["etag"])
    written: Any = read.json()
    position = f"orders:{written['order_id']}:{written['version']}:"
    assert done.headers["bailiwick-position"].startswith(position)


async def test_a_representative_is_answered_with_what_they_may_see(market: OrdersService) -> None:
    ana = await market.shop.member(permissions=["seller"])
    path = (await market.order(ana, await market.customer(main=ana)))["path"]
    with nothing_answers_after_commits():
        placed = await market.act(ana, path, "place")
    assert placed.content == (await market.shop.api.get(ana, path)).content
