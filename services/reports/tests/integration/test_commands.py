"""`rebuild` and `verify` as an operator runs them, and the bus as the worker hears it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from bailiwick_contracts.envelope import Event
from bailiwick_kit.database.migrations import check
from bailiwick_kit.settings import PREFIX, ServiceSettings
from bailiwick_reports.main import program, service, work
from bailiwick_reports.settings import Settings
from bailiwick_reports.store import tables
from bailiwick_testkit.fakes.orders import KEY, MadeUpOrders
from bailiwick_testkit.fakes.subscriber import publish
from bailiwick_testkit.services.application import served, settings_for
from bailiwick_testkit.services.reports_rebuild import ReportsRebuild
from bailiwick_testkit.waiting import running, until

Run = Callable[..., Awaitable[Result]]


def lines_of(orders: MadeUpOrders) -> bytes:
    """Return the tally as orders prints it."""
    lines = []
    for key, (count, pieces, net) in orders.tally().items():
        named = dict(zip(KEY, (None if one is None else str(one) for one in key), strict=True))
        lines.append(json.dumps({**named, "orders": count, "pieces": str(pieces), "net": str(net)}))
    return "\n".join(lines).encode()


@asynccontextmanager
async def settled(books: ReportsRebuild, **more: Any) -> AsyncIterator[Any]:
    feeds = (books.shop.identity.application(), books.customers.application())
    async with served(*feeds) as (identity_url, customers_url):
        urls = {"identity_url": identity_url, "customers_url": customers_url}
        yield settings_for(Settings, books.shop.urls, **{**urls, **more})


def put_into(environment: pytest.MonkeyPatch, settings: ServiceSettings) -> None:
    for name, value in settings.model_dump().items():
        shown = value.get_secret_value() if hasattr(value, "get_secret_value") else value
        if shown is not None:
            environment.setenv(f"{PREFIX}{name.upper()}", str(shown))


@pytest.fixture
async def run(books: ReportsRebuild, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Run]:
    """Run a command of the service as an operator would."""
    monkeypatch.setattr("bailiwick_reports.actions.verify.PATIENCE", 0.0)
    async with settled(books) as settings:
        put_into(monkeypatch, settings)

        async def run(command: str, *options: str, text: bytes = b"") -> Result:
            arguments = [command, "--org", str(books.shop.org_id), *options]
            return await asyncio.to_thread(
                lambda: CliRunner().invoke(program, arguments, input=text)
            )

        yield run


async def test_verify_says_so_where_nothing_differs(books: ReportsRebuild, run: Run) -> None:
    done = await run("verify", text=lines_of(books.orders))
    assert done.exit_code == 0, done.output
    assert done.stdout == "No difference: reports agrees with orders, identity and customers.\n"


async def test_verify_says_each_difference_and_what_to_do_and_rebuild_does_it(
    books: ReportsRebuild, run: Run
) -> None:
    held = next(iter(books.customers.assignments))
    await books.damage(
        tables.sales.update().values(net=tables.sales.c.net + 1).where(tables.sales.c.orders == 1),
        tables.assignments.delete().where(tables.assignments.c.assignment_id == held),
        tables.customers.update().values(name="María's own"),
    )
    singles = sum(figures[0] == 1 for figures in books.orders.tally().values())

    done = await run("verify", text=lines_of(books.orders))

    assert done.exit_code == 1
    said = done.stdout.splitlines()
    assert sum(line.startswith("sales customer_id=") for line in said) == singles > 0
    assert f"assignments assignment_id={held}: customers has it, and it is missing here" in said
    assert sum(line.endswith(": name differ from what customers has") for line in said) == 4
    assert "María" not in done.stdout
    assert f"`reports rebuild --org {books.shop.org_id}`" in done.stdout
    assert "republish" not in done.stdout

    rebuilt = await run("rebuild")
    assert rebuilt.exit_code == 0, rebuilt.output
    assert rebuilt.stdout.splitlines() == [
        "identity: 0 rows mended",
        "customers: 5 rows mended",
        f"sales: {singles} cells taken out, {singles} put in",
    ]
    assert (await run("verify", text=lines_of(books.orders))).exit_code == 0


async def test_verify_without_what_orders_has_finds_every_cell(
    books: ReportsRebuild, run: Run
) -> None:
    done = await run("verify")
    assert done.exit_code == 1
    assert len(done.stdout.splitlines()) == len(books.orders.tally()) + 2


async def test_verify_names_a_line_that_is_no_tally(run: Run) -> None:
    done = await run("verify", text=b'{"customer_id": "x"}\n')
    assert done.exit_code == 2
    assert done.stderr.startswith("line 1: customer_id: ")


async def test_rebuild_from_nothing_leaves_no_figures_until_orders_tells_all_again(
    books: ReportsRebuild, run: Run
) -> None:
    live = await books.digest()
    assert (await run("rebuild", "--from-nothing")).exit_code == 0
    assert {name for name, rows in (await books.digest()).items() if not rows} == {
        "orders",
        "sales",
    }
    await books.hear(*books.orders.snapshots())
    assert await books.digest() == live


async def test_a_feed_that_is_shut_is_said_to_be(
    books: ReportsRebuild, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_into(monkeypatch, settings_for(Settings, books.shop.urls))
    for command in ("verify", "rebuild"):
        done = await run(command, text=lines_of(books.orders))
        assert done.exit_code == 2
        assert done.stderr.endswith("does not answer: start it, and run this again.\n")


async def test_what_the_siblings_tell_over_the_bus_is_counted_out_of_order_and_repeated(
    books: ReportsRebuild, broker: str
) -> None:
    before = len(books.orders.told)
    ana = books.shop.identity.person(books.shop.org_id, "sales_representative")
    customer = books.customers.customer("Met on the bus")
    books.customers.assign(customer, ana.member_id)
    order_id = books.orders.placed(customer, ana.member_id, ana.member_id)
    books.orders.confirm(order_id)
    never = books.orders.draft(customer, ana.member_id)
    books.orders.cancel(never)
    told = [books.shop.identity.events[ana.member_id], *books.customers.told[-2:]]
    events: list[Event] = [*told, *books.orders.told[before:], books.orders.snapshots()[-1]]

    async with settled(books, broker_url=broker) as settings, work(settings) as jobs:
        await publish(broker, *reversed(events), *events)
        async with running(*jobs):

            async def is_up_to_date() -> bool:
                return not await books.verify()

            await until(is_up_to_date)


def test_tables_in_code_and_in_the_database_are_the_same(books: ReportsRebuild) -> None:
    check(service.migrations, books.shop.urls.owner)
