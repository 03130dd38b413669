"""Why something is refused, as a code that programs compare. Shared by Python, Rego and the docs."""

from enum import StrEnum


class Reason(StrEnum):
    """Reason codes, in order of precedence: the first that holds is the problem's code (D9)."""

    CAPABILITY_MISSING = "capability-missing"
    CUSTOM_CEILING = "custom-ceiling"
    ORDER_NOT_OWN_AS_ADDITIONAL = "order-not-own-as-additional"
    ADDITIONAL_MAY_NOT_EDIT = "additional-may-not-edit"
    NOT_OWN_DRAFT = "not-own-draft"
    NOT_ASSIGNED = "not-assigned"
    ASSIGNMENT_NOT_STARTED = "assignment-not-started"
    ASSIGNMENT_ENDED = "assignment-ended"
    ORDER_STATE_FORBIDS = "order-state-forbids"
    CUSTOMER_STATE_FORBIDS = "customer-state-forbids"
    GRANT_NOT_HELD = "grant-not-held"
    MEMBERSHIP_EXPIRED = "membership-expired"
    ACCOUNT_INACTIVE = "account-inactive"
    SEAT_LIMIT_REACHED = "seat-limit-reached"
    SCOPE_WIDENING = "scope-widening"
    REP_STILL_HAS_CUSTOMERS = "rep-still-has-customers"
    LEAVES_NO_MAIN = "leaves-no-main"
    MAIN_OVERLAP = "main-overlap"
    POLICY_UNAVAILABLE = "policy-unavailable"
