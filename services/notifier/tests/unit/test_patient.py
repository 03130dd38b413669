"""An authority that is away is let be for a while, so that it holds up nobody who does not need it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import pytest

from bailiwick_kit.errors import Unavailable
from bailiwick_notifier.workers import Patient

ORG = UUID(int=1)


@dataclass
class Away:
    """An authority that does not answer until told otherwise."""

    is_away: bool = True
    asked: int = 0

    async def position(self, _: UUID) -> int:
        return 7

    async def catch_up(self, _: UUID) -> bool:
        self.asked += 1
        if self.is_away:
            raise Unavailable
        return True


async def test_a_shut_feed_is_not_knocked_at_again_for_a_while() -> None:
    away = Away()
    patient = Patient(away, pause=60)
    for _ in range(5):
        with pytest.raises(Unavailable):
            await patient.catch_up(ORG)
    assert away.asked == 1
    assert await patient.position(ORG) == 7


async def test_an_open_feed_is_asked_each_time_and_a_shut_one_again_when_the_while_is_over() -> (
    None
):
    away = Away()
    patient = Patient(away, pause=0)
    with pytest.raises(Unavailable):
        await patient.catch_up(ORG)
    away.is_away = False
    for _ in range(3):
        await patient.catch_up(ORG)
    assert away.asked == 4
