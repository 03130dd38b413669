"""Who is told of an order, decided on facts alone."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick_notifier.domain.delivery import delivery_id, digest_id
from bailiwick_notifier.domain.notice import Notice

ANA, BRUNO, CLEO, MIA = (UUID(int=number) for number in range(1, 5))
PEOPLE = st.sampled_from([ANA, BRUNO, CLEO, MIA])


def a_notice(
    main: UUID | None,
    *additional: UUID,
    placed_by: UUID | None = None,
    told: Collection[UUID] = (),
) -> Notice:
    return Notice(
        org_id=UUID(int=9),
        event_id=UUID(int=10),
        customer_id=UUID(int=11),
        placed_by=placed_by,
        main_id=main,
        additional_ids=additional,
        assignment_seq=1,
        taken_at=datetime(2026, 1, 1, tzinfo=UTC),
        told=frozenset(told),
    )


@pytest.mark.parametrize(
    ("notice", "notify_additional", "told"),
    [
        (a_notice(ANA), False, (ANA,)),
        (a_notice(ANA, placed_by=ANA), False, ()),
        (a_notice(ANA, BRUNO), False, (ANA,)),
        (a_notice(ANA, BRUNO), True, (ANA, BRUNO)),
        (a_notice(ANA, BRUNO, placed_by=ANA), True, (BRUNO,)),
        (a_notice(None), False, (MIA,)),
        (a_notice(None, placed_by=MIA), False, ()),
        (a_notice(CLEO), False, (MIA,)),  # Cleo does not count
        (a_notice(CLEO, MIA, BRUNO), True, (MIA, BRUNO)),
        (a_notice(ANA, CLEO), True, (ANA,)),
        (a_notice(BRUNO, told=[ANA]), False, (BRUNO,)),
        (a_notice(ANA, told=[ANA]), False, (MIA,)),  # told in vain
        (a_notice(ANA, BRUNO, told=[ANA]), True, (MIA, BRUNO)),
        (a_notice(BRUNO, placed_by=BRUNO, told=[ANA]), False, ()),  # who represents it knows
        (a_notice(None, told=[MIA]), False, ()),
    ],
)
def test_who_is_told(notice: Notice, notify_additional: bool, told: tuple[UUID, ...]) -> None:
    found = notice.recipients(
        counting={ANA, BRUNO, MIA}, notify_additional=notify_additional, managers=[MIA]
    )
    assert found == told


@given(
    st.none() | PEOPLE,
    st.lists(PEOPLE),
    st.none() | PEOPLE,
    st.sets(PEOPLE),
    st.lists(PEOPLE),
    st.booleans(),
    st.sets(PEOPLE),
)
def test_nobody_is_told_twice_or_of_their_own_order_or_when_not_active(
    main: UUID | None,
    additional: list[UUID],
    placed_by: UUID | None,
    active: set[UUID],
    managers: list[UUID],
    notify_additional: bool,
    before: set[UUID],
) -> None:
    notice = a_notice(main, *additional, placed_by=placed_by, told=before)
    told = notice.recipients(
        counting=active,
        notify_additional=notify_additional,
        managers=[one for one in managers if one in active],
    )
    assert len(told) == len(set(told))
    assert placed_by not in told
    assert set(told) <= active - before


def test_ids_are_the_same_for_the_same_and_differ_otherwise() -> None:
    assert delivery_id(ANA, MIA) == delivery_id(ANA, MIA)
    days = [
        digest_id(ANA, "2026-01-01"),
        digest_id(ANA, "2026-01-02"),
        digest_id(MIA, "2026-01-01"),
    ]
    assert len({delivery_id(ANA, MIA), delivery_id(ANA, BRUNO), delivery_id(MIA, ANA), *days}) == 6
