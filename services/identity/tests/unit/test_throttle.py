"""How often passwords may be tried: by whom, from where, and for how long (S4, ADR 21)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from bailiwick_identity.domain.account import WINDOW, Attempts
from bailiwick_identity.domain.errors import TooManyAttempts
from bailiwick_identity.rules.throttle import (
    ATTACKED,
    PER_ACCOUNT_AND_ADDRESS,
    REFILL,
    RESERVE,
    UNDER_ATTACK,
    Source,
    Throttle,
)

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
PER_ADDRESS = 100
MIA = "mia@wines.example"


@dataclass
class Counts:
    """The table of tries, in memory."""

    rows: dict[bytes, tuple[int, datetime]] = field(default_factory=dict)

    async def attempts(self, keys: list[bytes], now: datetime) -> Attempts:
        known = {key: self.rows[key] for key in keys if key in self.rows}
        return {key: row for key, row in known.items() if row[1] > now - WINDOW}

    async def count_attempts(
        self, keys: list[bytes], now: datetime, check: Callable[[Attempts], None]
    ) -> None:
        open_rows = await self.attempts(keys, now)
        counted = {key: open_rows.get(key, (0, now)) for key in keys}
        counted = {key: (count + 1, since) for key, (count, since) in counted.items()}
        check(counted)
        self.rows |= counted

    async def forgive(self, cleared: bytes, keys: list[bytes]) -> None:
        for key in keys:
            self.rows[key] = (self.rows[key][0] - 1, self.rows[key][1])
        self.rows[cleared] = (0, self.rows[cleared][1])


def at(address: str, device: bytes | None = None) -> Source:
    return Source(address, address, device)


def throttle() -> Throttle:
    return Throttle(Counts(), PER_ADDRESS)  # type: ignore[arg-type]


async def tries(
    throttle: Throttle, source: Source, now: datetime = NOW, *, email: str = MIA
) -> int:
    """Return how many tries somebody has left there, by using them up."""
    for count in range(1000):
        try:
            await throttle.attempt(email, source, now)
        except TooManyAttempts:
            return count
    return 1000


async def sprayed(throttle: Throttle, source: Source, number: int, now: datetime = NOW) -> int:
    """Try a number of accounts from one place, each once; return how many were let through."""
    let = 0
    for one in range(number):
        try:
            await throttle.attempt(f"{now:%s}{one}@x.example", source, now)
        except TooManyAttempts:
            continue
        let += 1
    return let


async def test_an_account_has_some_tries_from_an_address_and_some_from_another() -> None:
    one = throttle()
    assert await tries(one, at("192.0.2.1")) == PER_ACCOUNT_AND_ADDRESS
    assert await tries(one, at("192.0.2.2")) == PER_ACCOUNT_AND_ADDRESS


async def test_an_account_under_attack_leaves_every_new_address_some_tries() -> None:
    one = throttle()
    for number in range(ATTACKED + 1):
        await one.attempt(MIA, at(f"198.51.100.{number}"), NOW)

    assert await tries(one, at("192.0.2.2")) == UNDER_ATTACK


async def test_an_account_is_guessed_at_a_bounded_rate_from_however_many_addresses() -> None:
    one, let = throttle(), 0
    for second in range(0, 900, 10):
        now = NOW + timedelta(seconds=second)
        for number in range(20):
            let += await tries(one, at(f"{second}.{number}"), now) if let < 10_000 else 0

    assert let <= ATTACKED + RESERVE + WINDOW / REFILL


async def test_an_address_that_tries_many_accounts_leaves_each_of_them_some_tries() -> None:
    one, here = throttle(), at("192.0.2.1")
    assert await sprayed(one, here, PER_ADDRESS) == PER_ADDRESS

    assert await tries(one, here) == UNDER_ATTACK


async def test_an_address_is_let_through_at_a_bounded_rate_and_rows_are_bounded() -> None:
    counts = Counts()
    one = Throttle(counts, PER_ADDRESS)  # type: ignore[arg-type]
    here = at("192.0.2.1")

    assert await sprayed(one, here, 5_000) == PER_ADDRESS + RESERVE
    assert len(counts.rows) == 2 * (PER_ADDRESS + RESERVE) + 1
    later = NOW + 3 * REFILL
    assert await sprayed(one, here, 500, later) == 3
    assert len(counts.rows) == 2 * (PER_ADDRESS + RESERVE + 3) + 1


async def test_who_is_refused_is_told_when_to_come_again() -> None:
    one, here = throttle(), at("192.0.2.1")
    await sprayed(one, here, PER_ADDRESS + RESERVE)
    with pytest.raises(TooManyAttempts) as refused:
        await one.attempt(MIA, here, NOW + timedelta(seconds=1))
    assert refused.value.retry_after == 4
    await one.attempt(MIA, here, NOW + timedelta(seconds=5))
    with pytest.raises(TooManyAttempts):
        await one.attempt("zoe@wines.example", here, NOW + timedelta(seconds=5))


async def test_a_device_that_the_account_knows_has_tries_of_its_own_whatever_others_do() -> None:
    one, here = throttle(), "192.0.2.1"
    await sprayed(one, at(here), PER_ADDRESS + RESERVE)
    for number in range(ATTACKED + RESERVE):
        await tries(one, at(f"198.51.100.{number}"))

    assert await tries(one, at(here)) == 0
    assert await tries(one, at(here, b"mine")) == PER_ACCOUNT_AND_ADDRESS
    assert await tries(one, at(here, b"another")) == PER_ACCOUNT_AND_ADDRESS
    assert await tries(one, at("192.0.2.9", b"mine")) == 0, "a device, wherever it is"


async def test_what_a_known_device_fails_is_counted_for_nobody_else() -> None:
    one = throttle()
    for number in range(60):
        await tries(one, at("192.0.2.1", bytes([number])))

    assert await tries(one, at("192.0.2.1")) == PER_ACCOUNT_AND_ADDRESS


async def test_somebody_elses_good_sign_ins_give_a_guesser_no_further_tries() -> None:
    one, here = throttle(), at("192.0.2.1")
    for _ in range(PER_ACCOUNT_AND_ADDRESS):
        await one.attempt(MIA, here, NOW)
        await one.forgive(await one.attempt("guesser@wines.example", here, NOW))

    assert await tries(one, here) == 0


async def test_a_window_ends_by_itself_whatever_was_tried_in_it() -> None:
    one, here = throttle(), at("192.0.2.1")
    assert await tries(one, here) == PER_ACCOUNT_AND_ADDRESS
    late = NOW + WINDOW - timedelta(seconds=1)
    with pytest.raises(TooManyAttempts) as refused:
        await one.attempt(MIA, here, late)
    assert refused.value.retry_after == 1
    assert await tries(one, here, NOW + WINDOW) == PER_ACCOUNT_AND_ADDRESS
