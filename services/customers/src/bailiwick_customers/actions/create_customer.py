"""Create a customer; a restricted representative's is theirs from its first instant (V3)."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from uuid_utils.compat import uuid7

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.repetition import claimed
from bailiwick_access.requests import Act
from bailiwick_access.write_responses import Repeated, Written
from bailiwick_customers.domain.assignment import Changeset, Origin, Relation
from bailiwick_customers.domain.customer import (
    Address,
    Contact,
    Customer,
    Status,
    Terms,
    check_size,
    random_code,
)
from bailiwick_customers.rules.assigning import begin_assignment, checked_representative
from bailiwick_customers.rules.authorize import Viewed, viewed
from bailiwick_customers.rules.parents import check_parent
from bailiwick_customers.store.unit_of_work import OpenUnit, Unit
from bailiwick_kit.web.submitted import Submitted


@dataclass(frozen=True)
class NewCustomer:
    """What a new customer is made from. `main_id` names its representative; only who assigns may."""

    name: str
    tax_id: str | None
    contacts: tuple[Contact, ...]
    addresses: tuple[Address, ...]
    tags: tuple[str, ...]
    parent_id: UUID | None
    terms: Terms | None
    main_id: UUID | None


async def create_customer(
    open_unit: OpenUnit,
    gate: Gate,
    caller: Caller,
    submitted: Submitted[NewCustomer],
    act: Act | None,
) -> Written[Viewed] | Repeated:
    """Create a customer and, where one is due or named, its main assignment.

    Raises:
        Forbidden: the caller does not create customers, or names a representative without assigning.
        Invalid: a field is wrong, a named member or parent cannot be one, or it is too large.
        Conflict: the same request is under way, or its key came with another body.
    """
    async with open_unit(caller.org_id) as unit:
        key = await claimed(unit, act)
        if key.repeated:
            return key.repeated
        masks = (await gate.decide(caller, "customers", "create")).masks
        claim = key.claim()
        new = submitted.read()
        present = await unit.again(caller)
        if not present.has_rights_of(caller):
            masks = (await gate.decide(present, "customers", "create")).masks
        caller = present
        restricted = await gate.is_restricted(caller, "customers")
        is_own = restricted and new.main_id == caller.member_id
        if new.main_id is not None and not is_own:
            await gate.decide(caller, "customers", "assign")
        customer = await _made(unit, gate, caller, new, restricted=restricted)
        await unit.customers.add(customer)
        await unit.note("customer.create", caller.member_id, customer.customer_id)
        positions = [(customer.customer_id, customer.version)]
        main_id = new.main_id or (caller.member_id if restricted else None)
        if main_id is not None:
            if not restricted:
                await checked_representative(
                    unit, gate, caller, main_id, caller.now, where="main_id"
                )
            origin = Origin.CREATOR if restricted else Origin.DIRECT
            assignment = begin_assignment(
                caller, customer.customer_id, main_id, Relation.MAIN, origin
            )
            await unit.assignments.write(
                Changeset(assignment.changeset_id, caller.now, (assignment,))
            )
            positions.append((assignment.assignment_id, assignment.version))
        await unit.remember(claim, customer.customer_id)
        seen = await viewed(unit, caller, customer, masks, caller.now)
    return Written(customer.customer_id, seen, positions)


async def _made(
    unit: Unit, gate: Gate, caller: Caller, new: NewCustomer, *, restricted: bool
) -> Customer:
    if new.parent_id is not None:
        await check_parent(unit, gate, caller, new.parent_id)
    if new.terms is not None and not restricted:
        # A representative is main of what they create, and so may set its terms (V4).
        await gate.decide(caller, "customers", "edit_terms")
    code = random_code()
    while await unit.customers.is_code_taken(code):
        code = random_code()
    waits = restricted and caller.settings.rep_customers_need_approval
    customer = Customer(
        org_id=caller.org_id,
        customer_id=uuid7(),
        code=code,
        name=new.name,
        status=Status.PENDING if waits else Status.APPROVED,
        created_by=caller.member_id,
        created_at=caller.now,
        tax_id=new.tax_id,
        contacts=new.contacts,
        addresses=new.addresses,
        tags=new.tags,
        parent_id=new.parent_id,
        terms=new.terms or Terms(),
    )
    check_size(customer)
    return customer
