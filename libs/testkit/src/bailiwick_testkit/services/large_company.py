"""A large company in a service's database, made in seconds: by default a million orders of 100,000 customers.

One representative has a tenth of all customers, one has exactly 100, and the others about 90 each, whatever
the size: what the small one is told is the same work in a company of any size. The oldest twentieth of orders
is in a currency that is no longer used, one in a thousand is a draft, and one in fifty is cancelled.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import Template
from uuid import UUID

import asyncpg

from bailiwick_kit.bus.outbox_notify import plain_dsn
from bailiwick_launcher.databases import DatabaseUrls
from bailiwick_testkit.servers.real import Postgres


@dataclass(frozen=True)
class Company:
    """Whose it is, who its two representatives with known portfolios are, and how large it is."""

    org_id: UUID
    large: UUID
    small: UUID
    orders: int = 1_000_000

    @property
    def customers(self) -> int:
        """How many customers there are, with ten orders each."""
        return self.orders // 10

    @property
    def representatives(self) -> int:
        """How many representatives there are."""
        return max(self.customers // 100, 3)


async def fill(service: str, dsn: str, company: Company) -> None:
    """Fill the database of orders, customers or reports, as its superuser."""
    script = Template("".join((_PEOPLE, *_ROWS[service]))).substitute(
        org=f"'{company.org_id}'::uuid",
        large=f"'{company.large}'::uuid",
        small=f"'{company.small}'::uuid",
        orders=company.orders,
        customers=company.customers,
        representatives=company.representatives,
        of_large=company.customers // 10,
    )
    connection = await asyncpg.connect(plain_dsn(dsn))
    try:
        # Indexes are made of rows that are there: several times quicker than row by row.
        indexes = await connection.fetch(_INDEXES)
        for index in indexes:
            await connection.execute(f"DROP INDEX {index['name']}")
        await connection.execute(script, timeout=1200)
        for index in indexes:
            await connection.execute(index["made_by"], timeout=600)
        await connection.execute("VACUUM ANALYZE", timeout=1200)
    finally:
        await connection.close()


def superuser_dsn(postgres: Postgres, urls: DatabaseUrls) -> str:
    """Return the superuser's address of a database."""
    return f"{postgres.url.rpartition('/')[0]}/{urls.name}"


_INDEXES = """
SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS made_by
FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
WHERE relnamespace = 'public'::regnamespace
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""
_PEOPLE = """
SET synchronous_commit = off; SET work_mem = '256MB'; SET maintenance_work_mem = '512MB'; SET jit = off;
CREATE TEMP TABLE reps AS
SELECT place, CASE place WHEN 0 THEN $large WHEN 1 THEN $small ELSE md5('rep' || place)::uuid END AS member_id
FROM generate_series(0, $representatives - 1) place;
CREATE TEMP TABLE held AS
SELECT n, md5('customer' || n)::uuid AS customer_id,
    (ARRAY['Librería', 'Papeterie', 'Bazar', 'Maison', 'Books', 'Atelier', 'Kiosk'])[1 + n % 7]
        || ' ' || substr(md5(n::text), 1, 8) || ' ' || n AS name,
    (ARRAY['Madrid', 'Paris', 'London', 'Lyon', 'Porto'])[1 + n % 5] AS city,
    CASE WHEN n % 5000 <> 9 THEN (ARRAY['ES', 'FR', 'GB', 'FR', 'PT'])[1 + n % 5] END AS country,
    CASE WHEN n <= $of_large THEN $large WHEN n <= $of_large + 100 THEN $small
        ELSE main.member_id END AS main_id,
    CASE WHEN n % 10 = 3 THEN other.member_id END AS additional_id
FROM generate_series(1, $customers) n
LEFT JOIN reps main ON main.place = 2 + n % ($representatives - 2)
LEFT JOIN reps other ON other.place = 2 + n * 7 % ($representatives - 2);
CREATE UNIQUE INDEX ON held (n); ANALYZE held;
CREATE TEMP TABLE assigned AS
SELECT n AS seq, customer_id, main_id AS member_id, 'main' AS relation FROM held
UNION ALL
SELECT $customers + n, customer_id, additional_id, 'additional' FROM held WHERE additional_id <> main_id;
CREATE TEMP VIEW made AS
SELECT made.n, md5('order' || made.n)::uuid AS order_id, customer_id, name, main_id,
    CASE WHEN made.n % 3 = 0 THEN $org ELSE main_id END AS author_id,
    (ARRAY['phone', 'portal', 'visit', 'whatsapp'])[1 + made.n % 4] AS source,
    CASE WHEN made.n % 1000 = 7 THEN 'draft' WHEN made.n % 50 = 3 THEN 'cancelled'
        WHEN made.n < 0.02 * $orders THEN 'placed' ELSE 'fulfilled' END AS state,
    CASE WHEN made.n > 0.95 * $orders THEN 'CHF' WHEN made.n % 9 = 0 THEN 'GBP' ELSE 'EUR' END AS currency,
    now() - made.n * interval '1 minute' * (1000000 / $orders) AS at
FROM generate_series(1, $orders) made (n)
JOIN held ON held.n = 1 + (made.n::bigint * 7919) % $customers;
"""
_ASSIGNMENTS = """
INSERT INTO assignments (org_id, assignment_id, customer_id, member_id, relation, valid_from, valid_to,
    version, seq)
SELECT $org, md5('assignment' || seq)::uuid, customer_id, member_id, relation, '2020-01-01', '9999-12-31',
    1, seq FROM assigned;
"""
_ROWS = {
    "orders": (
        _ASSIGNMENTS,
        """
INSERT INTO customers (org_id, customer_id, code, name, status, city, country, created_by, version, seq)
SELECT $org, customer_id, 'C' || n, name, 'approved', city, country, $org, 1, n FROM held;
UPDATE customers SET named_version = version;
INSERT INTO customer_names (org_id, customer_id, name, words)
SELECT $org, customer_id, name,
    concat(' ', replace(folded, ' ', ''), ' ', split_part(folded, ' ', 2), n, ' ', n)
FROM held CROSS JOIN LATERAL (SELECT translate(lower(name), 'í', 'i') AS folded) AS one;
INSERT INTO customer_name_words SELECT org_id, word, customer_id
FROM customer_names, unnest(string_to_array(ltrim(words), ' ')) AS word ON CONFLICT DO NOTHING;
INSERT INTO orders (org_id, order_id, number, customer_id, customer_name, author_id, placed_by, credited_to,
    source, state, order_date, listed_at, placed_at, currency, lines, net, imported, version)
SELECT $org, order_id, 'N' || n, customer_id, name, author_id, placed_by,
    CASE WHEN placed_by IS NOT NULL THEN main_id END, source, state,
    CASE WHEN placed_by IS NOT NULL THEN timezone('UTC', at)::date END, at,
    CASE WHEN placed_by IS NOT NULL THEN at END, currency,
    '[{"sku": "A1", "name": "Notebook", "quantity": "10", "unit_price": "2.5", "discount": "0"},
      {"sku": "B2", "name": "Pencil", "quantity": "100", "unit_price": "0.3", "discount": "0.1"}]',
    52, false, 1
FROM made CROSS JOIN LATERAL (SELECT CASE WHEN state <> 'draft' THEN author_id END AS placed_by) placed;
INSERT INTO visibility (org_id, member_id, listed_at, order_id, relation, valid_from, valid_to)
SELECT org_id, member_id, listed_at, order_id, relation, valid_from, valid_to
FROM orders JOIN assignments USING (org_id, customer_id)
UNION ALL SELECT org_id, author_id, listed_at, order_id, 'author', listed_at, '9999-12-31' FROM orders
ORDER BY 1, 2, 3, 4, 5, 6;
""",
    ),
    "customers": (
        """
INSERT INTO assignments (org_id, assignment_id, customer_id, member_id, relation, origin, valid_from,
    valid_to, created_by, changeset_id, version, seq)
SELECT $org, md5('assignment' || seq)::uuid, customer_id, member_id, relation, 'direct', '2020-01-01',
    '9999-12-31', $org, md5('changeset' || seq)::uuid, 1, seq FROM assigned;
INSERT INTO customers (org_id, customer_id, code, name, search, status, contacts, addresses, country, city,
    tags, created_by, listed_at, imported, version, seq, words, looked_up_words, words_version)
SELECT $org, customer_id, 'C' || n, name, lower(name || ' c' || n || ' ' || city),
    CASE WHEN n % 2000 = 5 THEN 'pending' WHEN n % 100 = 7 THEN 'suspended' ELSE 'approved' END, '[]',
    CASE WHEN country IS NULL THEN '[]'::jsonb
        ELSE jsonb_build_array(jsonb_build_object('country', country, 'city', city, 'primary', true)) END,
    country, city, '{}', $org, now() - n * interval '10 minutes', false, 1, n, shown || ' c' || n, shown, 1
FROM held CROSS JOIN LATERAL (SELECT translate(lower(name), 'í', 'i') AS folded) AS one
CROSS JOIN LATERAL (SELECT concat(' ', replace(folded, ' ', ''), ' ', split_part(folded, ' ', 2), n, ' ', n,
    ' ', lower(city)) AS shown) AS two;
INSERT INTO customer_words SELECT org_id, word, customer_id, word <> lower(code)
FROM customers, unnest(string_to_array(ltrim(words), ' ')) AS word;
INSERT INTO visibility (org_id, member_id, listed_at, customer_id, relation, valid_from, valid_to)
SELECT org_id, member_id, listed_at, customer_id, relation, valid_from, valid_to
FROM customers JOIN assignments USING (org_id, customer_id)
UNION ALL SELECT org_id, created_by, listed_at, customer_id, 'author', listed_at, '9999-12-31' FROM customers
ORDER BY 1, 2, 3, 4, 5, 6;
""",
    ),
    "reports": (
        _ASSIGNMENTS,
        """
INSERT INTO customers (org_id, customer_id, code, name, status, country, version, seq)
SELECT $org, customer_id, 'C' || n, name, 'approved', country, 1, n FROM held;
INSERT INTO orders (org_id, order_id, customer_id, author_id, credited_to, source, order_date, currency,
    state, pieces, net, version)
SELECT $org, order_id, customer_id, author_id, main_id, source, timezone('UTC', at)::date, currency, state,
    110, 52, 1 FROM made WHERE state <> 'draft';
INSERT INTO sales (org_id, customer_id, author_id, credited_to, source, order_date, currency, state, orders,
    pieces, net)
SELECT org_id, customer_id, author_id, credited_to, source, order_date, currency, state, count(*),
    sum(pieces), sum(net) FROM orders GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8;
""",
    ),
}
