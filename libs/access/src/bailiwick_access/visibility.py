"""Who may see which row, written when it changes, read in the order of a page (D11).

One row says that a member stands in a relation to an entity during an interval. Its key is the order of
the list, so a page costs the same for a portfolio of ten customers and of ten thousand, and a handover
planned for T needs nothing to run at T. What the relation allows is not here: policy says so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import sqlalchemy as sa

from bailiwick_kit.policy.scope import Condition, Everybody, Nobody, Scope, Where, settled
from bailiwick_kit.policy.scope_sql import reads_facts, to_sql

FACTS = ("main", "additional", "author", "cover")
"""How a member can stand to a row."""


def visibility_table(metadata: sa.MetaData, entity: str) -> sa.Table:
    """Declare the visibility rows of an entity: `order` makes the column `order_id`.

    In the database the primary key's index includes `valid_to`: lists and counts read nothing else.
    """
    return sa.Table(
        "visibility",
        metadata,
        sa.Column("org_id", sa.Uuid, primary_key=True),
        sa.Column("member_id", sa.Uuid, primary_key=True),
        sa.Column("listed_at", sa.DateTime(timezone=True), primary_key=True),
        sa.Column(f"{entity}_id", sa.Uuid, primary_key=True),
        sa.Column("relation", sa.Text, primary_key=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=False),
        sa.Index(f"visibility_{entity}", "org_id", f"{entity}_id"),
    )


class Stale(Protocol):
    """What says of a visibility row that it has ended, and is yet to be written so; binds as `rows`."""

    def __call__(self, visible: sa.FromClause) -> sa.ColumnElement[bool]:
        """Return the condition; it costs next to nothing while no row is."""
        ...


@dataclass(frozen=True)
class Listed:
    """A resource with its visibility rows: how its lists and single rows are read.

    `entity` is the word for it in policy's input (`order`); `columns` are further fields that policy
    may compare, by name, besides `org_id` and the facts. `stale` says which rows do not hold though they
    say so, where rows are written later than what they follow from.
    """

    entity: str
    table: sa.Table
    visibility: sa.Table
    columns: tuple[str, ...]
    stale: Stale | None = None

    @property
    def _facts(self) -> frozenset[str]:
        return frozenset(f"{self.entity}.{fact}" for fact in FACTS)

    @property
    def id(self) -> sa.Column[Any]:
        """The resource's own id column."""
        return self.table.c[f"{self.entity}_id"]

    def rows(self, scope: Scope, *, is_first: bool = True) -> sa.Select[Any] | None:
        """Return what selects the rows that a caller may see, newest first; None where there are none.

        All columns of the table, and the facts as `fact_main` and so on. Narrow it by `where` on the
        table's columns, and `limit` it. Binds `org_id`, `member_id` and `now`; unless it is the first
        page, also `after_listed_at` and `after_id`, the key of the last row of the page before: that
        goes where the index is read, so that a deep page costs what the first one does.

        Keep what comes of it (`functools.lru_cache` over scope and filters): building a statement costs
        more than running it.

        Raises:
            PolicyUnavailable: the condition mixes facts with none, or names an unknown field.
        """
        match scope:
            case Nobody():
                return None
            case Where(condition=condition):
                if self.reads_visibility(scope):
                    return self._from_visibility(condition, is_first=is_first)
                return self._from_resource(to_sql(condition, self._fields({})), is_first=is_first)
            case Everybody():
                return self._from_resource(sa.true(), is_first=is_first)

    def listed_at(self, scope: Scope) -> sa.Column[Any]:
        """Return the column that the rows are found by, in their order: what bounds it saves reading."""
        source = self.visibility if self.reads_visibility(scope) else self.table
        return source.c.listed_at

    def reads_visibility(self, scope: Scope) -> bool:
        """Tell whether a caller's rows are found by their visibility rows, as those of a portfolio are.

        Raises:
            PolicyUnavailable: as `rows` does.
        """
        return isinstance(scope, Where) and reads_facts(scope.condition, self._facts)

    @staticmethod
    def counted(rows: sa.Select[Any]) -> sa.Select[int]:
        """Return what counts the rows that a statement would select."""
        return sa.select(sa.func.count()).select_from(rows.order_by(None).subquery())

    def count(self, scope: Scope) -> sa.Select[int] | None:
        """Return what counts all rows that a caller may see; None where there are none.

        Of a portfolio, the visibility rows alone are read, but for those that the facts do not settle: an
        order that its caller merely wrote. Binds as `rows` does.

        Raises:
            PolicyUnavailable: as `rows` does.
        """
        if isinstance(scope, Where) and self.reads_visibility(scope):
            return self._counted_from_visibility(scope.condition)
        rows = self.rows(scope)
        return None if rows is None else self.counted(rows.with_only_columns(self.id))

    def one(self) -> sa.Select[Any]:
        """Return what selects one row with the caller's facts about it, seen or not.

        Binds `org_id`, `member_id`, `now` and `id`.
        """
        visible, table = self.visibility, self.table
        facts = (
            sa.select(*(fact.label(name) for name, fact in _facts(visible).items()))
            .where(
                visible.c.org_id == table.c.org_id,
                visible.c.member_id == sa.bindparam("member_id"),
                visible.c.listed_at == table.c.listed_at,
                visible.c[self.id.name] == self.id,
                self._holds(),
            )
            .lateral("facts")
        )
        known = (sa.func.coalesce(facts.c[f], sa.false()).label(f"fact_{f}") for f in FACTS)
        return (
            sa.select(table, *known)
            .select_from(table.outerjoin(facts, sa.true()))
            .where(table.c.org_id == sa.bindparam("org_id"), self.id == sa.bindparam("id"))
        )

    def stands_in_none_of(self, relations: Collection[str]) -> sa.ColumnElement[bool]:
        """Return what narrows `rows` to what the caller sees without standing to it in one of these ways.

        Where `reads_visibility`: it is found in the index of the visibility rows, before a row is read.
        """
        visible, other = self.visibility, self.visibility.alias("other")
        key = ("org_id", "member_id", "listed_at", self.id.name)
        stands = sa.exists().where(
            *(other.c[name] == visible.c[name] for name in key),
            other.c.relation.in_(relations),
            self._holds(other),
        )
        return sa.and_(visible.c.relation.not_in(relations), sa.not_(stands))

    def _holds(self, visible: sa.FromClause | None = None) -> sa.ColumnElement[bool]:
        visible = self.visibility if visible is None else visible
        if self.stale is None:
            return _valid(visible)
        return sa.and_(_valid(visible), sa.not_(self.stale(visible)))

    def _from_visibility(self, condition: Condition, *, is_first: bool) -> sa.Select[Any]:
        # One level, grouped by the index's own order and the table's key: PostgreSQL then stops at the
        # limit. With the grouping in a subquery it reads the whole portfolio first (measured: 155 ms
        # against 0.8 ms for 12,000 customers).
        visible, table = self.visibility, self.table
        visible_id = visible.c[self.id.name]
        facts = _facts(visible)
        rows = (
            sa.select(table, *(fact.label(f"fact_{name}") for name, fact in facts.items()))
            .select_from(
                visible.join(
                    table,
                    sa.and_(table.c.org_id == sa.bindparam("org_id"), self.id == visible_id),
                )
            )
            .where(
                visible.c.org_id == sa.bindparam("org_id"),
                visible.c.member_id == sa.bindparam("member_id"),
                self._holds(),
            )
            .group_by(visible.c.listed_at, visible_id, *table.primary_key.columns)
            .having(to_sql(condition, self._fields(facts)))
            .order_by(visible.c.listed_at.desc(), visible_id.desc())
        )
        return rows if is_first else rows.where(_before(visible.c.listed_at, visible_id))

    def _counted_from_visibility(self, condition: Condition) -> sa.Select[int]:
        visible, table = self.visibility, self.table
        facts = _facts(visible)
        stood = (
            sa.select(
                visible.c.org_id,
                visible.c[self.id.name].label("id"),
                *(fact.label(name) for name, fact in facts.items()),
            )
            .where(
                visible.c.org_id == sa.bindparam("org_id"),
                visible.c.member_id == sa.bindparam("member_id"),
                self._holds(),
            )
            .group_by(visible.c.org_id, visible.c.listed_at, visible.c[self.id.name])
            .subquery("stood")
        )
        fields = self._fields({name: stood.c[name] for name in facts})
        own = {**fields, f"{self.entity}.org_id": stood.c.org_id}
        known = frozenset(own) & {*self._facts, f"{self.entity}.org_id"}
        surely, perhaps = (
            to_sql(settled(condition, known, at_least=at_least), own) for at_least in (True, False)
        )
        # Of an OR the second part is evaluated only where the first does not hold: for few rows.
        settles = sa.exists().where(
            table.c.org_id == sa.bindparam("org_id"),
            self.id == stood.c.id,
            to_sql(condition, fields),
        )
        return (
            sa.select(sa.func.count())
            .select_from(stood)
            .where(sa.or_(surely, sa.and_(perhaps, settles)))
        )

    def _from_resource(self, where: sa.ColumnElement[bool], *, is_first: bool) -> sa.Select[Any]:
        table = self.table
        rows = (
            sa.select(table, *(sa.false().label(f"fact_{fact}") for fact in FACTS))
            .where(table.c.org_id == sa.bindparam("org_id"), where)
            .order_by(table.c.listed_at.desc(), self.id.desc())
        )
        return rows if is_first else rows.where(_before(table.c.listed_at, self.id))

    def _fields(
        self, facts: Mapping[str, sa.ColumnElement[bool]]
    ) -> Mapping[str, sa.ColumnElement[Any]]:
        fields: dict[str, sa.ColumnElement[Any]] = {
            f"{self.entity}.{name}": column for name, column in facts.items()
        }
        fields[f"{self.entity}.org_id"] = self.table.c.org_id
        for name in self.columns:
            fields[f"{self.entity}.{name}"] = self.table.c[name]
        return fields


def _facts(visible: sa.Table) -> dict[str, sa.ColumnElement[bool]]:
    return {fact: sa.func.bool_or(visible.c.relation == fact, type_=sa.Boolean) for fact in FACTS}


def _valid(visible: sa.FromClause) -> sa.ColumnElement[bool]:
    return sa.and_(
        visible.c.valid_from <= sa.bindparam("now"), visible.c.valid_to > sa.bindparam("now")
    )


def _before(
    listed_at: sa.ColumnElement[Any], entity_id: sa.ColumnElement[Any]
) -> sa.ColumnElement[bool]:
    """Tell rows after the last one of the page before, newest first."""
    return sa.tuple_(listed_at, entity_id) < sa.tuple_(
        sa.bindparam("after_listed_at", type_=sa.DateTime(timezone=True)),
        sa.bindparam("after_id", type_=sa.Uuid),
    )


def after_key(after: tuple[datetime, UUID] | None) -> dict[str, object]:
    """Return what binds the key of the page before, nothing for the first page."""
    return {} if after is None else {"after_listed_at": after[0], "after_id": after[1]}
