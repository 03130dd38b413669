"""Import members (D27): through the rules that everybody goes through, and each record only once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from bailiwick_identity.domain import password
from bailiwick_identity.domain.errors import MemberExists
from bailiwick_identity.domain.member import OPERATOR, NewMember
from bailiwick_identity.domain.organization import Organization
from bailiwick_identity.rules.membership import check_record, enrol
from bailiwick_identity.store.passwords import ArgonPasswords
from bailiwick_identity.store.unit_of_work import OpenUnit, Unit
from bailiwick_kit.errors import Fault, Invalid, Missing, Refusal
from bailiwick_kit.imports.imported_rows import Outcome, Taken, is_as_imported


@dataclass(frozen=True)
class Record:
    """One record of an import, with the line it stands on."""

    line: int
    external_ref: str
    member: NewMember
    rights: str
    """A digest of all that the row says but name, language and password (`kit.imports.imported_rows`)."""
    rest: str
    """A digest of all that it says but the password."""

    @property
    def digest(self) -> str:
        """What is kept of the row."""
        return f"{self.rights} {self.rest}"


@dataclass(frozen=True)
class Imported:
    """Which member a record became, and what became of the record now."""

    external_ref: str
    member_id: UUID
    outcome: Outcome


@dataclass(frozen=True)
class _Prepared:
    """A record that has to be written; `is_owners`: its password is that of an account there is."""

    record: Record
    password_hash: str
    is_owners: bool


class RecordRefused(Exception):  # noqa: N818 - a no is not an error of ours
    """A record cannot be imported. Of its batch nothing was written; earlier batches stay."""

    def __init__(self, line: int, refusal: Refusal) -> None:
        super().__init__(f"line {line}: {refusal}")
        self.line = line
        self.refusal = refusal


async def import_members(
    open_unit: OpenUnit,
    passwords: ArgonPasswords,
    org_id: UUID,
    source: str,
    records: Sequence[Record],
    now: datetime,
    *,
    update: bool = False,
) -> list[Imported]:
    """Import a batch in one transaction.

    A record of an earlier import is left alone, whatever has become of it; with `update` a member gets the
    name and language that their row has now, unless people have changed them since. An address that is a
    member already is linked to the record. One that has an account is active if the record has its password,
    which proves whose it is, and invited if not (D3).

    Raises:
        RecordRefused: naming the line.
        Missing: there is no such organization.
    """
    async with open_unit(org_id, now) as unit:
        organization = await unit.organizations.locked()
        known = await unit.members.imported(source, [one.external_ref for one in records])
        before = await unit.members.before(source, list(known))
    outcomes = {
        one.external_ref: Outcome.of_known(before.get(one.external_ref), one.digest, update=update)
        for one in records
        if one.external_ref in known
    }
    new = [one for one in records if one.external_ref not in known]
    for record in new:
        try:
            check_record(record.member, organization.name, now)
        except Refusal as refusal:
            raise RecordRefused(record.line, refusal) from None
    async with open_unit(org_id, now) as unit:
        accounts = {one.line: await unit.accounts.of(one.member.email) for one in new}
    hashes = {line: one.password_hash if one else None for line, one in accounts.items()}
    prepared = await asyncio.gather(*(_prepared(passwords, one, hashes[one.line]) for one in new))
    written: dict[str, Imported] = {}
    versions: dict[str, int] = {}
    async with open_unit(org_id, now) as unit:
        organization = await unit.organizations.locked()
        for one in prepared:
            try:
                made, version = await _write(unit, organization, source, one, now)
            except Refusal as refusal:
                raise RecordRefused(one.record.line, refusal) from None
            written[made.external_ref], versions[made.external_ref] = made, version
        changed = [one for one in records if outcomes.get(one.external_ref) is Outcome.UPDATED]
        updated = await _updated(unit, source, changed, known, before)
        left = {one.external_ref for one in changed} - updated.keys()
        outcomes |= dict.fromkeys(left, Outcome.DIFFERENT)
        await _keep(unit, source, records, versions | updated)
    return [
        written.get(one.external_ref)
        or Imported(one.external_ref, known[one.external_ref], outcomes[one.external_ref])
        for one in records
    ]


async def _updated(
    unit: Unit,
    source: str,
    changed: Sequence[Record],
    known: Mapping[str, UUID],
    before: Mapping[str, Taken],
) -> dict[str, int]:
    """Update members by their rows; return the versions of those that people have not changed since."""
    versions = {}
    for record in changed:
        ref = record.external_ref
        version = await _update(unit, known[ref], record, before.get(ref), source)
        if version is not None:
            versions[ref] = version
    return versions


async def _keep(
    unit: Unit, source: str, records: Sequence[Record], versions: Mapping[str, int]
) -> None:
    """Keep what the rows of these members said, which have these versions now."""
    said = {one.external_ref: one.digest for one in records}
    taken = {ref: Taken(said[ref], version) for ref, version in versions.items()}
    await unit.members.keep(source, taken)


async def _update(
    unit: Unit, member_id: UUID, record: Record, before: Taken | None, source: str
) -> int | None:
    """Give a member the name and language of their row; for what they may do people answer.

    Returns the member's version; None where people have changed them since, and they stay as they are.
    """
    member = await unit.members.one(member_id)
    if member is None:
        raise RecordRefused(record.line, Missing())
    has_rights = (
        record.rights == before.digest.partition(" ")[0]
        if before
        else (record.member.grants == member.grants)
    )
    if not has_rights:
        message = (
            "What a member may do, when, and their e-mail address are not changed by an import: change"
            " them in the application, and here back to what was imported"
        )
        raise RecordRefused(record.line, Invalid(faults=(Fault("role", "not-allowed", message),)))
    if not is_as_imported(before, member.version):
        return None
    changed = replace(
        member,
        name=record.member.name,
        language=record.member.language,
        version=member.version + 1,
    )
    await unit.members.save(changed)
    await unit.note("member.update", OPERATOR, member_id, {"source": source})
    return changed.version


async def _prepared(passwords: ArgonPasswords, record: Record, known_hash: str | None) -> _Prepared:
    secret = password.normalized(record.member.password)
    if known_hash is None:
        return _Prepared(record, await passwords.hash(secret), is_owners=False)
    correct, _ = await passwords.verify(secret, known_hash)
    return _Prepared(record, known_hash, is_owners=correct)


async def _write(
    unit: Unit, organization: Organization, source: str, prepared: _Prepared, now: datetime
) -> tuple[Imported, int]:
    record = prepared.record
    account_id, made = await unit.accounts.ensure(record.member.email, prepared.password_hash, now)
    existing = await unit.members.of_account(account_id)
    if existing is not None:
        if existing.import_source is not None:
            raise MemberExists("Another record is this member already: give each an address.")
        await unit.members.link(existing.member_id, source, record.external_ref)
        linked = Imported(record.external_ref, existing.member_id, Outcome.UNCHANGED)
        return linked, existing.version
    member = await enrol(
        unit,
        organization,
        record.member,
        account_id,
        now,
        accepted=made or prepared.is_owners,
        imported=(source, record.external_ref),
    )
    await unit.note("member.import", OPERATOR, member.member_id, {"source": source})
    return Imported(record.external_ref, member.member_id, Outcome.CREATED), member.version
