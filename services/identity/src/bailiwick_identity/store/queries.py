"""Reading members and organizations: one organization at a time, through what the caller may see."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from bailiwick_access.requests import Reading
from bailiwick_identity.domain.member import Filters, Member, Standing
from bailiwick_identity.domain.organization import Organization
from bailiwick_identity.store.rows import to_member, to_organization
from bailiwick_identity.store.tables import members, organizations
from bailiwick_kit.database.engine import plan_for_values
from bailiwick_kit.policy.scope import Everybody, Nobody, Scope, Where
from bailiwick_kit.policy.scope_sql import to_sql
from bailiwick_kit.text import search

_FIELDS = {"member.org_id": members.c.org_id}


class IdentityQueries:
    """Reads members and organizations."""

    async def page(
        self,
        reading: Reading,
        scope: Scope,
        filters: Filters,
        *,
        limit: int,
        after: tuple[datetime, UUID] | None,
    ) -> list[Member]:
        """Return up to `limit` members, newest first."""
        key = (members.c.listed_at, members.c.member_id)
        statement = (
            sa.select(members)
            .where(
                members.c.org_id == reading.caller.org_id,
                _readable(scope),
                *_narrowed(filters, reading.caller.now),
            )
            .order_by(*(column.desc() for column in key))
            .limit(limit)
        )
        if filters != Filters():
            await plan_for_values(reading.connection)
        if after is not None:
            statement = statement.where(
                sa.tuple_(*key)
                < sa.tuple_(
                    sa.literal(after[0], sa.DateTime(timezone=True)), sa.literal(after[1], sa.Uuid)
                )
            )
        found = await reading.connection.execute(statement)
        return [to_member(row) for row in found.mappings()]

    async def member(self, reading: Reading, member_id: UUID) -> Member | None:
        """Return a member, to be decided on."""
        statement = sa.select(members).where(
            members.c.org_id == reading.caller.org_id, members.c.member_id == member_id
        )
        row = (await reading.connection.execute(statement)).mappings().first()
        return None if row is None else to_member(row)

    async def organization(self, reading: Reading) -> Organization:
        """Return the caller's organization."""
        statement = sa.select(organizations).where(organizations.c.org_id == reading.caller.org_id)
        return to_organization((await reading.connection.execute(statement)).mappings().one())

    async def seats_used(self, reading: Reading) -> int:
        """Return how many seats are taken."""
        found = await reading.connection.execute(seats(reading.caller.org_id, reading.caller.now))
        return int(found.scalar_one())


def seats(org_id: UUID, now: datetime) -> sa.Select[int]:
    """Count what takes a seat, as `Member.uses_seat` tells it of one."""
    return (
        sa.select(sa.func.count())
        .select_from(members)
        .where(
            members.c.org_id == org_id,
            members.c.kind == "member",
            members.c.status != "inactive",
            members.c.valid_until > now,
        )
    )


def _readable(scope: Scope) -> sa.ColumnElement[bool]:
    match scope:
        case Nobody():
            return sa.false()
        case Everybody():
            return sa.true()
        case Where(condition=condition):
            return to_sql(condition, _FIELDS)


def _narrowed(filters: Filters, now: datetime) -> Iterable[sa.ColumnElement[bool]]:
    is_over = members.c.valid_until <= now
    match filters.status:
        case None:
            pass
        case Standing.INACTIVE:
            yield members.c.status == "inactive"
        case Standing.EXPIRED:
            yield sa.and_(members.c.status != "inactive", is_over)
        case Standing.INVITED | Standing.ACTIVE as status:
            yield sa.and_(members.c.status == status.value, sa.not_(is_over))
    if filters.kind is not None:
        yield members.c.kind == filters.kind
    if filters.text is not None:
        yield from found_by(filters.text)


def found_by(text: str) -> Iterable[sa.ColumnElement[bool]]:
    """Yield a condition for each word; of what the version before wrote, words may be parts of others."""
    words = search.asked(text)
    if not words:
        yield sa.false()
    for word in words:
        yield sa.case(
            (
                members.c.words_version == members.c.version,
                members.c.words.like(search.pattern(word)),
            ),
            else_=members.c.search.contains(word, autoescape=True),
        )
