"""A hundred thousand orders, and representatives with portfolios of 100 and of 10,000 customers."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID, uuid4

import asyncpg

from bailiwick_kit.bus.outbox_notify import plain_dsn

ORDERS = 100_000
CUSTOMERS = 20_000
PORTFOLIOS = {"small": 100, "large": 10_000}

_SEED = """
SELECT setseed(0.42);
INSERT INTO customers (org_id, customer_id, code, name, status, created_by, version, seq)
SELECT $org, gen_random_uuid(), 'C' || n, 'Customer ' || n, 'approved', $org, 1, n
FROM generate_series(1, {customers}) n;
INSERT INTO orders (org_id, order_id, number, customer_id, customer_name, author_id, placed_by,
    source, state, order_date, listed_at, placed_at, currency, lines, net, imported, version)
SELECT $org, gen_random_uuid(), 'N' || n, c.customer_id, c.name, $org, $org, 'phone', 'placed',
    placed_at::date, placed_at, placed_at, 'EUR',
    jsonb_build_array(
        jsonb_build_object('sku', 'A1', 'name', 'Notebook', 'quantity', '10', 'unit_price', '2.5',
            'discount', '0', 'net', '25.0000'),
        jsonb_build_object('sku', 'B2', 'name', 'Pencil', 'quantity', '100', 'unit_price', '0.3',
            'discount', '0.1', 'net', '27.0000')),
    52, false, 1
FROM generate_series(1, {orders}) n
CROSS JOIN LATERAL (SELECT now() - n * interval '3 minutes' AS placed_at) t
JOIN customers c ON c.org_id = $org AND c.seq = 1 + (n * 7919) % {customers};
"""
_PORTFOLIO = """
INSERT INTO assignments (org_id, assignment_id, customer_id, member_id, relation, valid_from, valid_to,
    version, seq)
SELECT org_id, gen_random_uuid(), customer_id, $member, 'main', '2020-01-01', '9999-12-31', 1, seq
FROM customers WHERE org_id = $org AND seq > $first AND seq <= $first + $size;
INSERT INTO visibility (org_id, member_id, listed_at, order_id, relation, valid_from, valid_to)
SELECT o.org_id, $member, o.listed_at, o.order_id, 'main', '2020-01-01', '9999-12-31'
FROM orders o JOIN assignments a USING (org_id, customer_id) WHERE o.org_id = $org AND a.member_id = $member;
"""


@dataclass(frozen=True)
class World:
    """Who is in it, and an order that the large portfolio holds."""

    portfolios: dict[str, UUID]
    order_id: UUID


async def fill(superuser_dsn: str, org_id: UUID, portfolios: dict[str, UUID]) -> World:
    """Fill the orders database."""
    connection = await asyncpg.connect(plain_dsn(superuser_dsn))
    try:
        script = _SEED.format(customers=CUSTOMERS, orders=ORDERS)
        await connection.execute(script.replace("$org", f"'{org_id}'::uuid"))
        first = 0
        owners = {**portfolios, **{f"other {n}": uuid4() for n in range(99)}}
        for name, member_id in owners.items():
            size = PORTFOLIOS.get(name, 100)
            await connection.execute(
                _PORTFOLIO.replace("$org", f"'{org_id}'::uuid")
                .replace("$member", f"'{member_id}'::uuid")
                .replace("$first", str(first))
                .replace("$size", str(size))
            )
            first += size
        await connection.execute("VACUUM ANALYZE")
        order_id = await connection.fetchval(
            "SELECT order_id FROM visibility WHERE member_id = $1 LIMIT 1", portfolios["large"]
        )
    finally:
        await connection.close()
    return World(portfolios, order_id)
