"""The names that customers have had, by which their orders are found (ADR 29).

An order shows the name that its customer had when it was last placed. So does a masked one, and it is found
by that name and by nothing else of its customer. Whatever name an order shows, the replica of customers had
it at that time: names are kept there, and writing an order costs nothing for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_access.caller import Caller
from bailiwick_kit.database.engine import Database
from bailiwick_kit.text import search
from bailiwick_orders.store.tables import (
    assignments,
    customer_name_words,
    customer_names,
    customers,
    orders,
    organizations,
    visibility,
)

FEW = 1000
"""Customers whose orders are looked for, because their name is so rare."""

EVERY = 300.0
"""Seconds between looking for what the version before has written meanwhile."""

AT_ONCE = 500
"""Customers whose names are written in one transaction."""

NUMBER, RARE, FREQUENT = "text=number", "text=rare", "text=frequent"
"""By what a text finds orders: their numbers alone, those of few customers too, or of many."""

_log = structlog.get_logger(__name__)

_UUID, _TEXT = sa.Uuid(), sa.Text()
_org = sa.bindparam("org_id", type_=_UUID)
_patterns = sa.bindparam("patterns", type_=sa.ARRAY(_TEXT))


@dataclass(frozen=True)
class Sought:
    """By what a text finds orders, and what a statement binds for that."""

    by: str = NUMBER
    bound: Mapping[str, object] = field(default_factory=dict)


async def find(connection: AsyncConnection, caller: Caller, text: str) -> Sought:
    """Return by what a text finds orders, where the caller sees all of the organization."""
    found, words = _patterns_of(caller, text), search.asked(text)
    if not words:
        return Sought()
    ends = [search.after(one) for one in words]
    row = (await connection.execute(_RAREST, found | {"words": list(words), "ends": ends})).one()
    if row.customers <= FEW:
        of_rarest = {"word": row.word, "word_end": search.after(row.word)}
        ids = (await connection.execute(_OF_RARE_NAME, found | of_rarest)).scalars().all()
    else:  # words that many have may be together in few names
        ids = (await connection.execute(_OF_NAME, found)).scalars().all()
    return _sought(found, ids, ())


async def find_in_sight(connection: AsyncConnection, caller: Caller, text: str) -> Sought:
    """Return by what a text finds orders, where the caller sees those of a portfolio, and their own.

    The words of all names are not asked: how rare one is would be told by the time it takes.
    """
    found = _patterns_of(caller, text)
    if not found["patterns"]:
        return Sought()
    ids = (await connection.execute(_OF_PORTFOLIO, found)).scalars().all()
    lost = (await connection.execute(_OF_OWN, found)).scalars().all() if len(ids) <= FEW else ()
    return _sought(found, ids, lost)


def _patterns_of(caller: Caller, text: str) -> dict[str, object]:
    patterns = [search.pattern(word) for word in search.asked(text)]
    who = {"org_id": caller.org_id, "member_id": caller.member_id, "now": caller.now}
    return {**who, "patterns": patterns}


def _sought(
    found: Mapping[str, object], customer_ids: Sequence[UUID], order_ids: Sequence[UUID]
) -> Sought:
    patterns = {"patterns": found["patterns"]}
    if len(customer_ids) > FEW or len(order_ids) > FEW:
        return Sought(FREQUENT, patterns)
    if not customer_ids and not order_ids:
        return Sought()
    ids = {"customer_ids": list(customer_ids), "order_ids": list(order_ids)}
    return Sought(RARE, patterns | ids)


def shown() -> sa.ColumnElement[bool]:
    """Return whether the name that an order shows has the words. Binds `patterns`."""
    # No EXISTS: PostgreSQL might then look at all names of the organization, those out of sight included.
    return (
        sa.select(customer_names.c.words.like(sa.all_(_patterns)))
        .where(
            customer_names.c.org_id == orders.c.org_id,
            customer_names.c.customer_id == orders.c.customer_id,
            customer_names.c.name == orders.c.customer_name,
        )
        .correlate(orders)
        .scalar_subquery()
    )


async def keep(
    connection: AsyncConnection, org_id: UUID, names: Iterable[tuple[UUID, str]]
) -> None:
    """Write names of customers, and by which words they are found, unless they are there."""
    kept = {one: search.kept(search.words_of(one[1])) for one in names}
    if not kept:
        return
    bound = {
        "org_id": org_id,
        "ids": [customer_id for customer_id, _ in kept],
        "names": [name for _, name in kept],
        "kept": list(kept.values()),
    }
    new = (await connection.execute(_KEEP, bound)).all()
    found = {(customer_id, word) for customer_id, words in new for word in words.split()}
    if found:
        ids, words = zip(*sorted(found, key=str), strict=True)
        await connection.execute(_INDEX, {"org_id": org_id, "ids": list(ids), "words": list(words)})


class Renaming:
    """Keeps the names that the version before heard of while both ran; the worker's work."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Look for such customers every few minutes until cancelled."""
        while True:
            try:
                await self.catch_up()
            except Exception:  # noqa: BLE001 - the next round may do better
                _log.exception("names.failed")
            await asyncio.sleep(EVERY)

    async def catch_up(self) -> None:
        """Keep the names of all customers whose last change was written by the version before."""
        async with self._database.reading(None) as connection:
            ids = (await connection.execute(sa.select(organizations.c.org_id))).scalars().all()
        for org_id in ids:
            while await self._some(org_id):
                pass

    async def _some(self, org_id: UUID) -> int:
        async with self._database.writing(org_id) as connection:
            stale = (await connection.execute(_STALE, {"org_id": org_id})).all()
            ids = [one.customer_id for one in stale]
            before = await connection.execute(_SHOWN, {"org_id": org_id, "ids": ids})
            names = [(one.customer_id, one.name) for one in (*stale, *before)]
            await keep(connection, org_id, names)
            await connection.execute(_NAMED, {"of_org": org_id, "ids": ids})
        return len(stale)


def _begins(word: sa.ColumnElement[str], end: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    found = customer_name_words.c
    return sa.and_(found.org_id == _org, found.word >= word, found.word < end)


def _rarest() -> sa.Select[Any]:
    arrays = (sa.bindparam(name, type_=sa.ARRAY(_TEXT)) for name in ("words", "ends"))
    each = sa.func.unnest(*arrays).table_valued("word", "word_end").render_derived("each")
    some = (
        sa.select(customer_name_words.c.customer_id)
        .where(_begins(each.c.word, each.c.word_end))
        .limit(FEW + 1)
        .correlate(each)
        .subquery()
    )
    count = sa.select(sa.func.count()).select_from(some).correlate(each).scalar_subquery()
    return sa.select(each.c.word, count.label("customers")).order_by(sa.text("2, 1")).limit(1)


def _each(*names: str) -> sa.TableValuedAlias:
    kinds = {"ids": sa.ARRAY(_UUID)}
    arrays = (sa.bindparam(name, type_=kinds.get(name, sa.ARRAY(_TEXT))) for name in names)
    return sa.func.unnest(*arrays).table_valued(*names).render_derived("each")


_ids = sa.bindparam("ids", type_=sa.ARRAY(_UUID))
_RAREST = _rarest()
_with_word = sa.select(customer_name_words.c.customer_id).where(
    _begins(sa.bindparam("word", type_=_TEXT), sa.bindparam("word_end", type_=_TEXT))
)
_OF_NAME = (
    sa.select(customer_names.c.customer_id)
    .distinct()
    .where(customer_names.c.org_id == _org, customer_names.c.words.like(sa.all_(_patterns)))
    .limit(FEW + 1)
)
_OF_RARE_NAME = _OF_NAME.where(
    # An array, and not IN: the planner shall not turn it around and read all names.
    customer_names.c.customer_id
    == sa.any_(sa.func.array(_with_word.scalar_subquery(), type_=sa.ARRAY(_UUID)))
)
_now = sa.bindparam("now", type_=sa.DateTime(timezone=True))
_member = sa.bindparam("member_id", type_=_UUID)


def _valid(table: sa.Table) -> tuple[sa.ColumnElement[bool], ...]:
    of_member = (table.c.org_id == _org, table.c.member_id == _member)
    return (*of_member, table.c.valid_from <= _now, table.c.valid_to > _now)


_OF_PORTFOLIO = _OF_NAME.join(
    assignments,
    sa.and_(
        assignments.c.org_id == customer_names.c.org_id,
        assignments.c.customer_id == customer_names.c.customer_id,
    ),
).where(*_valid(assignments))

_own = (
    sa.select(visibility.c.order_id)
    .where(*_valid(visibility))
    .group_by(visibility.c.listed_at, visibility.c.order_id)
    .having(sa.not_(sa.func.bool_or(visibility.c.relation.in_(("main", "additional")))))
    .subquery("own")
)
_OF_OWN = (
    sa.select(orders.c.order_id)
    .join(_own, _own.c.order_id == orders.c.order_id)
    .where(orders.c.org_id == _org, shown())
    .limit(FEW + 1)
)
"""Orders that the member merely wrote: of customers whom they do not represent."""

_named = _each("ids", "names", "kept")
_KEEP = (
    insert(customer_names)
    .from_select(
        ["org_id", "customer_id", "name", "words"],
        sa.select(_org, _named.c.ids, _named.c.names, _named.c.kept),
    )
    .on_conflict_do_nothing()
    .returning(customer_names.c.customer_id, customer_names.c.words)
)
_worded = _each("ids", "words")
_INDEX = (
    insert(customer_name_words)
    .from_select(["org_id", "customer_id", "word"], sa.select(_org, _worded.c.ids, _worded.c.words))
    .on_conflict_do_nothing()
)
_STALE = (
    sa.select(*customers.c["customer_id", "name"])
    .where(
        customers.c.org_id == _org, customers.c.named_version.is_distinct_from(customers.c.version)
    )
    .limit(AT_ONCE)
    .with_for_update(skip_locked=True)
)
_SHOWN = (
    sa.select(orders.c.customer_id, orders.c.customer_name.label("name"))
    .distinct()
    .where(orders.c.org_id == _org, orders.c.customer_id == sa.any_(_ids))
)
_NAMED = (
    customers.update()
    .where(
        customers.c.org_id == sa.bindparam("of_org", type_=_UUID),
        customers.c.customer_id == sa.any_(_ids),
    )
    .values(named_version=customers.c.version)
)
