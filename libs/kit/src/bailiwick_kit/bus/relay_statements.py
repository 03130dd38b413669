"""The statements by which the relay reads its outbox and says what became of the rows (ADR 15, 16).

Whatever waits, each reads a bounded part of an index: of each organization, one after the other, its first
rows. So no organization's rows are passed over to find another's.
"""

from __future__ import annotations

from typing import Final

MOST_ORGANIZATIONS: Final = 50
"""Organizations of which rows are read at a time. The next time begins with those after them."""
_MOST_FAILING: Final = 1000
"""The same of rows that could not be sent."""
PARKED_AFTER: Final = 10
"""A row that was returned so many times, in four minutes or more, is parked: tried no more (ADR 16)."""

SETTINGS: Final = {
    # An active relay asks every half second: one that is frozen or cut off loses its lock by this.
    "idle_session_timeout": "30s",
    "statement_timeout": "10s",
    # A mark that a crash takes back only sends its row again, with the same event id (T6): who places
    # orders need not share the disk with it.
    "synchronous_commit": "off",
    "jit": "off",
    # A plan is made while the outbox is empty, and has to be right when it is full: by index, always.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_sort": "off",
    "enable_incremental_sort": "off",
}

LOCK: Final = "SELECT pg_try_advisory_lock(hashtext($1))"

_COLUMNS = (
    "position, event_id, org_id, subject, type, body, trace_parent, recipient, recorded_at, bulk"
)


def _rows(waits: str, theirs: str, order: str, most: int, then: str) -> str:
    """Return what reads $2 rows of lane $1 but those at $3, up to $4 bytes, of organizations after $5.

    Each organization has an equal part of them. More bytes are read only where the first row has more.
    `waits` tells rows as an index does; `theirs` which of one organization's; `then` what is first.
    """
    waits = f"bulk = $1::bool AND sent_at IS NULL AND {waits} AND position <> ALL($3::bigint[])"
    return f"""
        WITH RECURSIVE waiting (org_id, number) AS (
            (
                SELECT org_id, 1 FROM outbox WHERE {waits} AND org_id > $5::uuid
                ORDER BY org_id LIMIT 1
            )
            UNION ALL
            SELECT further.org_id, number + 1 FROM waiting, LATERAL (
                SELECT org_id FROM outbox WHERE {waits} AND outbox.org_id > waiting.org_id
                ORDER BY org_id LIMIT 1
            ) AS further
            WHERE number < {most}
        ), part (most) AS (
            SELECT greatest($2::int / greatest(count(*), 1), 1) FROM waiting
        )
        SELECT {_COLUMNS} FROM (
            SELECT found.*, sum(octet_length(body)) OVER (ORDER BY turn, {then})
                - octet_length(body) AS bytes_before
            FROM (
                SELECT theirs.*,
                    row_number() OVER (PARTITION BY theirs.org_id ORDER BY {order}) AS turn
                FROM waiting, LATERAL (
                    SELECT {_COLUMNS}, retry_at FROM outbox WHERE {waits} AND {theirs}
                    ORDER BY outbox.org_id, {order} LIMIT (SELECT most FROM part)
                ) AS theirs
                WHERE theirs.org_id = waiting.org_id
            ) AS found
        ) AS first
        WHERE bytes_before < $4::bigint ORDER BY turn, {then} LIMIT $2
    """  # noqa: S608 - nothing in it comes from outside


UNTRIED: Final = _rows(
    "retry_at IS NULL",
    # Not "=": the planner would take any index by position then, and pass over others' rows in it.
    "outbox.org_id >= waiting.org_id",
    "position",
    MOST_ORGANIZATIONS,
    "org_id",
)
TRIED: Final = _rows(
    "retry_at IS NOT NULL AND parked_at IS NULL",
    "outbox.org_id = waiting.org_id AND outbox.retry_at <= now()",
    "retry_at",
    _MOST_FAILING,
    "retry_at, position",
)

MARK: Final = (
    "UPDATE outbox SET sent_at = now(), error = NULL, parked_at = NULL"
    " WHERE position = ANY($1::bigint[])"
)
DEMOTE: Final = "UPDATE outbox SET bulk = true WHERE position = ANY($1::bigint[])"
POSTPONE: Final = f"""
    UPDATE outbox SET
        attempts = late.attempts, error = late.error,
        retry_at = now() + least(late.most, power(2, least(late.attempts - 1, 6))) * interval '1 second',
        parked_at = CASE WHEN late.parks AND late.attempts >= {PARKED_AFTER} THEN now() END
    FROM (
        SELECT told.*, CASE WHEN known.error = told.error THEN known.attempts ELSE 0 END + 1 AS attempts
        FROM unnest($1::bigint[], $2::text[], $3::int[], $4::bool[]) AS told (at, error, most, parks)
        JOIN outbox AS known ON known.position = told.at
    ) AS late
    WHERE position = late.at AND sent_at IS NULL
    RETURNING outbox.event_id, outbox.type, outbox.error, outbox.parked_at IS NOT NULL AS is_parked
"""  # noqa: S608
"""Put rows off, each for longer than the time before while it fails for the same reason."""
