"""How long policy is waited for: a slow engine to the end, a frozen one once (ADR 30)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from bailiwick_kit.errors import PolicyUnavailable
from bailiwick_kit.policy import client as policy_module
from bailiwick_kit.policy.client import Policy
from bailiwick_testkit.fakes.opa import FakeOpa, fake_opa, never, said

DEADLINE = 0.25
"""Seconds: what never answers is not waited for long here."""
DOCUMENT = {"subject": {"org_id": "o"}, "action": "view"}
ALLOWED = {"capable": True, "visible": True, "allow": True, "reasons": [], "masks": {}}


@pytest.fixture
async def fake() -> AsyncIterator[FakeOpa]:
    async with fake_opa() as opa:
        yield opa


@pytest.fixture
async def policy(fake: FakeOpa) -> AsyncIterator[Policy]:
    async with Policy(fake.url, expected_revision="r1", deadline=DEADLINE) as opened:
        yield opened


def decision() -> dict[str, object]:
    return {"result": ALLOWED | {"revision": "r1"}}


async def test_waiting_for_a_connection_is_within_the_deadline(fake: FakeOpa) -> None:
    fake.answers["/v1/data/bailiwick/orders/decision"] = never
    async with Policy(fake.url, deadline=DEADLINE, connections=1) as policy:
        asked = [policy.decide("bailiwick/orders", DOCUMENT) for _ in range(20)]
        started = asyncio.get_running_loop().time()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(answer) for answer in answers} == {PolicyUnavailable}
        assert asyncio.get_running_loop().time() - started < 20 * DEADLINE


async def test_an_answer_that_came_while_we_were_held_up_ourselves_is_read(
    fake: FakeOpa, policy: Policy
) -> None:
    async def and_hold_everybody_up(writer: asyncio.StreamWriter) -> None:
        writer.write(said(decision()))
        time.sleep(2 * DEADLINE)  # noqa: ASYNC251 - as a process without a processor

    fake.answers["/v1/data/bailiwick/orders/decision"] = and_hold_everybody_up
    assert (await policy.decide("bailiwick/orders", DOCUMENT)).allow

    async def and_say_nothing(_writer: asyncio.StreamWriter) -> None:
        time.sleep(2 * DEADLINE)  # noqa: ASYNC251 - likewise

    fake.answers["/v1/data/bailiwick/orders/decision"] = and_say_nothing
    with pytest.raises(PolicyUnavailable):
        await policy.decide("bailiwick/orders", DOCUMENT)


async def test_a_frozen_engine_is_waited_for_once_and_a_slow_one_each_time(
    fake: FakeOpa, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy_module, "DEADLINE_WHILE_FROZEN", 0.05)
    path, loop = "/v1/data/bailiwick/orders/decision", asyncio.get_running_loop()

    async def late(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        writer.write(said(decision()))

    async with Policy(fake.url, deadline=2) as patient:
        for answer, is_answered in ((late, True), (never, False), (late, False)):
            fake.answers[path] = answer
            if is_answered:
                assert (await patient.decide("bailiwick/orders", DOCUMENT)).allow
            else:
                with pytest.raises(PolicyUnavailable):
                    await patient.decide("bailiwick/orders", DOCUMENT)
        fake.answers[path] = never
        began = loop.time()
        for _ in range(20):
            with pytest.raises(PolicyUnavailable):
                await patient.decide("bailiwick/orders", DOCUMENT)
        assert loop.time() - began < 20 * 2 / 2
        for again in (said(decision()), late):
            fake.answers[path] = again
            assert (await patient.decide("bailiwick/orders", DOCUMENT)).allow
