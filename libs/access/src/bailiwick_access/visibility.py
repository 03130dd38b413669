"""Who may see which row, written when it changes, read in the order of a page (D11).

One row says that a member stands in a relation to an entity during an interval. Its key is the order of
the list, so a page costs the same for a portfolio of ten customers and of ten thousand, and a handover
planned for T needs nothing to run at T. What the relation allows is not here: policy says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bailiwick_kit.scope import Everybody, Nobody, Scope, Where
from bailiwick_kit.scope_sql import reads_facts, to_sql

FACTS = ("main", "additional", "author", "cover")
"""How a member can stand to a row."""


def visibility_table(metadata: sa.MetaData, entity: str) -> sa.Table:
    """Declare the visibility rows of an entity: `order` makes the column `order_id`."""
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


@dataclass(frozen=True)
class Readable:
    """The rows of a resource that a caller may see, as SQL.

    `source` is what to select from, `where` what to filter by, `facts` the columns main, additional,
    author and cover of each row, `key` the columns (listed_at, id) that pages are ordered by.
    """

    source: sa.FromClause
    where: sa.ColumnElement[bool]
    facts: Mapping[str, sa.ColumnElement[bool]]
    key: tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]


@dataclass(frozen=True)
class Listed:
    """A resource with its visibility rows: how its lists and single rows are read.

    `entity` is the word for it in policy's input (`order`); `columns` are further fields that policy
    may compare, by name, besides `org_id` and the facts.
    """

    entity: str
    table: sa.Table
    visibility: sa.Table
    columns: tuple[str, ...]

    @property
    def id(self) -> sa.Column[Any]:
        """The resource's own id column."""
        return self.table.c[f"{self.entity}_id"]

    def readable(
        self,
        scope: Scope,
        *,
        after: tuple[object, object] | None = None,
    ) -> Readable | None:
        """Return what a caller may read, None where that is nothing.

        Binds `org_id`, `member_id` and `now`. `after` is the key of the last row of the page before;
        it goes where the index is read, so a deep page costs what the first one does.

        Raises:
            PolicyUnavailable: the condition mixes facts with none, or names an unknown field.
        """
        facts = frozenset(f"{self.entity}.{fact}" for fact in FACTS)
        match scope:
            case Nobody():
                return None
            case Everybody():
                return self._from_resource(sa.true(), after)
            case Where(condition=condition):
                if reads_facts(condition, facts):
                    return self._from_visibility(scope, after)
                return self._from_resource(to_sql(condition, self._fields({})), after)

    def facts_of_one(self) -> tuple[sa.FromClause, Mapping[str, sa.ColumnElement[bool]]]:
        """Return a lateral join partner of the table that has the member's facts on its one row."""
        visible, table = self.visibility, self.table
        grouped = (
            sa.select(*_facts(visible))
            .where(
                visible.c.org_id == table.c.org_id,
                visible.c.member_id == sa.bindparam("member_id"),
                visible.c.listed_at == table.c.listed_at,
                visible.c[f"{self.entity}_id"] == self.id,
                _valid(visible),
            )
            .lateral("facts")
        )
        return grouped, {fact: sa.func.coalesce(grouped.c[fact], sa.false()) for fact in FACTS}

    def _from_visibility(self, scope: Where, after: tuple[object, object] | None) -> Readable:
        visible, table = self.visibility, self.table
        id_name = f"{self.entity}_id"
        grouped = (
            sa.select(visible.c.listed_at, visible.c[id_name], *_facts(visible))
            .where(
                visible.c.org_id == sa.bindparam("org_id"),
                visible.c.member_id == sa.bindparam("member_id"),
                _valid(visible),
            )
            .group_by(visible.c.listed_at, visible.c[id_name])
        )
        if after is not None:
            grouped = grouped.where(_before(visible.c.listed_at, visible.c[id_name], after))
        rows = grouped.subquery("visible")
        facts = {fact: rows.c[fact] for fact in FACTS}
        return Readable(
            source=rows.join(
                table,
                sa.and_(table.c.org_id == sa.bindparam("org_id"), self.id == rows.c[id_name]),
            ),
            where=to_sql(scope.condition, self._fields(facts)),
            facts=facts,
            key=(rows.c.listed_at, rows.c[id_name]),
        )

    def _from_resource(
        self, where: sa.ColumnElement[bool], after: tuple[object, object] | None
    ) -> Readable:
        table = self.table
        where = sa.and_(table.c.org_id == sa.bindparam("org_id"), where)
        if after is not None:
            where = sa.and_(where, _before(table.c.listed_at, self.id, after))
        return Readable(
            source=table,
            where=where,
            facts={fact: sa.false() for fact in FACTS},
            key=(table.c.listed_at, self.id),
        )

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


def _facts(visible: sa.Table) -> list[sa.Label[bool]]:
    return [sa.func.bool_or(visible.c.relation == fact, type_=sa.Boolean).label(fact) for fact in FACTS]


def _valid(visible: sa.Table) -> sa.ColumnElement[bool]:
    return sa.and_(
        visible.c.valid_from <= sa.bindparam("now"), visible.c.valid_to > sa.bindparam("now")
    )


def _before(
    listed_at: sa.ColumnElement[Any], entity_id: sa.ColumnElement[Any], after: tuple[object, object]
) -> sa.ColumnElement[bool]:
    """Tell rows after the last one of the page before, newest first."""
    return sa.tuple_(listed_at, entity_id) < sa.tuple_(
        sa.bindparam("after_listed_at", after[0], type_=sa.DateTime(timezone=True)),
        sa.bindparam("after_id", after[1], type_=sa.Uuid),
    )
