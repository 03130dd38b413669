"""Import assignments: a batch of who represents whom, written as one act (D18, D27)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.representatives import counts_as_one
from bailiwick_customers.domain.assignment import (
    Assignment,
    Changeset,
    Origin,
    Relation,
    began_in_force,
)
from bailiwick_customers.domain.errors import (
    LeavesNoMain,
    MayNotHoldPortfolio,
    SingleAssignmentModel,
    UnknownCustomer,
)
from bailiwick_customers.domain.timeline import Outcome as TimelineOutcome
from bailiwick_customers.domain.timeline import assign, end, exclude_each_other
from bailiwick_customers.domain.views import Membership
from bailiwick_customers.rules.assigning import WHO_MAY, with_notice
from bailiwick_customers.store.imports import ImportUnit, OpenImport
from bailiwick_kit.clock import END_OF_TIME
from bailiwick_kit.errors import Fault, Invalid, Refusal
from bailiwick_kit.imports.imported_rows import Imported, Outcome, Taken, is_as_imported


@dataclass(frozen=True)
class AssignmentRecord:
    """An assignment as its source has it; None stands for now, and for an open end."""

    customer_ref: str
    member_id: UUID
    relation: Relation
    valid_from: datetime | None
    valid_to: datetime | None
    digest: str
    """Of all that it says (`kit.imports.imported_rows`)."""

    @property
    def ref(self) -> str:
        """What the row is known by: who, for whom, as what, and from when."""
        begins = self.valid_from.isoformat() if self.valid_from else ""
        return f"{self.member_id} {self.relation} {begins} {self.customer_ref}"


KIND = "assignment"
"""What the rows of assignments are kept under."""
_CORRECTED = ""
"""The digest of a row whose beginning was corrected: its assignment is another row's since."""


async def import_assignments(
    open_import: OpenImport,
    gate: Gate,
    caller: Caller,
    source: str,
    records: Sequence[AssignmentRecord],
    *,
    update: bool = False,
) -> list[Imported]:
    """Assign what is not assigned yet; a fault says which record it is about by its place, from 0.

    A record that was imported before is left as it is, even if somebody has ended it since: running
    an import again undoes nothing. One whose row has another beginning or end by now gets that with `update`,
    if nobody has changed it since and nobody else holds that time. A new record that takes a customer from
    somebody counts from a second from now, as when people do it (D18).

    Raises:
        Forbidden: the member who imports may not assign.
        UnknownCustomer: this source has brought no such customer.
        MayNotHoldPortfolio: a member cannot be a representative.
        SingleAssignmentModel: the organization has no additional representatives.
        MainOverlap: another main is planned within that time.
        LeavesNoMain: nobody would be main for a time in which somebody is.
    """
    await gate.decide(caller, "customers", "assign")
    async with open_import(caller.org_id) as unit:
        customers = await unit.known(source, (record.customer_ref for record in records))
        _check_customers(records, customers)
        await _check_members(unit, gate, caller, records)
        existing = await unit.assignments(customers.values())
        before = await unit.before(source, KIND, _refs(records, customers, existing))
        stay = {record.ref for record in records}
        instant, refs = await unit.turn(), {one: ref for ref, one in customers.items()}
        batch = _Batch(caller, instant, uuid7(), {}, {}, refs, dict(before), stay, update)
        imported = _all_applied(batch, records, customers, existing)
        if batch.written:
            changes = tuple(batch.written.values())
            await unit.write(Changeset(batch.changeset_id, batch.instant, changes))
            touched = [
                customers[record.customer_ref]
                for record, one in zip(records, imported, strict=True)
                if one.outcome in {Outcome.CREATED, Outcome.UPDATED}
            ]
            await unit.note("customer.assign", caller.member_id, touched, source)
        kept = {ref: one for ref, one in batch.rows.items() if before.get(ref) != one}
        await unit.keep(source, KIND, kept)
    return imported


def _all_applied(
    batch: _Batch,
    records: Sequence[AssignmentRecord],
    customers: Mapping[str, UUID],
    existing: Mapping[UUID, Sequence[Assignment]],
) -> list[Imported]:
    """Write the records into the batch; what is wrong with them is told before what forbids one here."""
    imported: list[Imported] = []
    refused: list[tuple[int, Refusal]] = []
    for place, record in enumerate(records):
        customer_id = customers[record.customer_ref]
        of_customer = batch.of(customer_id, existing.get(customer_id, ()))
        try:
            imported.append(batch.apply(record, customer_id, of_customer))
        except Refusal as refusal:
            refused.append((place, refusal))
    if refused:
        told = [one for one in refused if isinstance(one[1], Invalid)] or refused[:1]
        faults = [Fault(f"[{place}]", one.code, str(one)) for place, one in told]
        raise Invalid(told[0][1].title, faults=faults)
    return imported


@dataclass(frozen=True)
class _Batch:
    """The customers' assignments as the batch makes them, and which of them it wrote."""

    caller: Caller
    instant: datetime
    changeset_id: UUID
    now: dict[UUID, dict[UUID, Assignment]]
    written: dict[UUID, Assignment]
    refs: Mapping[UUID, str]
    """What the source calls each customer."""
    rows: dict[str, Taken]
    """What the rows said, by `AssignmentRecord.ref`, with the version that the assignment has by them."""
    stay: Collection[str]
    """The rows that the batch has: none of their assignments is another row's."""
    update: bool

    def of(self, customer_id: UUID, existing: Iterable[Assignment]) -> dict[UUID, Assignment]:
        """Return a customer's assignments by id, with what the batch has done to them so far."""
        if customer_id not in self.now:
            self.now[customer_id] = {one.assignment_id: one for one in existing}
        return self.now[customer_id]

    def apply(
        self, record: AssignmentRecord, customer_id: UUID, existing: dict[UUID, Assignment]
    ) -> Imported:
        """Write the record into the batch, unless it is there already."""
        before = self.rows.get(record.ref)
        if before is None or before.digest != _CORRECTED:
            same = [one for one in existing.values() if _is_of(one, record)]
            for one in sorted(same, key=_never_held):
                return Imported(one.assignment_id, self._again(record, one, existing))
            if before and (later := _became(record, existing.values())):
                return Imported(later.assignment_id, self._again(record, later, existing))
        begun = self._begun(record, customer_id)
        for one in existing.values():
            if ref := self._row_of(one, begun):
                return self._corrected(record, one, ref, begun, existing)
        begun = self._assigned(begun, existing)
        self._keep(record, begun)
        return Imported(begun.assignment_id, Outcome.CREATED)

    def _assigned(self, begun: Assignment, existing: dict[UUID, Assignment]) -> Assignment:
        begun, outcome = with_notice(begun, list(existing.values()), self.instant)
        if outcome.without_main:  # files acknowledge nothing
            raise LeavesNoMain("Name another main for that time first, or do this one by hand.")
        self._write(outcome, existing)
        return begun

    def _row_of(self, one: Assignment, begun: Assignment) -> str | None:
        """Return the row that made an assignment, if that is another beginning of the same by now."""
        is_same = (one.member_id, one.relation) == (begun.member_id, begun.relation)
        if not is_same or not one.overlaps(begun.valid_from, begun.valid_to):
            return None
        ref = self._made_by(one)
        return None if ref in self.stay else ref

    def _corrected(
        self,
        record: AssignmentRecord,
        one: Assignment,
        ref: str,
        begun: Assignment,
        existing: dict[UUID, Assignment],
    ) -> Imported:
        """Have the assignment begin when its row says now: a new one replaces all of it."""
        is_free = self._is_free(begun, existing, but=one)
        if not (self.update and is_free and is_as_imported(self.rows[ref], one.version)):
            return Imported(one.assignment_id, Outcome.DIFFERENT)
        others = list(existing.values())
        self._write(
            end(one, one.valid_from, others, self.instant, self.changeset_id, uuid7), existing
        )
        self._write(assign(begun, existing.values(), self.instant, uuid7), existing)
        self.rows[ref] = Taken(_CORRECTED, one.version)
        self._keep(record, begun)
        return Imported(begun.assignment_id, Outcome.UPDATED)

    def _again(
        self, record: AssignmentRecord, one: Assignment, existing: dict[UUID, Assignment]
    ) -> Outcome:
        """Give an assignment that is there the end that its row has now, if that has changed."""
        before = self.rows.get(record.ref)
        if before is None:  # made by people: it is this row's from now on
            self._keep(record, one)
            return Outcome.UNCHANGED
        outcome = Outcome.of_known(before, record.digest, update=self.update)
        if outcome is not Outcome.UPDATED:
            return outcome
        until = record.valid_to or END_OF_TIME
        if until <= one.valid_from:
            message = "Choose an end after the beginning."
            raise Invalid(message, faults=(Fault("valid_to", "ends-before-it-begins", message),))
        longer = replace(one, valid_to=until, own_end=None)
        if not is_as_imported(before, one.version) or not self._is_free(longer, existing, but=one):
            return Outcome.DIFFERENT  # changed or given to others here, and a file takes nothing
        if until > one.valid_to:
            longer = replace(longer, version=one.version + 1, changeset_id=self.changeset_id)
            self._write(TimelineOutcome((longer,), None, ()), existing)
        elif until < one.valid_to:
            everything = list(existing.values())
            self._write(
                end(one, until, everything, self.instant, self.changeset_id, uuid7), existing
            )
        self._keep(record, existing[one.assignment_id])
        return outcome

    def _is_free(
        self, wanted: Assignment, existing: Mapping[UUID, Assignment], *, but: Assignment
    ) -> bool:
        """Tell whether nobody would lose anything by an assignment, but for the one it replaces."""
        return not any(
            one.overlaps(wanted.valid_from, wanted.valid_to) and exclude_each_other(one, wanted)
            for one in existing.values()
            if one.assignment_id != but.assignment_id
        )

    def _made_by(self, one: Assignment) -> str | None:
        """Return the row that an assignment came from, if it came from one."""
        refs = _refs_of(one, self.refs[one.customer_id])
        return next((ref for ref in refs if ref in self.rows), None)

    def _keep(self, record: AssignmentRecord, one: Assignment) -> None:
        self.rows[record.ref] = Taken(record.digest, one.version)

    def _write(self, outcome: TimelineOutcome, existing: dict[UUID, Assignment]) -> None:
        for one in outcome.written:
            was, ref = existing.get(one.assignment_id), self._made_by(one)
            if was and ref and is_as_imported(self.rows[ref], was.version):  # files have changed it
                self.rows[ref] = replace(self.rows[ref], version=one.version)
            existing[one.assignment_id] = self.written[one.assignment_id] = one

    def _begun(self, record: AssignmentRecord, customer_id: UUID) -> Assignment:
        additional = record.relation is Relation.ADDITIONAL
        if additional and self.caller.settings.assignment_model == "single":
            raise SingleAssignmentModel("Assign a main representative instead.")
        return Assignment(
            org_id=self.caller.org_id,
            assignment_id=uuid7(),
            customer_id=customer_id,
            member_id=record.member_id,
            relation=record.relation,
            origin=Origin.DIRECT,
            valid_from=record.valid_from or self.instant,
            valid_to=record.valid_to or END_OF_TIME,
            created_by=self.caller.member_id,
            changeset_id=self.changeset_id,
        )


def _refs_of(one: Assignment, customer_ref: str) -> tuple[str, str]:
    """Return what a row can be known by that made an assignment: with a beginning, or from then on."""
    row = AssignmentRecord(customer_ref, one.member_id, one.relation, one.valid_from, None, "")
    return row.ref, replace(row, valid_from=None).ref


def _refs(
    records: Sequence[AssignmentRecord],
    customers: Mapping[str, UUID],
    existing: Mapping[UUID, Sequence[Assignment]],
) -> set[str]:
    """Return what the rows are known by, and those that may have made what is there."""
    made = {
        ref
        for customer_ref, customer_id in customers.items()
        for one in existing.get(customer_id, ())
        for ref in _refs_of(one, customer_ref)
    }
    return made | {record.ref for record in records}


def _is_of(assignment: Assignment, record: AssignmentRecord) -> bool:
    """Tell whether the assignment is what this record became, or would become."""
    same = (assignment.member_id, assignment.relation) == (record.member_id, record.relation)
    return same and record.valid_from in {None, assignment.valid_from}


def _never_held(one: Assignment) -> bool:
    """Tell whether it was taken away before it began, or is another one by now."""
    return one.valid_to <= one.valid_from


def _became(record: AssignmentRecord, existing: Iterable[Assignment]) -> Assignment | None:
    """Return what an imported record became where it began later than it says: what takes has notice."""
    same = [
        one
        for one in existing
        if (one.member_id, one.relation) == (record.member_id, record.relation)
        and (record.valid_from is None or one.valid_from >= record.valid_from)
    ]
    return min(same, key=lambda one: one.valid_from, default=None)


def _check_customers(records: Sequence[AssignmentRecord], known: Mapping[str, UUID]) -> None:
    message = "Import this customer first, from the same source."
    faults = [
        Fault(f"[{place}].customer", "unknown-customer", message)
        for place, record in enumerate(records)
        if record.customer_ref not in known
    ]
    if faults:
        raise UnknownCustomer(faults=faults)


async def _check_members(
    unit: ImportUnit, gate: Gate, caller: Caller, records: Sequence[AssignmentRecord]
) -> None:
    memberships = await unit.memberships(record.member_id for record in records)
    subjects = [
        _as_it_was(record, memberships.get(record.member_id), caller.now) for record in records
    ]
    counts = {  # of a member there are few: in force or not, active or not
        repr(subject): await counts_as_one(gate, caller, subject)
        for subject in {repr(subject): subject for subject in subjects if subject}.values()
    }
    faults = [
        Fault(f"[{place}].member_id", "may-not-hold-portfolio", WHO_MAY)
        for place, subject in enumerate(subjects)
        if subject is None or not counts[repr(subject)]
    ]
    if faults:
        raise MayNotHoldPortfolio(faults=faults)


def _as_it_was(
    record: AssignmentRecord, membership: Membership | None, now: datetime
) -> Mapping[str, object] | None:
    """Return what policy is told of a member, as they were when the assignment began, or will be."""
    if membership is None:
        return None
    in_force = began_in_force(
        record.valid_from or now, membership.valid_from, membership.valid_until, now
    )
    is_over = record.valid_to is not None and record.valid_to <= now
    status = "active" if is_over else membership.subject["status"]  # who was deactivated since
    return {**membership.subject, "expired": not in_force, "status": status}
