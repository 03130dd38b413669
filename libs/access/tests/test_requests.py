"""How long a request waits for its own membership, and that it is pulled before a refusal (D2)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import AsyncMock, Mock
from uuid import UUID

import pytest

from bailiwick_access.caller import MembershipNotHereYet
from bailiwick_access.requests import Act, Entrance
from bailiwick_kit.clock import FixedClock
from bailiwick_kit.web.bodies import SentBody
from bailiwick_kit.web.fields import Model
from bailiwick_kit.web.idempotency import SentKey

ORG = UUID(int=1)


@dataclass
class Replica:
    """A database whose time is the test's own: how long a connection and a pull take, and who is in it."""

    connecting: float = 0.0
    pulling: float = 0.0
    here: Callable[[Replica], bool] = lambda _: False
    invited: Callable[[Replica], bool] = lambda _: False
    is_authority: bool = False
    now: float = 0.0
    pulled: list[tuple[float, str]] = field(default_factory=list)

    @asynccontextmanager
    async def reading(self, _: UUID | None, **__: str) -> AsyncIterator[Replica]:
        self.now += self.connecting
        yield self

    async def exec_driver_sql(self, _: str, notified: tuple[str, str]) -> None:
        self.now += self.pulling
        self.pulled.append((self.now, notified[1]))

    async def resolve(self, *_: object) -> object:
        return Mock(is_invited=self.invited(self)) if self.here(self) else None

    async def pause(self, seconds: float) -> None:
        self.now += seconds

    async def let_in(self) -> Any:
        everything: Any = self
        entrance = Entrance(
            database=everything,
            tokens=AsyncMock(verify=AsyncMock(return_value=Mock(org_id=ORG))),
            callers=everything,
            gate=Mock(),
            positions=AsyncMock(),
            clock=FixedClock(),
            monotonic=lambda: self.now,
            pause=self.pause,
            is_authority=self.is_authority,
        )
        async with entrance.reading("Bearer token", ()) as reading:
            return reading.caller


async def test_a_membership_that_is_not_late_for_long_is_waited_for_and_not_pulled() -> None:
    replica = Replica(here=lambda it: it.now >= 0.4)
    assert await replica.let_in()
    assert not replica.pulled


async def test_one_that_does_not_come_is_pulled_halfway_and_then_refused() -> None:
    replica = Replica()
    with pytest.raises(MembershipNotHereYet):
        await replica.let_in()
    [(pulled_at, what)] = replica.pulled
    assert what == f"identity:{ORG}"
    assert (pulled_at, replica.now) == pytest.approx((0.5, 1.0), abs=0.11)


async def test_whoever_waits_long_for_a_connection_has_the_membership_pulled_all_the_same() -> None:
    replica = Replica(connecting=3.0, here=lambda it: bool(it.pulled))
    assert await replica.let_in()
    assert len(replica.pulled) == 1


async def test_a_pull_that_takes_long_leaves_as_much_time_after_it() -> None:
    replica = Replica(pulling=3.0)
    replica.here = lambda it: bool(it.pulled) and it.now >= it.pulled[0][0] + 0.4
    assert await replica.let_in()


async def test_who_has_just_accepted_an_invitation_is_pulled_at_once_and_let_in_as_a_member() -> (
    None
):
    replica = Replica(here=lambda _: True)
    replica.invited = lambda it: not it.pulled or it.now < it.pulled[0][0] + 0.1
    assert not (await replica.let_in()).is_invited
    assert len(replica.pulled) == 1
    assert replica.now < 0.3


@pytest.mark.parametrize("connecting", [0.0, 0.2])
async def test_an_invitation_that_nobody_accepted_is_answered_as_one_after_a_while(
    connecting: float,
) -> None:
    replica = Replica(connecting, here=lambda _: True, invited=lambda _: True)
    assert (await replica.let_in()).is_invited  # also where the while ends in the middle of a look
    assert len(replica.pulled) == 1
    assert replica.now == pytest.approx(0.2 + 2 * connecting, abs=0.06 + connecting)


async def test_identity_knows_itself_who_has_accepted() -> None:
    replica = Replica(here=lambda _: True, invited=lambda _: True, is_authority=True)
    assert (await replica.let_in()).is_invited
    assert (replica.pulled, replica.now) == ([], 0.0)


def test_a_key_is_the_same_however_the_id_in_the_path_is_written() -> None:
    caller = Mock(org_id=ORG, member_id=UUID(int=2))
    record = UUID("ab54c0de-0000-7000-8000-00000000000f")
    claims = {
        Act(
            caller, "POST", f"/v1/customers/{one}/assignments", SentKey("k"), SentBody(Model, b"{}")
        ).claim()
        for one in (str(record), str(record).upper(), record.hex)
    }
    assert len(claims) == 1
