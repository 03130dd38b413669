"""Import customers: a batch of records from elsewhere, each made once however often it comes (D27)."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import datetime

from uuid_utils.compat import uuid7

from bailiwick_access.caller import Caller
from bailiwick_access.gate import Gate
from bailiwick_customers.actions.import_ports import Imported, ImportUnit, OpenImport
from bailiwick_customers.domain.customer import (
    Address,
    Contact,
    Customer,
    Status,
    Terms,
    check_size,
    random_code,
)
from bailiwick_kit.errors import Fault, Invalid, Refusal


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


async def import_customers(
    open_import: OpenImport,
    gate: Gate,
    caller: Caller,
    source: str,
    records: Sequence[CustomerRecord],
) -> list[Imported]:
    """Create the customers that no earlier import from this source has made; the others stay as they are.

    A fault says which record it is about by its place, from 0.

    Raises:
        Forbidden: the member who imports may not create or approve customers.
        Invalid: a new customer is too large.
    """
    await gate.decide(caller, "customers", "create")
    await gate.decide(caller, "customers", "approve")
    async with open_import(caller.org_id) as unit:
        known = await unit.known(source, (record.external_ref for record in records))
        new = {
            record.external_ref: record for record in records if record.external_ref not in known
        }
        _check_sizes(records, known)
        codes = await _codes(unit, len(new))
        customers = {
            ref: _customer(caller, source, record, code)
            for (ref, record), code in zip(new.items(), codes, strict=True)
        }
        await unit.add(list(customers.values()))
        ids = {ref: customer.customer_id for ref, customer in customers.items()}
        await unit.note("customer.import", caller.member_id, ids.values(), source)
    return [
        Imported(known.get(ref) or ids[ref], created=ref not in known)
        for ref in (record.external_ref for record in records)
    ]


def _check_sizes(records: Sequence[CustomerRecord], known: Container[str]) -> None:
    for place, record in enumerate(records):
        try:
            if record.external_ref not in known:
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
