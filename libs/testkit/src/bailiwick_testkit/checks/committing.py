"""What happens around a commit: everything that a service asks stops answering once it has committed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bailiwick_kit import crash_points
from bailiwick_kit.database.engine import Database
from bailiwick_kit.errors import PolicyUnavailable, Unauthenticated, Unavailable
from bailiwick_kit.policy.client import Policy
from bailiwick_kit.tokens.access_tokens import TokenVerifier


@contextmanager
def nothing_answers_after_commits() -> Iterator[None]:
    """From a write's commit on policy is down, the token is over, and the database lends no connection.

    Raises:
        AssertionError: nothing was committed inside.
    """
    is_committed = False
    ways = (
        (Policy, "decide", PolicyUnavailable),
        (Policy, "filter", PolicyUnavailable),
        (TokenVerifier, "verify", Unauthenticated),
        (Database, "reading", Unavailable),
        (Database, "writing", Unavailable),
    )
    reach = crash_points.reach

    def note(point: str) -> None:
        nonlocal is_committed
        is_committed |= point == "action.after-commit"
        reach(point)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crash_points, "reach", note)
        for owner, name, refusal in ways:
            patch.setattr(owner, name, _until(lambda: is_committed, getattr(owner, name), refusal))
        yield
    assert is_committed, "nothing was committed"  # noqa: S101 - for tests only


def _until(
    is_over: Callable[[], bool], ask: Callable[..., object], refusal: type[Exception]
) -> Callable[..., object]:
    def asked(*args: object, **named: object) -> object:
        if is_over():
            raise refusal
        return ask(*args, **named)

    return asked
