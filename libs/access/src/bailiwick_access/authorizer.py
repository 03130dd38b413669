"""The one place that asks policy, and gives its answers in the one order they have (domain §4).

403 where the caller lacks the capability whatever the row; 404 where the row may not be viewed, with the
same words as for a row that does not exist; 403 with reasons where it may be viewed, but not so changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from bailiwick_access.caller import Caller
from bailiwick_access.visibility import FACTS
from bailiwick_contracts.identity import Settings
from bailiwick_kit.errors import Forbidden, Missing, Refusal
from bailiwick_kit.policy.client import Decision, Masks, Policy, Question
from bailiwick_kit.policy.scope import Nobody, Scalar, Scope, Where, fields
from bailiwick_kit.telemetry import metrics

_log = structlog.get_logger(__name__)

_UNKNOWNS = {
    "customers": "input.customer",
    "orders": "input.order",
    "reports": "input.order",
    "members": "input.member",
    "organizations": "input.organization",
    "deliveries": "input.delivery",
    "preferences": "input.preference",
}

_STRANGER: Mapping[str, object] = {**dict.fromkeys(FACTS, False), "relation_state": "none"}
_NONE_OF_THEIRS: Mapping[str, Mapping[str, object]] = {
    "customer": {**_STRANGER, "status": "approved"},
    "order": {**_STRANGER, "state": "placed", "author_keeps_view": False},
    "member": {"above": False},
    "delivery": {"recipient": False, "state": "sent"},
    "preference": {"recipient": False},
}
"""A row that is nothing to the caller, as policy is told of it, besides the organization it is in."""

_SOMEBODY: Mapping[str, object] = {
    "org_id": str(UUID(int=0)),
    "member_id": str(UUID(int=0)),
    "kind": "member",
    "mode": "permissions",
    "role": None,
    "permissions": ["seller"],
    "ticks": {},
    "collections": [],
    "status": "active",
    "expired": False,
}
"""A made-up caller with a portfolio: of theirs a filter asks most."""

_WHAT_TO_DO = {
    "capability-missing": "Your role does not include this. Ask a manager of your organization.",
    "custom-ceiling": "Custom members never do this, whatever they are granted.",
    "order-not-own-as-additional": "As an additional representative you change only orders you wrote.",
    "additional-may-not-edit": "Only the main representative changes this customer.",
    "not-own-draft": "You change only drafts that you wrote yourself.",
    "not-assigned": "This customer is not in your portfolio.",
    "assignment-not-started": "Your assignment to this customer has not started yet.",
    "assignment-ended": "Your assignment to this customer has ended.",
    "order-state-forbids": "In this state, only organization-wide roles change the order.",
    "customer-state-forbids": "The customer's state does not allow it.",
    "grant-not-held": "Ask a brand manager of your organization.",
    "membership-expired": "Your membership has expired. Ask a manager of your organization.",
    "account-inactive": "Your membership is not active. Ask a manager of your organization.",
}


QUESTIONS: Sequence[Question] = tuple(
    Question(
        package=f"bailiwick/{resource}",
        row=(row := unknown.removeprefix("input.")),
        document={
            "subject": _SOMEBODY,
            "settings": Settings().model_dump(mode="json"),
            "action": "view",
        },
        facts={"org_id": _SOMEBODY["org_id"], **_NONE_OF_THEIRS.get(row, {})},
    )
    for resource, unknown in _UNKNOWNS.items()
)
"""What policy has to answer before a service is ready: its filter and its decision for each resource."""


@dataclass(frozen=True)
class Visible:
    """Which rows of a resource a caller may see, and what of them is masked."""

    scope: Scope
    masks: Masks

    def hides(self, table: str, column: str) -> bool:
        """Tell whether policy masks a column of what may be seen."""
        return hides(self.masks, table, column)

    @property
    def is_restricted(self) -> bool:
        """Tell whether what may be seen depends on how the caller stands to a row: a portfolio."""
        match self.scope:
            case Where(condition=condition):
                return any(name.rpartition(".")[2] in FACTS for name in fields(condition))
            case _:
                return False


class Gate:
    """Asks policy on behalf of a caller."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    async def scope(self, caller: Caller, resource: str, action: str = "view") -> Visible:
        """Return what a list may show.

        Raises:
            Forbidden: the caller lacks the capability, whatever the row.
            PolicyUnavailable: policy did not answer as it should.
        """
        document = _document(caller, action)
        answer = await self._policy.filter(_package(resource), _UNKNOWNS[resource], document)
        if isinstance(answer.scope, Nobody):
            decision = await self._policy.decide(_package(resource), document)
            if not decision.capable:
                _log_refusal(decision, resource, action)
                raise _forbidden(decision)
        _count(resource, is_allowed=True)
        return Visible(answer.scope, answer.masks)

    async def decide(
        self, caller: Caller, resource: str, action: str, **rows: Mapping[str, object] | None
    ) -> Decision:
        """Let the caller act on a row, given by its facts (`order=…`), or refuse.

        None stands for a row that does not exist; no row at all, for what is decided without one. Of a
        row that does not exist policy is asked as of one that is nothing to the caller: the answer is
        not used, but it takes as long (S2).

        Raises:
            Forbidden: the capability is missing, or the row may be viewed but not so changed.
            Missing: there is no such row, or the caller may not view it.
            PolicyUnavailable: policy did not answer as it should.
        """
        asked = {name: facts or none_of_theirs(caller, name) for name, facts in rows.items()}
        decision = await self._policy.decide(
            _package(resource), {**_document(caller, action), **asked}
        )
        if (refusal := _refusal(decision, rows)) is not None:
            _log_refusal(decision, resource, action)
            raise refusal
        _count(resource, is_allowed=True)
        return decision

    async def may(
        self, caller: Caller, resource: str, action: str, **rows: Mapping[str, object] | None
    ) -> bool:
        """Tell whether the caller may, without refusing; never where a row does not exist."""
        asked = {name: facts or none_of_theirs(caller, name) for name, facts in rows.items()}
        document = {**_document(caller, action), **asked}
        decision = await self._policy.decide(_package(resource), document)
        return _count(resource, is_allowed=decision.allow and None not in rows.values())

    async def is_capable(
        self, caller: Caller, subject: Mapping[str, object], resource: str, action: str
    ) -> bool:
        """Tell whether another member of the caller's organization has a capability."""
        document = {**_document(caller, action), "subject": subject}
        decision = await self._policy.decide(_package(resource), document)
        return _count(resource, is_allowed=decision.capable)

    async def is_restricted(self, caller: Caller, resource: str) -> bool:
        """Tell whether what the caller sees depends on how they stand to a row: a portfolio."""
        return (await self.scope(caller, resource)).is_restricted


def hides(masks: Masks, table: str, column: str) -> bool:
    """Tell whether policy masks a column."""
    return column in masks.get(table, {})


def replacement(masks: Masks, table: str, column: str) -> Scalar:
    """Return what policy says of a column that it masks; None where it does not."""
    return masks.get(table, {}).get(column, {}).get("replace", {}).get("value")


def _package(resource: str) -> str:
    return f"bailiwick/{resource}"


def _document(caller: Caller, action: str) -> dict[str, object]:
    return {
        "subject": caller.subject,
        "settings": caller.settings.model_dump(mode="json"),
        "action": action,
    }


def _count(resource: str, *, is_allowed: bool) -> bool:
    metrics.DECISIONS.labels(_package(resource), "allowed" if is_allowed else "denied").inc()
    return is_allowed


def _log_refusal(decision: Decision, resource: str, action: str) -> None:
    """Say why, for who operates the service: a caller who may not view is told less than this."""
    _count(resource, is_allowed=False)
    told = {"decision_id": decision.id} if decision.id else {}
    _log.info(
        "policy.refused", resource=resource, action=action, reasons=list(decision.reasons), **told
    )


def none_of_theirs(caller: Caller, name: str) -> Mapping[str, object]:
    """Return the facts of a made-up row in the caller's organization that is nothing to them."""
    return {"org_id": str(caller.org_id), **_NONE_OF_THEIRS.get(name, {})}


def _refusal(decision: Decision, rows: Mapping[str, object]) -> Refusal | None:
    if not decision.capable:
        return _forbidden(decision)
    if None in rows.values() or (rows and not decision.visible):
        return Missing()
    return _forbidden(decision) if rows and not decision.allow else None


def _forbidden(decision: Decision) -> Forbidden:
    reasons = decision.reasons
    return Forbidden(_WHAT_TO_DO.get(reasons[0], "") if reasons else "", reasons=reasons)
