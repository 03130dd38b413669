"""Import customers: a batch of records from elsewhere, each made once however often it comes (D27)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_customers.domain.customer import (
    Address,
    Contact,
    Customer,
    Status,
    Terms,
    check_size,
    random_code,
)
from bailiwick_customers.store.imports import ImportUnit, OpenImport
from bailiwick_kit.errors import Fault, Invalid, Refusal
from bailiwick_kit.imports.imported_rows import FIRST, Imported, Outcome, Taken, is_as_imported


@dataclass(frozen=True)
class CustomerRecord:
    """A customer as its source has it; None in `created_at` stands for now."""

    external_ref: str
    name: str
    tax_id: str | None
    contacts: tuple[Contact, ...]
    addresses: tuple[Address, ...]
    tags: tuple[str, ...]
    terms: Terms
    status: Status
    created_at: datetime | None
    said: frozenset[str]
    """The fields that the source has something in; the others are not changed by an update."""
    digest: str
    """Of all that it says (`kit.imports.imported_rows`)."""


KIND = "customer"
"""What the rows of customers are kept under."""
_UPDATED = frozenset({"name", "tax_id", "contacts", "addresses", "tags", "terms", "status"})


async def import_customers(
    open_import: OpenImport,
    gate: Gate,
    caller: Caller,
    source: str,
    records: Sequence[CustomerRecord],
    *,
    update: bool = False,
) -> list[Imported]:
    """Create the customers that no earlier import from this source has made.

    The others stay as they are, unless `update`: then those whose rows have changed since become what these
    say now, but for what people have changed since, which is different. A fault says which record it is
    about by its place, from 0.

    Raises:
        Forbidden: the member who imports may not create or approve customers.
        Invalid: a customer is too large, or says another creation than it had.
    """
    await gate.decide(caller, "customers", "create")
    await gate.decide(caller, "customers", "approve")
    _check_sizes(records)
    async with open_import(caller.org_id) as unit:
        known = await unit.known(source, (record.external_ref for record in records))
        before = await unit.before(source, KIND, known)
        new = [record for record in records if record.external_ref not in known]
        codes = await _codes(unit, len(new))
        customers = [
            _customer(caller, source, record, code) for record, code in zip(new, codes, strict=True)
        ]
        await unit.add(customers)
        ids = {customer.external_ref: customer.customer_id for customer in customers}
        outcomes = {
            record.external_ref: Outcome.of_known(
                before.get(record.external_ref), record.digest, update=update
            )
            if record.external_ref in known
            else Outcome.CREATED
            for record in records
        }
        changed = {
            place: record
            for place, record in enumerate(records)
            if outcomes[record.external_ref] is Outcome.UPDATED
        }
        versions = await _update(unit, caller, source, changed, known, before)
        left = {one.external_ref for one in changed.values()} - versions.keys()
        outcomes |= dict.fromkeys(left, Outcome.DIFFERENT)
        await unit.note("customer.import", caller.member_id, ids.values(), source)
        kept = {
            one.external_ref: Taken(one.digest, versions.get(one.external_ref, FIRST))
            for one in records
            if outcomes[one.external_ref] in _TAKEN
        }
        await unit.keep(source, KIND, kept)
    return [
        Imported(known.get(ref) or ids[ref], outcomes[ref])
        for ref in (record.external_ref for record in records)
    ]


_FROM_HERE = {
    Status.PENDING: frozenset({Status.APPROVED, Status.SUSPENDED}),
    Status.APPROVED: frozenset({Status.SUSPENDED}),
}
"""Status → those that may follow. Who was suspended here is reinstated by a person, not by a file."""
_TAKEN = {Outcome.CREATED, Outcome.UPDATED}


async def _update(
    unit: ImportUnit,
    caller: Caller,
    source: str,
    changed: Mapping[int, CustomerRecord],
    known: Mapping[str, UUID],
    before: Mapping[str, Taken],
) -> Mapping[str, int]:
    """Make customers what their rows say now; what these say nothing of stays.

    Returns the versions of those that it changed; whom people have changed since stays as they are.
    """
    ids = {place: known[record.external_ref] for place, record in changed.items()}
    present = await unit.present(ids.values())
    faults: list[Fault] = []
    customers: dict[str, Customer] = {}
    for place, record in changed.items():
        customer = present[ids[place]]
        if record.created_at not in {None, customer.created_at}:
            message = (
                f"It was imported with {customer.created_at:%Y-%m-%dT%H:%M:%SZ}, and this stays."
            )
            faults.append(Fault(f"[{place}].created_at", "not-allowed", message))
        if not is_as_imported(before.get(record.external_ref), customer.version):
            continue
        changes = {name: getattr(record, name) for name in _UPDATED & record.said}
        if record.status not in _FROM_HERE.get(customer.status, frozenset()):
            changes.pop("status", None)
        customers[record.external_ref] = replace(customer, **changes, version=customer.version + 1)
    if faults:
        raise Invalid(faults=faults)
    await unit.save(list(customers.values()))
    touched = [one.customer_id for one in customers.values()]
    await unit.note("customer.update", caller.member_id, touched, source)
    return {ref: one.version for ref, one in customers.items()}


def _check_sizes(records: Sequence[CustomerRecord]) -> None:
    for place, record in enumerate(records):
        try:
            check_size(record)
        except Refusal as refusal:
            faults = [
                Fault(f"[{place}].{one.where}", one.code, one.message) for one in refusal.faults
            ]
            raise Invalid(refusal.title, faults=faults) from None


def _customer(caller: Caller, source: str, record: CustomerRecord, code: str) -> Customer:
    return Customer(
        org_id=caller.org_id,
        customer_id=uuid7(),
        code=code,
        name=record.name,
        status=record.status,
        created_by=caller.member_id,
        created_at=record.created_at or caller.now,
        tax_id=record.tax_id,
        contacts=record.contacts,
        addresses=record.addresses,
        tags=record.tags,
        terms=record.terms,
        imported=True,
        import_source=source,
        external_ref=record.external_ref,
    )


async def _codes(unit: ImportUnit, count: int) -> list[str]:
    codes: set[str] = set()
    while len(codes) < count:
        drawn = {random_code() for _ in range(count - len(codes))}
        codes |= drawn - await unit.taken(drawn)
    return list(codes)
