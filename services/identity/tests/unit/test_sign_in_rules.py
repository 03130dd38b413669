"""Which membership somebody signs in as, and that nobody's password takes as long as somebody's."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from bailiwick_identity.actions.ports import Account, Membership
from bailiwick_identity.actions.sign_in import Credentials, chosen, sign_in
from bailiwick_identity.actions.throttle import (
    ATTACKED,
    PER_ACCOUNT_AND_ADDRESS,
    UNDER_ATTACK,
    WINDOW,
    Throttle,
)
from bailiwick_identity.domain.errors import GrantInvalid, RequestNotUsable, TooManyAttempts
from bailiwick_identity.domain.member import Kind, Status
from bailiwick_kit.clock import END_OF_TIME

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


def membership(status: str = "active", **changes: object) -> Membership:
    described: dict[str, object] = {
        "org_id": uuid4(),
        "member_id": uuid4(),
        "account_id": uuid4(),
        "kind": Kind.MEMBER,
        "status": Status(status),
        "valid_from": NOW - timedelta(days=1),
        "valid_until": END_OF_TIME,
        "version": 1,
        "organization": "Wines",
        **changes,
    }
    return Membership(**described)  # type: ignore[arg-type]


def test_the_one_that_is_active_goes_before_any_invitation() -> None:
    active, invited, gone = membership(), membership("invited"), membership("inactive")
    assert chosen([invited, active, gone], None, NOW) is active
    assert chosen([invited, gone], None, NOW) is invited
    assert chosen([invited, active], invited.org_id, NOW) is invited


def test_several_are_listed_and_none_is_guessed() -> None:
    one, two = membership(), membership()
    with pytest.raises(RequestNotUsable) as refused:
        chosen([one, two], None, NOW)
    listed = refused.value.facts["organizations"]
    assert listed == [{"org_id": str(m.org_id), "name": "Wines"} for m in (one, two)]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": "inactive"}, "account-inactive"),
        ({"valid_until": NOW}, "membership-expired"),
        ({"valid_from": NOW + timedelta(seconds=1)}, "membership-expired"),
    ],
    ids=["inactive", "over", "not begun"],
)
def test_what_is_not_open_is_told_why(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(GrantInvalid) as refused:
        chosen([membership(**changes)], None, NOW)
    assert refused.value.reasons == (reason,)


def test_who_is_a_member_of_nothing_gets_no_token() -> None:
    with pytest.raises(GrantInvalid):
        chosen([], None, NOW)
    with pytest.raises(GrantInvalid):
        chosen([membership()], uuid4(), NOW)


@dataclass
class Remembered:
    """Sign-ins in memory, as far as a failing one needs them."""

    counts: dict[bytes, tuple[int, datetime]] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)

    async def account(self, email: str) -> Account | None:
        return self.accounts.get(email)

    async def count_attempts(
        self, keys: list[bytes], now: datetime
    ) -> dict[bytes, tuple[int, datetime]]:
        for key in keys:
            count, since = self.counts.get(key, (0, now))
            self.counts[key] = (1, now) if since <= now - WINDOW else (count + 1, since)
        return {key: self.counts[key] for key in keys}


@dataclass
class Watched:
    """Passwords that are never right, and that remember what they were asked."""

    asked: list[tuple[str, str | None]] = field(default_factory=list)

    async def verify(self, password: str, password_hash: str | None) -> tuple[bool, str | None]:
        self.asked.append((password, password_hash))
        return False, None


@pytest.mark.parametrize(
    ("email", "password", "asked"),
    [
        ("mia@wines.example", "wrong", ("wrong", "hash")),
        ("nobody@wines.example", "wrong", ("wrong", None)),
        (None, "wrong", ("wrong", None)),
        ("mia@wines.example", "x" * 2000, ("", None)),
    ],
)
async def test_every_failure_hashes_once(
    email: str | None, password: str, asked: tuple[str, str | None]
) -> None:
    known = Remembered(accounts={"mia@wines.example": Account(UUID(int=1), "hash")})
    passwords = Watched()
    given = Credentials(email, password, None, "192.0.2.7")
    with pytest.raises(GrantInvalid):
        await sign_in(known, passwords, None, Throttle(known, 100), given, NOW)  # type: ignore[arg-type]
    assert passwords.asked == [asked]


async def failures(throttle: Throttle, address: str, now: datetime) -> int:
    """Return how many tries an address has left, by using them up."""
    for count in range(1000):
        try:
            await throttle.attempt("mia@wines.example", address, now)
        except TooManyAttempts:
            return count
    return 1000


async def test_an_account_under_attack_leaves_every_new_address_some_tries() -> None:
    throttle = Throttle(Remembered(), 1000)  # type: ignore[arg-type]
    assert await failures(throttle, "192.0.2.1", NOW) == PER_ACCOUNT_AND_ADDRESS
    for number in range(ATTACKED):
        await throttle.attempt("mia@wines.example", f"198.51.100.{number}", NOW)

    assert await failures(throttle, "192.0.2.2", NOW) == UNDER_ATTACK


async def test_a_window_ends_by_itself_whatever_was_tried_in_it() -> None:
    throttle = Throttle(Remembered(), 1000)  # type: ignore[arg-type]
    assert await failures(throttle, "192.0.2.1", NOW) == PER_ACCOUNT_AND_ADDRESS
    late = NOW + WINDOW - timedelta(seconds=1)
    with pytest.raises(TooManyAttempts) as refused:
        await throttle.attempt("mia@wines.example", "192.0.2.1", late)
    assert refused.value.retry_after == 1
    assert await failures(throttle, "192.0.2.1", NOW + WINDOW) == PER_ACCOUNT_AND_ADDRESS
