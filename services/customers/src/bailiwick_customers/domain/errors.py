"""What customers refuses, and why."""

from __future__ import annotations

from bailiwick_kit.errors import Conflict, Invalid


class CustomerStateForbids(Conflict):
    """The customer's state does not allow it, for anybody."""

    code = "customer-state-forbids"
    title = "The customer's state does not allow this"


class MainOverlap(Conflict):
    """Another main representative is already planned for a part of that time (V1)."""

    code = "main-overlap"
    title = "There is another main representative at that time"


class LeavesNoMain(Conflict):
    """After it nobody would be main for a time in which somebody is; the caller may acknowledge that."""

    code = "leaves-no-main"
    title = "The customer would have no main representative for a time"


class SingleAssignmentModel(Conflict):
    """The organization has one representative a customer, and no additional ones."""

    code = "assignment-model-single"
    title = "This organization has no additional representatives"


class AlreadyEnded(Conflict):
    """The assignment is over already."""

    code = "assignment-already-ended"
    title = "The assignment has already ended"


class MayNotHoldPortfolio(Invalid):
    """The named member cannot be a representative: not here, not active, or of another kind."""

    code = "may-not-hold-portfolio"
    title = "This member cannot have customers"


class CustomerTooLarge(Invalid):
    """A customer would be larger than one may be."""

    code = "customer-too-large"
    title = "The customer is too large"


class UnknownParent(Invalid):
    """The named parent is no customer that the caller can see, or has this one above it."""

    code = "unknown-parent"
    title = "No such parent customer"


class UnknownCustomer(Invalid):
    """An import names a customer that none from its source has brought."""

    code = "unknown-customer"
    title = "No such customer"
