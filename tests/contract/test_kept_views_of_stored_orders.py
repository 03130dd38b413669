"""Of orders stored by versions before it is worked out whether their author keeps the view (domain §3)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from alembic import command

from bailiwick_kit.database import migrations
from bailiwick_testkit.checkout import CHECKOUT
from bailiwick_testkit.servers.real import Postgres

ORG = "00000000-0000-7000-8000-000000000000"
ANA, BRUNO = "00000000-0000-7000-8000-00000000000a", "00000000-0000-7000-8000-00000000000b"
BEFORE, PLACED, AFTER = "2026-01-01T00:00Z", "2026-02-01T00:00Z", "2026-03-01T00:00Z"

# (placed by, when, whom Ana represented: from, to) → whether Ana, the author, keeps the view
CASES = [
    ((ANA, PLACED, None), True),
    ((ANA, PLACED, (BEFORE, BEFORE)), True),
    ((BRUNO, PLACED, (BEFORE, AFTER)), True),
    ((BRUNO, PLACED, (PLACED, AFTER)), True),
    ((BRUNO, PLACED, (BEFORE, PLACED)), False),
    ((BRUNO, PLACED, (AFTER, "9999-12-31T00:00Z")), False),
    ((BRUNO, PLACED, None), False),
    ((None, None, (BEFORE, AFTER)), False),
]


async def stored(service: str, connection: asyncpg.Connection) -> None:
    """Write an order of Ana's for each case, its place as the last digits of every id."""
    for place, ((placed_by, placed_at, held), _) in enumerate(CASES):
        its_id = f"00000000-0000-7000-8000-1000000000{place:02}"
        state = "placed" if placed_at else "cancelled"
        if service == "orders":
            await connection.execute(
                "INSERT INTO orders (org_id, order_id, number, customer_id, customer_name, author_id,"
                " placed_by, source, state, listed_at, placed_at, currency, lines, net, imported, version)"
                " VALUES ($1, $2, $3, $2, 'Sol', $4, $5, 'phone', $6, now(), $7::text::timestamptz, 'EUR',"
                " '[]', 0, false, 1)",
                *(ORG, its_id, f"N{place}", ANA, placed_by, state, placed_at),
            )
            if held:
                await connection.execute(
                    "INSERT INTO assignments (org_id, assignment_id, customer_id, member_id, relation,"
                    " valid_from, valid_to, version, seq) VALUES ($1, $2, $2, $3, 'additional',"
                    " $4::text::timestamptz, $5::text::timestamptz, 1, 1)",
                    *(ORG, its_id, ANA, *held),
                )
        elif placed_at:
            is_held = held is not None and held[0] <= placed_at < held[1]
            await connection.execute(
                "INSERT INTO notices (org_id, event_id, order_id, order_number, customer_id, author_id,"
                " placed_by, additional_ids, assignment_seq, state, content, taken_at, next_look_at)"
                " VALUES ($1, $2, $2, 'N', $2, $3, $4, $5, 1, 'placed', '{}', now(), now())",
                *(ORG, its_id, ANA, placed_by, [ANA] if is_held else []),
            )


@pytest.mark.parametrize(
    ("service", "table"), [("orders", "orders"), ("notifier", "notices")], ids=str
)
async def test_it_is_fixed_by_who_placed_it_and_who_represented_the_customer_then(
    postgres: Postgres, service: str, table: str
) -> None:
    urls = await postgres.fresh_database(service, migrated=False)
    folder = CHECKOUT / Path("services", service, "src", f"bailiwick_{service}", "store/migrations")
    [path] = folder.glob("versions/*_whether_the_author_keeps_the_view.py")
    roles = (f"{service}_api", f"{service}_worker")
    config = migrations._config(folder, urls.owner, *roles)
    await asyncio.to_thread(command.upgrade, config, f"{int(path.name[:4]) - 1:04}")
    address = urlsplit(postgres.url)._replace(path=f"/{urls.name}").geturl()
    connection = await asyncpg.connect(address)
    await stored(service, connection)

    await asyncio.to_thread(command.upgrade, config, "head")

    found = await connection.fetch(
        f"SELECT order_id, author_keeps_view AS keeps FROM {table} ORDER BY order_id"  # noqa: S608
    )
    kept = {int(str(row["order_id"])[-2:]): row["keeps"] for row in found}
    expected = {place: keeps for place, (_, keeps) in enumerate(CASES)}
    assert kept == {place: keeps for place, keeps in expected.items() if place in kept}
    assert len(kept) >= len(CASES) - 1
    await connection.close()
    await postgres.drop(urls)
