"""Instants and days are finite: infinite ones are repaired, and refused from now on."""

from __future__ import annotations

from bailiwick_kit.database.migration_steps import make_finite, run, show_all_organizations

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# The day is part of the key: what was sold on an infinite one may meet what was sold on the day it becomes.
_JOIN_SALES = """
WITH infinite AS (DELETE FROM sales WHERE NOT isfinite(order_date) RETURNING *)
INSERT INTO sales AS known (org_id, customer_id, author_id, credited_to, source, order_date, currency,
                            state, orders, pieces, net)
SELECT org_id, customer_id, author_id, credited_to, source,
       CASE WHEN order_date < '1900-01-01' THEN '1900-01-01'::date ELSE '9999-12-30' END, currency, state,
       orders, pieces, net
FROM infinite
ON CONFLICT (org_id, customer_id, author_id, credited_to, source, order_date, currency, state)
DO UPDATE SET orders = known.orders + excluded.orders, pieces = known.pieces + excluded.pieces,
              net = known.net + excluded.net
"""


def upgrade() -> None:
    show_all_organizations("sales")
    run(_JOIN_SALES)
    make_finite(
        "assignments",
        "inbox",
        "members",
        "orders",
        "sales",
    )
