"""What imports of customers and assignments are sent, and how they answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from bailiwick_testkit.fakes.people import Person


class Work(Protocol):
    """An open import."""

    def run(self, sent: Iterable[bytes]) -> AsyncIterator[dict[str, Any]]:
        """Import lines."""
        ...


Open = Callable[..., AbstractAsyncContextManager[Work]]
"""Opens an import by somebody: `async with opening(mia, update=True) as work`."""


def customer(ref: str, **more: Any) -> dict[str, Any]:
    """Return the line of a customer."""
    return {"kind": "customer", "external_ref": ref, "name": f"Shop {ref}", **more}


def assignment(ref: str, who: Person, relation: str = "main", **more: Any) -> dict[str, Any]:
    """Return the line of an assignment."""
    member_id = str(who.member_id)
    return {
        "kind": "assignment",
        "customer": ref,
        "member_id": member_id,
        "relation": relation,
        **more,
    }


async def imported(work: Work, *lines: dict[str, Any]) -> list[dict[str, Any]]:
    """Import the lines; return what became of each."""
    return [became async for became in work.run(json.dumps(line).encode() for line in lines)]
