"""Which membership somebody signs in as, and that nobody's password takes as long as somebody's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from bailiwick_identity.actions.sign_in import Credentials, chosen, sign_in
from bailiwick_identity.domain.account import Account, Attempts, Membership
from bailiwick_identity.domain.errors import GrantInvalid, RequestNotUsable, TooBusy
from bailiwick_identity.domain.member import Kind, Status
from bailiwick_identity.rules.throttle import Source, Throttle
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

    accounts: dict[str, Account] = field(default_factory=dict)

    async def account(self, email: str) -> Account | None:
        return self.accounts.get(email)

    async def attempts(self, _keys: list[bytes], _now: datetime) -> Attempts:
        return {}

    async def count_attempts(
        self, keys: list[bytes], now: datetime, check: Callable[[Attempts], None]
    ) -> None:
        check(dict.fromkeys(keys, (1, now)))


@dataclass
class Watched:
    """Passwords that are never right, and that remember what they were asked."""

    asked: list[tuple[str, str | None]] = field(default_factory=list)
    is_busy: bool = False

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
    here = Source("192.0.2.7", "192.0.2.7")
    given = Credentials(email, password, None, here)
    with pytest.raises(GrantInvalid):
        await sign_in(known, passwords, None, Throttle(known, 100), given, NOW)  # type: ignore[arg-type]
    assert passwords.asked == [asked]


async def test_a_stranger_is_sent_away_while_many_sign_in_and_a_known_device_is_not() -> None:
    known = Remembered()
    for device, refusal, hashed in ((None, TooBusy, 0), (b"n", GrantInvalid, 1)):
        passwords = Watched(is_busy=True)
        given = Credentials("mia@wines.example", "wrong", None, Source("a", "a", device))
        with pytest.raises(refusal):
            await sign_in(known, passwords, None, Throttle(known, 100), given, NOW)  # type: ignore[arg-type]
        assert len(passwords.asked) == hashed
