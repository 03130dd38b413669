"""By what customers are searched, and how those that are searched for are found (ADR 29).

`customers.words` has the words of a customer, `customer_words` the same by word. A word of few customers is
found there, by a range of its key; of a frequent word there are soon enough in the order of the list. LIKE
cannot use an index here: row-level security lets no operator look at a row before it, unless it is known
not to tell what it has seen ("leakproof"), which comparing texts is and LIKE is not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_customers.store.tables import change_counters, customer_words, customers
from bailiwick_kit.database.engine import Database
from bailiwick_kit.text import search

FEW = 1000
"""Customers that are looked at one by one, because the word is so rare."""

MOST_WORDS = 1000
"""Words that a customer is found by; name, code and town come first."""

EVERY = 300.0
"""Seconds between looking for what the version before has written meanwhile."""

AT_ONCE = 500
"""Customers made findable in one transaction."""

_log = structlog.get_logger(__name__)

_UUID, _TEXT = sa.Uuid(), sa.Text()
_org = sa.bindparam("org_id", type_=_UUID)


def searched(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns that a customer is searched by; `row` has those that it is known by."""
    looked_up = [*search.words_of(row["name"]), *search.words_of(row["city"] or "")]
    words = dict.fromkeys([*looked_up, *_further(row)])
    return {
        "words": search.kept(list(words)[:MOST_WORDS]),
        "looked_up_words": search.kept(looked_up),
        "words_version": row["version"],
    }


def _further(row: Mapping[str, Any]) -> Iterator[str]:
    tax_id, former = row["tax_id"] or "", row.get("external_ref") or ""
    # A VAT number is known without its country, too: ESB12345678.
    for text in (row["code"], former, tax_id, tax_id[2:] if tax_id[:2].isalpha() else ""):
        yield from search.words_of(text)
    for address in row["addresses"]:
        for name in ("city", "postal_code"):
            yield from search.words_of(address.get(name) or "")
    for tag in row["tags"]:
        yield from search.words_of(tag)
    for contact in row["contacts"]:
        for name in ("name", "email"):
            yield from search.words_of(contact.get(name) or "")
        yield from search.words_of(contact.get("phone") or "", by_digit=True)


async def index(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the words of new customers, whose rows have what `searched` returns."""
    bound = [
        (row["customer_id"], word, word in set(row["looked_up_words"].split()))
        for row in rows
        for word in row["words"].split()
    ]
    if bound:
        ids, words, looked_up = zip(*bound, strict=True)
        of_org = {"org_id": rows[0]["org_id"]}
        named = {"ids": list(ids), "new": list(words), "looked_up": list(looked_up)}
        await connection.execute(_INDEX, of_org | named)


async def index_again(
    connection: AsyncConnection, row: Mapping[str, Any], before: Mapping[str, Any]
) -> None:
    """Write what changed of a customer's words; the row is locked, and `before` is as it was."""
    if all(row[name] == before[name] for name in ("words", "looked_up_words")):
        return
    gone = set((before["words"] or "").split()) - set(row["words"].split())
    of_one = {"org_id": row["org_id"], "id": row["customer_id"]}
    await connection.execute(_DROP, {**of_one, "gone": list(gone)})
    await index(connection, [row])


async def words_before(
    connection: AsyncConnection, org_id: UUID, customer_id: UUID
) -> Mapping[str, Any]:
    """Return the words of a customer as they are written."""
    found = await connection.execute(_BEFORE, {"org_id": org_id, "id": customer_id})
    return dict(found.mappings().one())


class Shape(Enum):
    """By what a statement finds customers."""

    NOTHING = "what is not searched for"
    RARE = "a word that few customers have"
    FREQUENT = "words that many have"
    RARE_SHOWN = "a word that few have in what a look-up shows"
    FREQUENT_SHOWN = "words that many have there"

    @property
    def is_rare(self) -> bool:
        """Whether `customer_words` tells which customers to look at."""
        return self in {Shape.RARE, Shape.RARE_SHOWN}

    @property
    def looks_up(self) -> bool:
        """Whether only what a look-up shows is searched."""
        return self in {Shape.RARE_SHOWN, Shape.FREQUENT_SHOWN}

    @classmethod
    def of(cls, *, is_rare: bool, looks_up: bool) -> Shape:
        """Return the shape of a search."""
        if looks_up:
            return cls.RARE_SHOWN if is_rare else cls.FREQUENT_SHOWN
        return cls.RARE if is_rare else cls.FREQUENT


@dataclass(frozen=True)
class Sought:
    """How a statement finds what is searched for, and what it binds for that."""

    shape: Shape
    bound: Mapping[str, object] = field(default_factory=dict)


EVERYTHING = Sought(Shape.NOTHING)


def narrowed(rows: sa.Select[Any], shape: Shape) -> sa.Select[Any]:
    """Narrow what selects customers by the words that are bound."""
    if shape is Shape.NOTHING:
        return rows
    column = customers.c.looked_up_words if shape.looks_up else customers.c.words
    patterns = sa.bindparam("patterns", type_=sa.ARRAY(_TEXT))
    # A CASE is taken to hold for half of all rows; of LIKE ALL the planner expects next to nothing, and sorts
    # all customers where reading them in the order of the list soon fills the page.
    rows = rows.where(sa.case((column.like(sa.all_(patterns)), sa.true()), else_=sa.false()))
    if shape.is_rare:
        # An array, and not IN: the planner shall not turn it around and read all customers.
        rare = sa.select(customer_words.c.customer_id).where(
            _BEGINS, *_kind(looks_up=shape.looks_up)
        )
        ids = sa.func.array(rare.scalar_subquery(), type_=sa.ARRAY(_UUID))
        rows = rows.where(customers.c.customer_id == sa.any_(ids))
    return rows


async def find(
    connection: AsyncConnection, org_id: UUID, text: str, *, looks_up: bool, in_portfolio: bool
) -> Sought | None:
    """Return how to find the customers that have all words of a text; None if there are none.

    For a look-up the words are those of what it shows, name and town, so that nothing else is told. A
    portfolio is read itself: how rare a word is among all customers would be told by the time it takes.
    """
    words = search.asked(text)
    if not words:
        return None
    patterns = {"patterns": [search.pattern(word) for word in words]}
    if in_portfolio:
        return Sought(Shape.of(is_rare=False, looks_up=looks_up), patterns)
    bound = {"org_id": org_id, "words": list(words), "ends": [search.after(one) for one in words]}
    row = (await connection.execute(_RAREST[looks_up], bound)).one()
    if not row.customers:
        return None
    if row.customers > FEW:
        return Sought(Shape.of(is_rare=False, looks_up=looks_up), patterns)
    rarest = {"word": row.word, "word_end": search.after(row.word)}
    return Sought(Shape.of(is_rare=True, looks_up=looks_up), patterns | rarest)


class Refolding:
    """Makes findable what the version before wrote while both ran; the worker's work."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Look for such customers every few minutes until cancelled."""
        while True:
            try:
                await self.catch_up()
            except Exception:  # noqa: BLE001 - the next round may do better
                _log.exception("searching.failed")
            await asyncio.sleep(EVERY)

    async def catch_up(self) -> None:
        """Make all customers findable that are not, or by what they were known by before."""
        async with self._database.reading(None) as connection:
            ids = (await connection.execute(sa.select(change_counters.c.org_id))).scalars().all()
        for org_id in ids:
            while await self._some(org_id):
                pass

    async def _some(self, org_id: UUID) -> int:
        async with self._database.writing(org_id) as connection:
            stale = await connection.execute(_STALE, {"org_id": org_id})
            rows = [dict(row) for row in stale.mappings()]
            for row in rows:
                columns = searched(row)
                key = {"of_org": org_id, "of_id": row["customer_id"]}
                await connection.execute(_SET, {**key, **columns})
                await index_again(connection, {**row, **columns}, row)
        return len(rows)


def _kind(*, looks_up: bool) -> tuple[sa.ColumnElement[bool], ...]:
    return (customer_words.c.looked_up,) if looks_up else ()


def _begins(word: sa.ColumnElement[str], end: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    in_range = (customer_words.c.word >= word, customer_words.c.word < end)
    return sa.and_(customer_words.c.org_id == _org, *in_range)


def _rarest(*, looks_up: bool) -> sa.Select[Any]:
    arrays = (sa.bindparam(name, type_=sa.ARRAY(_TEXT)) for name in ("words", "ends"))
    each = sa.func.unnest(*arrays).table_valued("word", "word_end").render_derived("each")
    some = (
        sa.select(customer_words.c.customer_id)
        .where(_begins(each.c.word, each.c.word_end), *_kind(looks_up=looks_up))
        .limit(FEW + 1)
        .correlate(each)
        .subquery()
    )
    count = sa.select(sa.func.count()).select_from(some).correlate(each).scalar_subquery()
    return sa.select(each.c.word, count.label("customers")).order_by(sa.text("2, 1")).limit(1)


_BEGINS = _begins(sa.bindparam("word", type_=_TEXT), sa.bindparam("word_end", type_=_TEXT))
_RAREST = {looks_up: _rarest(looks_up=looks_up) for looks_up in (False, True)}

_each = (
    sa.func.unnest(
        sa.bindparam("ids", type_=sa.ARRAY(_UUID)),
        sa.bindparam("new", type_=sa.ARRAY(_TEXT)),
        sa.bindparam("looked_up", type_=sa.ARRAY(sa.Boolean())),
    )
    .table_valued("customer_id", "word", "looked_up")
    .render_derived("each")
)
_insert = insert(customer_words).from_select(
    ["org_id", "customer_id", "word", "looked_up"],
    sa.select(_org, _each.c.customer_id, _each.c.word, _each.c.looked_up),
)
_INDEX = _insert.on_conflict_do_update(
    index_elements=list(customer_words.primary_key.columns),
    set_={"looked_up": _insert.excluded.looked_up},
)
_DROP = customer_words.delete().where(
    customer_words.c.org_id == _org,
    customer_words.c.word == sa.any_(sa.bindparam("gone", type_=sa.ARRAY(_TEXT))),
    customer_words.c.customer_id == sa.bindparam("id", type_=_UUID),
)
_BEFORE = sa.select(*customers.c["words", "looked_up_words"]).where(
    customers.c.org_id == _org, customers.c.customer_id == sa.bindparam("id", type_=_UUID)
)
_STALE = (
    sa.select(customers)
    .where(
        customers.c.org_id == _org, customers.c.words_version.is_distinct_from(customers.c.version)
    )
    .limit(AT_ONCE)
    .with_for_update(skip_locked=True)
)
_SET = (
    customers.update()
    .where(
        customers.c.org_id == sa.bindparam("of_org", type_=_UUID),
        customers.c.customer_id == sa.bindparam("of_id", type_=_UUID),
    )
    .values({name: sa.bindparam(name) for name in ("words", "looked_up_words", "words_version")})
)
