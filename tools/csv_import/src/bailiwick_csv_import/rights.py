"""What policy says of members who do not exist yet: asked of the target, so that no rule is copied."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bailiwick_contracts.identity import Settings
from bailiwick_csv_import.records import NO_ID
from bailiwick_kit.imports.jsonl import PATIENCE, WAITING
from bailiwick_kit.policy.client import Policy
from bailiwick_kit.retrying import patiently


@dataclass
class PolicyRights:
    """Asks an OPA of the stack; equal rights are asked about once."""

    policy: Policy
    runner: asyncio.Runner
    report: Callable[[str], None]
    _answers: dict[str, bool] = field(default_factory=dict)

    def may_represent(self, member: Mapping[str, Any]) -> bool:
        """Tell whether the member may have customers."""
        return self._is_capable(member, "customers", "hold")

    def may_found(self, member: Mapping[str, Any]) -> bool:
        """Tell whether the member may be the first of an organization: one that edits its settings."""
        return "role" in member and self._is_capable(member, "organizations", "edit")

    def _is_capable(self, member: Mapping[str, Any], resource: str, action: str) -> bool:
        role = member.get("role")
        subject = {
            "org_id": NO_ID,
            "member_id": NO_ID,
            "kind": "member",
            "mode": "role" if role else "permissions",
            "role": role,
            "permissions": member.get("permissions", []),
            "ticks": member.get("ticks", {}),
            "collections": [],
            "status": "active",
            "expired": False,
        }
        document = {
            "subject": subject,
            "settings": Settings().model_dump(mode="json"),
            "action": action,
        }
        question = json.dumps([resource, document], sort_keys=True)
        if question not in self._answers:
            ask = partial(self.policy.decide, f"bailiwick/{resource}", document)
            waiting = partial(patiently, ask, PATIENCE, lambda what: self.report(WAITING + what))
            decision = self.runner.run(waiting())
            self._answers[question] = decision.capable
        return self._answers[question]


@contextmanager
def asking(url: str, report: Callable[[str], None]) -> Iterator[PolicyRights]:
    """Open the policy engine at the address; `report` is told while it does not answer."""
    policy = Policy(url)
    with asyncio.Runner() as runner:
        runner.run(policy.__aenter__())
        try:
            yield PolicyRights(policy, runner, report)
        finally:
            runner.run(policy.__aexit__(None, None, None))
