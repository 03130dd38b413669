"""What orders refuses, and why."""

from __future__ import annotations

from bailiwick_kit.errors import Conflict, Invalid


class CustomerStateForbids(Conflict):
    """The customer's state does not allow it, for anybody."""

    code = "customer-state-forbids"
    title = "The customer's state does not allow this"


class OrderStateForbids(Conflict):
    """The order's state does not allow it, for anybody."""

    code = "order-state-forbids"
    title = "The order's state does not allow this"


class NumberTaken(Conflict):
    """Another order of the organization got the same random number first; a retry draws another."""

    code = "number-taken"
    title = "The order's number has just been given to another one"


class NotAssigned(Invalid):
    """The named member is no active representative of the customer, and cannot be credited."""

    code = "not-assigned"
    title = "This member does not represent the customer"


class AmountTooLarge(Invalid):
    """A line or the whole order comes to more than an amount here can hold."""

    code = "amount-too-large"
    title = "The order's amount is too large"


class OtherCurrency(Invalid):
    """Lines are priced in another currency than the order's."""

    code = "other-currency"
    title = "An order has one currency"
