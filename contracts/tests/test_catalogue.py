"""Names: types, routing keys, queues, and who publishes and hears what."""

from __future__ import annotations

import re
from uuid import UUID

import pytest

from bailiwick_contracts.catalogue import (
    BOUND,
    EVENTS,
    PUBLISHED,
    RESERVED,
    SUBSCRIBED,
    queue_name,
)
from bailiwick_contracts.envelope import EXCHANGE, Event, Sequenced
from bailiwick_contracts.identity import MemberChanged, OrganizationChanged
from bailiwick_contracts.orders import OrderSnapshot

ORG = UUID("01930000-0000-7000-8000-000000000001")
SHAPE = re.compile(
    r"(?P<service>[a-z]+)\.(?P<noun>[a-z]+)\.(?P<happened>[a-z]+)\.v(?P<major>[1-9])"
)


def _all_events(kind: type[Event] = Event) -> set[type[Event]]:
    return {kind, *(sub for child in kind.__subclasses__() for sub in _all_events(child))}


def _is_ours(kind: type[Event]) -> bool:
    """Leave out what other tests of the same run have made up."""
    return kind.__module__.startswith("bailiwick_contracts.")


def test_every_event_class_is_in_the_catalogue_once() -> None:
    typed = {kind for kind in _all_events() if _is_ours(kind) and "type" in vars(kind)}
    listed = [kind for events in PUBLISHED.values() for kind in events]
    assert set(listed) == typed, "name it in PUBLISHED"
    assert len(listed) == len(EVENTS), "two events have one type"


@pytest.mark.parametrize("event_type", [*EVENTS, *RESERVED])
def test_type_says_service_noun_past_verb_and_version(event_type: str) -> None:
    assert SHAPE.fullmatch(event_type), "<service>.<noun>.<past verb>.v<major> (D15)"


@pytest.mark.parametrize("service", sorted(PUBLISHED))
def test_types_begin_with_the_service_that_publishes_them(service: str) -> None:
    assert {kind.type.partition(".")[0] for kind in PUBLISHED[service]} <= {service}


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_routing_key_is_type_and_organization_and_fits_its_binding(event_type: str) -> None:
    kind = EVENTS[event_type]
    event = kind.model_construct(org_id=ORG, version=1)
    assert event.routing_key == f"{event_type}.{ORG}"
    assert kind.binding_key() == f"{event_type}.*"
    pattern = re.escape(kind.binding_key()).replace(r"\*", r"[^.]+")
    fitting = [other for other in EVENTS if re.fullmatch(pattern, f"{other}.{ORG}")]
    assert fitting == [event_type]


def test_consumers_hear_only_what_its_publisher_publishes() -> None:
    for consumer, publishers in SUBSCRIBED.items():
        for publisher, events in publishers.items():
            assert publisher != consumer
            assert set(events) <= set(PUBLISHED[publisher]), f"{consumer} hears too much"


def test_nothing_flows_back() -> None:
    order = list(PUBLISHED)
    for consumer, publishers in SUBSCRIBED.items():
        for publisher in publishers:
            assert order.index(publisher) < order.index(consumer), (
                f"{consumer} would hear {publisher}, which hears {consumer}: events have one direction"
            )


def test_each_pair_of_consumer_and_publisher_has_one_queue() -> None:
    pairs = [(consumer, one) for consumer, publishers in SUBSCRIBED.items() for one in publishers]
    names = [queue_name(*pair) for pair in pairs]
    assert len(set(names)) == len(names)
    assert queue_name("orders", "customers") == "orders.customers"
    assert EXCHANGE not in names


def test_every_service_that_has_callers_hears_who_they_are() -> None:
    for service in PUBLISHED.keys() - {"identity"}:
        assert set(SUBSCRIBED[service]["identity"]) >= {OrganizationChanged, MemberChanged}


def test_bound_are_exactly_the_types_that_somebody_hears() -> None:
    assert {
        kind.type
        for publishers in SUBSCRIBED.values()
        for events in publishers.values()
        for kind in events
    } == BOUND


def test_authorities_number_their_changes_and_others_do_not() -> None:
    for service, events in PUBLISHED.items():
        is_authority = service in {"identity", "customers"}
        assert all(issubclass(kind, Sequenced) is is_authority for kind in events), (
            "D1: two authorities"
        )


def test_a_snapshot_has_nothing_of_its_own() -> None:
    for kind in PUBLISHED["orders"]:
        assert OrderSnapshot.model_fields.keys() <= kind.model_fields.keys()
