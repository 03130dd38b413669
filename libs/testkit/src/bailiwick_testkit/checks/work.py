"""What a service does for one request, as others see it: its statements and its questions to policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from bailiwick_kit.policy.client import Decision, Filter, Policy


@contextmanager
def work_done() -> Iterator[list[str]]:
    """Note each statement, and each question to policy by its package, action and what it tells of rows."""
    done: list[str] = []
    decide, narrow = Policy.decide, Policy.filter

    async def noted_decide(policy: Policy, package: str, document: Mapping[str, Any]) -> Decision:
        done.append(_question(package, document))
        return await decide(policy, package, document)

    async def noted_filter(
        policy: Policy, package: str, unknown: str, document: Mapping[str, Any]
    ) -> Filter:
        done.append(_question(package, document))
        return await narrow(policy, package, unknown, document)

    def note(*told: Any) -> None:
        done.append(told[2])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Policy, "decide", noted_decide)
        patch.setattr(Policy, "filter", noted_filter)
        sa.event.listen(sa.Engine, "before_cursor_execute", note)
        try:
            yield done
        finally:
            sa.event.remove(sa.Engine, "before_cursor_execute", note)


def _question(package: str, document: Mapping[str, Any]) -> str:
    told = {name: sorted(value) for name, value in document.items() if isinstance(value, Mapping)}
    return f"policy {package} {document['action']} {told}"
