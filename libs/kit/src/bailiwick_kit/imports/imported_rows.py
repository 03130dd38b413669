"""What each row of an import said when it was last taken, so that one that has changed is noticed.

A record is known by its source and its key there. A row differs where its *file* says something else than
it did before. With what it said stands the version that its record had then: one that has another by now was
changed by people, and no file overwrites that (ADR 20).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_kit.web.fields import Model


class Outcome(StrEnum):
    """What became of a record.

    `different`: it was imported before, from a row that said something else, and stays as it is, where
    people have changed it since even with `--update`.
    """

    CREATED = "created"
    UNCHANGED = "unchanged"
    DIFFERENT = "different"
    UPDATED = "updated"

    @classmethod
    def of_known(cls, before: Taken | None, now: str, *, update: bool) -> Outcome:
        """Return what becomes of a record that is there, by its row before, and the digest of it now.

        Without one of before, whether it has changed cannot be told: it counts as different.
        """
        if before and before.digest == now:
            return cls.UNCHANGED
        return cls.UPDATED if update else cls.DIFFERENT


@dataclass(frozen=True)
class Taken:
    """What a row said when it was last taken, by its digest, and which version its record had then."""

    digest: str
    version: int


FIRST = 1
"""The version of what nobody has changed: assumed where none was kept, so that nothing is overwritten."""


def is_as_imported(before: Taken | None, version: int) -> bool:
    """Tell whether nobody has changed a record, now of this version, since its row was last taken."""
    return version == (before.version if before else FIRST)


def imported_rows_table(metadata: sa.MetaData) -> sa.Table:
    """Declare what rows of imports said: a digest, no data.

    A version before this one writes no `version`.
    """
    return sa.Table(
        "imported_rows",
        metadata,
        sa.Column("org_id", sa.Uuid, primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("external_ref", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, comment="Of the record, when the row was taken."),
        comment="What each row of an import said when it was last taken.",
    )


def digest_of(line: Model, *, but: Collection[str] = ()) -> str:
    """Return a digest of all that a line says, leaving out some of its fields."""
    said = line.model_dump_json(exclude_unset=True, exclude=set(but) or None)
    return hashlib.sha256(said.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Imported:
    """What became of one record."""

    record_id: UUID
    outcome: Outcome


class ImportedRows:
    """The rows of one source and kind, in the transaction of one organization."""

    def __init__(self, table: sa.Table, org_id: UUID, source: str, kind: str) -> None:
        self._table = table
        self._key = {"org_id": org_id, "source": source, "kind": kind}

    async def before(
        self, connection: AsyncConnection, external_refs: Iterable[str]
    ) -> Mapping[str, Taken]:
        """Return what those of the rows said that were taken before."""
        table = self._table
        refs = sa.any_(sa.literal(list(external_refs), sa.ARRAY(sa.Text)))
        found = await connection.execute(
            sa.select(table.c.external_ref, table.c.digest, table.c.version).where(
                *(table.c[name] == value for name, value in self._key.items()),
                table.c.external_ref == refs,
            )
        )
        return {row.external_ref: Taken(row.digest, row.version or FIRST) for row in found}

    async def keep(self, connection: AsyncConnection, taken: Mapping[str, Taken]) -> None:
        """Keep what rows said that were taken."""
        if not taken:
            return
        statement = insert(self._table)
        keys = list(self._table.primary_key.columns)
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=keys,
                set_={name: statement.excluded[name] for name in ("digest", "version")},
            ).inline(),
            [
                {**self._key, "external_ref": ref, "digest": one.digest, "version": one.version}
                for ref, one in taken.items()
            ],
        )
