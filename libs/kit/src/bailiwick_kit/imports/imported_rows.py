"""What each row of an import said when it was last taken, so that one that has changed is noticed.

A record is known by its source and its key there. What people change afterwards is not compared: a row
differs where its *file* says something else than it did before.
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

    `different`: it was imported before, from a row that said something else, and stays as it is.
    """

    CREATED = "created"
    UNCHANGED = "unchanged"
    DIFFERENT = "different"
    UPDATED = "updated"

    @classmethod
    def of_known(cls, before: str | None, now: str, *, update: bool) -> Outcome:
        """Return what becomes of a record that is there, by the digests of its row before and now.

        Without one of before, whether it has changed cannot be told: it counts as different.
        """
        if before == now:
            return cls.UNCHANGED
        return cls.UPDATED if update else cls.DIFFERENT


def imported_rows_table(metadata: sa.MetaData) -> sa.Table:
    """Declare what rows of imports said: a digest, no data."""
    return sa.Table(
        "imported_rows",
        metadata,
        sa.Column("org_id", sa.Uuid, primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("external_ref", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
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

    async def digests(
        self, connection: AsyncConnection, external_refs: Iterable[str]
    ) -> Mapping[str, str]:
        """Return what those of the rows said that were taken before."""
        table = self._table
        refs = sa.any_(sa.literal(list(external_refs), sa.ARRAY(sa.Text)))
        found = await connection.execute(
            sa.select(table.c.external_ref, table.c.digest).where(
                *(table.c[name] == value for name, value in self._key.items()),
                table.c.external_ref == refs,
            )
        )
        return {row.external_ref: row.digest for row in found}

    async def keep(self, connection: AsyncConnection, digests: Mapping[str, str]) -> None:
        """Keep what rows said that were taken."""
        if not digests:
            return
        statement = insert(self._table)
        keys = list(self._table.primary_key.columns)
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=keys, set_={"digest": statement.excluded.digest}
            ).inline(),
            [
                {**self._key, "external_ref": ref, "digest": digest}
                for ref, digest in digests.items()
            ],
        )
