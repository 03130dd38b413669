"""Samples for consumers: those of now and of the last release, and what a later one would add."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from typing_extensions import override

from bailiwick_contracts.catalogue import SUBSCRIBED
from bailiwick_testkit.checkout import CHECKOUT
from bailiwick_testkit.services import samples
from bailiwick_testkit.services.samples import A_LATER_MEMBER, Listener, Sample, samples_for


@pytest.fixture
def former(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[Path, str]]:
    """What the last release had, as a test says it."""
    known: dict[Path, str] = {}
    samples._samples.cache_clear()
    monkeypatch.setattr(samples, "_all_released", lambda: known)
    yield known
    samples._samples.cache_clear()


def named(consumer: str, name: str) -> Sample:
    return next(one for one in samples_for(consumer) if str(one) == name)


@pytest.mark.parametrize("consumer", sorted(SUBSCRIBED))
def test_consumer_is_given_samples_of_every_event_that_it_hears(consumer: str) -> None:
    heard = {event for events in SUBSCRIBED[consumer].values() for event in events}
    assert {one.event for one in samples_for(consumer)} == heard


def test_a_sample_that_is_as_it_was_is_given_once(former: dict[Path, str]) -> None:
    path = Path("contracts/samples/identity.member.changed.v1/invited.json")
    former[path] = (CHECKOUT / path).read_text("utf-8")
    names = [str(one) for one in samples_for("customers")]
    assert names.count("identity.member.changed.v1/invited") == 1
    assert not [name for name in names if "last release" in name]


def test_a_sample_that_was_changed_or_deleted_since_is_given_as_it_was(
    former: dict[Path, str],
) -> None:
    folder = Path("contracts/samples/identity.member.changed.v1")
    former[folder / "invited.json"] = "{}"
    former[folder / "gone.json"] = "{ }"
    assert named("orders", "identity.member.changed.v1/invited, last release").text == "{}"
    assert named("orders", "identity.member.changed.v1/gone, last release").text == "{ }"
    assert named("orders", "identity.member.changed.v1/invited").text != "{}"


def test_a_later_release_adds_members_to_every_part_that_has_named_ones() -> None:
    org_id = uuid4()
    order = named("reports", "orders.order.placed.v1/typical").document(org_id, later=True)
    assert order["org_id"] == str(org_id)
    assert A_LATER_MEMBER in order
    assert all(A_LATER_MEMBER in line for line in order["lines"])
    customer = named("reports", "customers.customer.changed.v1/typical").document(
        org_id, later=True
    )
    assert A_LATER_MEMBER in customer["terms"]
    assert A_LATER_MEMBER in customer["addresses"][0]


def test_a_later_release_adds_nothing_to_a_map() -> None:
    name = "identity.member.changed.v1/custom-member-with-ticks"
    member = named("reports", name).document(uuid4(), later=True)
    assert A_LATER_MEMBER in member
    assert A_LATER_MEMBER not in member["ticks"]


class _Counting(Listener):
    """Keeps how often it has heard something, as no consumer should."""

    @override
    async def hear(
        self, sample: Sample, *, org_id: UUID, event_id: UUID, later: bool = False
    ) -> None:
        kept: dict[str, Any] = self.tables  # type: ignore[assignment] # no tables here
        kept["heard"] = kept.get("heard", 0) + 1

    @override
    async def state(self, org_id: UUID) -> dict[str, list[tuple[Any, ...]]]:
        return {"heard": [(self.tables["heard"],)]}


async def test_a_consumer_that_counts_an_event_twice_is_found() -> None:
    nothing: Any = None
    listener = _Counting("things", nothing, (), {})
    sample = replace(named("orders", "identity.member.changed.v1/invited"), name="twice")
    with pytest.raises(AssertionError, match=r"changed\.v1/twice twice is not"):
        await listener.heard(sample)
