"""Who has just changed something sees it everywhere, or is told to wait."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from bailiwick_kit.errors import Malformed, Unavailable
from bailiwick_kit.web.read_your_writes import (
    Nudge,
    Position,
    PositionNotReached,
    Positions,
    Seal,
    parse,
)

ORG, ONE, TWO = UUID(int=1), UUID(int=2), UUID(int=3)
SEAL = Seal("a secret that all services have")
PROOF = "A" * 22


def given(*positions: Position, org_id: UUID = ORG) -> tuple[Position, ...]:
    """Give positions as a client brings them back."""
    return parse(SEAL.written(org_id, *positions)["Bailiwick-Position"])


class Time:
    """A clock that moves only when somebody pauses, and runs what is due."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: dict[float, Callable[[], None]] = {}

    def monotonic(self) -> float:
        return self.now

    async def pause(self, seconds: float) -> None:
        self.now += seconds
        for at in [at for at in self.due if at <= self.now]:
            self.due.pop(at)()


class Replica:
    def __init__(self) -> None:
        self.versions: dict[UUID, int] = {}
        self.asked = 0

    async def version(self, org_id: UUID, entity_id: UUID) -> int | None:
        assert org_id == ORG
        self.asked += 1
        return self.versions.get(entity_id)


def waiting(replica: Replica, time: Time, nudge: Nudge | None = None) -> Positions:
    return Positions(
        {"customers": replica.version}, SEAL, nudge, monotonic=time.monotonic, pause=time.pause
    )


def test_what_is_written_can_be_sent_back() -> None:
    (told,) = SEAL.written(
        ORG, Position("customers", ONE, 3), Position("identity", TWO, 1)
    ).values()
    assert [entry.rpartition(":")[0] for entry in told.split(",")] == [
        f"customers:{ONE}:3",
        f"identity:{TWO}:1",
    ]
    assert [str(one) for one in parse(told)] == [f"customers:{ONE}:3", f"identity:{TWO}:1"]
    assert all(SEAL.proves(ORG, one) for one in parse(told))
    assert parse(None) == parse(" ") == ()


@pytest.mark.parametrize(
    "header",
    [
        "x",
        ",",
        f"customers:{ONE}",
        f"customers:{ONE}:0:{PROOF}",
        f"customers:{ONE}:-1:{PROOF}",
        f"customers:{ONE}:1e3:{PROOF}",
        f"customers:{ONE}:{'9' * 30}:{PROOF}",
        f"Customers:{ONE}:1:{PROOF}",
        f"customers:{ONE.hex}:1:{PROOF}",
        f"customers:{ONE}:1:{PROOF};",
        f"customers:{ONE}:1",
        f"customers:{ONE}:1:{PROOF[1:]}",
        f"customers:{ONE}:\u0661:{PROOF}",
        ",".join([f"customers:{ONE}:1:{PROOF}"] * 21),
    ],
)
def test_a_malformed_position_is_refused(header: str) -> None:
    with pytest.raises(Malformed):
        parse(header)


async def test_a_position_that_is_reached_does_not_wait() -> None:
    time, replica = Time(), Replica()
    replica.versions[ONE] = 4
    await waiting(replica, time).wait(ORG, given(Position("customers", ONE, 3)))
    assert time.now == 0
    assert replica.asked == 1


async def test_an_unknown_service_is_ignored() -> None:
    time, replica = Time(), Replica()
    await waiting(replica, time).wait(ORG, given(Position("reports", ONE, 3)))
    assert replica.asked == 0


async def test_an_entity_that_arrives_in_time_is_waited_for() -> None:
    time, replica = Time(), Replica()
    time.due[0.2] = lambda: replica.versions.update({ONE: 3})
    positions = given(Position("customers", ONE, 3))
    await waiting(replica, time).wait(ORG, positions)
    assert 0.2 <= time.now < 0.3
    assert replica.asked < 12


async def test_after_half_a_second_the_changes_are_pulled_once() -> None:
    time, replica = Time(), Replica()
    nudges: list[tuple[str, UUID, float]] = []

    async def nudge(service: str, org_id: UUID) -> None:
        nudges.append((service, org_id, time.now))
        replica.versions.update({ONE: 3, TWO: 1})

    after = given(Position("customers", ONE, 3), Position("customers", TWO, 1))
    await waiting(replica, time, nudge).wait(ORG, after)
    assert [nudge[:2] for nudge in nudges] == [("customers", ORG)]
    assert 0.5 <= nudges[0][2] < 0.6


async def test_after_two_seconds_the_caller_is_told_to_come_back() -> None:
    time, replica = Time(), Replica()
    nudges: list[str] = []

    async def nudge(service: str, _org_id: UUID) -> None:
        nudges.append(service)
        raise Unavailable

    replica.versions[ONE] = 2
    with pytest.raises(PositionNotReached) as refused:
        await waiting(replica, time, nudge).wait(ORG, given(Position("customers", ONE, 3)))
    assert refused.value.retry_after == 1
    assert refused.value.code == "position-not-reached"
    assert nudges == ["customers"]
    assert 2 <= time.now < 2.1


@pytest.mark.parametrize(
    "forged",
    [
        {"version": 4},
        {"entity_id": TWO},
        {"service": "identity"},
        {"proof": ""},
        {"proof": PROOF},
    ],
)
async def test_a_position_that_nobody_gave_out_is_refused_unasked(forged: dict[str, Any]) -> None:
    time, replica = Time(), Replica()
    replica.versions = {ONE: 9, TWO: 9}
    (real,) = given(Position("customers", ONE, 3))
    positions = Positions({"customers": replica.version, "identity": replica.version}, SEAL)
    with pytest.raises(Malformed):
        await positions.wait(ORG, [replace(real, **forged)])
    assert replica.asked == time.now == 0
    await positions.wait(ORG, [real])


async def test_a_position_of_another_organization_or_secret_is_none_here() -> None:
    position = Position("customers", ONE, 3)
    (elsewhere,) = given(position, org_id=TWO)
    (other,) = parse(Seal("another secret").written(ORG, position)["Bailiwick-Position"])
    for one in (elsewhere, other):
        with pytest.raises(Malformed):
            await waiting(Replica(), Time()).wait(ORG, [one])
