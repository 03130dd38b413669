"""Every metric there is: declared here with its help, unit and labels, and counted where it happens.

`kit.process.operations` shows them at `/metrics`, to whoever runs the service and to nobody else. A label
holds what code names, and never what a client sent or a tenant owns: no organization, member, customer, path
or address (S2). What a process has nothing to say about is absent, not 0: an alarm can tell one from the
other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
"""What `exposition` returns."""
Value: TypeAlias = float | Callable[[], float]
"""What is read: a figure, or what gives it when somebody asks. The latter is called in another thread."""


@dataclass(frozen=True)
class Declared:
    """A metric, as the documentation lists it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str


DECLARED: Final[dict[str, Declared]] = {}
"""All of our own metrics by name; those of process and platform are prometheus-client's."""

REGISTRY: Final = CollectorRegistry()
"""This process's metrics, and no other library's."""


class Reading:
    """A gauge with a series only where something is known; without labels, at most one."""

    def __init__(self, name: str, help_: str, labels: tuple[str, ...]) -> None:
        self._family = (name, help_, labels)
        self._values: dict[tuple[str, ...], Value] = {}

    def set(self, value: Value, *labels: str) -> None:
        """Say what it is now, or how to find out."""
        self._values[labels] = value

    def since(self, moment: float, *labels: str) -> None:
        """Be the seconds that have passed since a moment of `time.monotonic`, whenever it is asked."""
        self.set(lambda: max(time.monotonic() - moment, 0.0), *labels)

    def only(self, value: Value, *labels: str) -> None:
        """Say this, and nothing else any more."""
        self._values = {labels: value}

    def forget(self, *labels: str) -> None:
        """Say nothing of these labels any more."""
        self._values.pop(labels, None)

    def clear(self) -> None:
        """Say nothing any more."""
        self._values = {}

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Name it to the registry."""
        name, help_, labels = self._family
        yield GaugeMetricFamily(name, help_, labels=labels)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Show it."""
        for family in self.describe():
            # One copy first, in one step: this may be another thread than the one that sets.
            for labels, value in list(self._values.items()):
                family.add_metric(labels, value() if callable(value) else value)
            yield family


def _declared(name: str, kind: str, labels: tuple[str, ...], help_: str) -> None:
    DECLARED[name] = Declared(name, kind, labels, help_)


def _counter(name: str, help_: str, *labels: str) -> Counter:
    _declared(name, "counter", labels, help_)
    return Counter(name, help_, labels, registry=REGISTRY)


def _gauge(name: str, help_: str) -> Gauge:
    _declared(name, "gauge", (), help_)
    return Gauge(name, help_, registry=REGISTRY)


def _histogram(name: str, help_: str, *labels: str, buckets: tuple[float, ...]) -> Histogram:
    _declared(name, "histogram", labels, help_)
    return Histogram(name, help_, labels, registry=REGISTRY, buckets=buckets)


def _reading(name: str, help_: str, *labels: str) -> Reading:
    _declared(name, "gauge", labels, help_)
    reading = Reading(name, help_, labels)
    REGISTRY.register(reading)
    return reading


disable_created_metrics()  # type: ignore[no-untyped-call] # a second series beside each
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

_REQUEST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60)
_POLICY = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)
_EVENT = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 1800)
_MAIL = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

BUILD_INFO: Final = _reading(
    "bailiwick_build_info",
    "Always 1; the labels say which service runs, as what (api, worker or serve), in which version.",
    *("service", "process", "version"),
)
REQUESTS: Final = _histogram(
    "bailiwick_requests_seconds",
    "Seconds from a request's arrival to the end of its answer, by method, route template and status; "
    "499: the client disconnected before any answer.",
    *("method", "route", "status"),
    buckets=_REQUEST,
)
REQUESTS_IN_FLIGHT: Final = _gauge(
    "bailiwick_requests_in_flight",
    "Requests that have arrived and are not fully answered.",
)

OUTBOX_UNSENT: Final = _reading(
    "bailiwick_outbox_unsent",
    "Events in the outbox that are still to be sent, by lane, live or bulk; counted up to 100,000. Absent if "
    "there is no outbox or the database does not answer.",
    "lane",
)
OUTBOX_OLDEST: Final = _reading(
    "bailiwick_outbox_oldest_seconds",
    "Seconds since the oldest event that is still to be sent was recorded, 0 if there is none; absent like "
    "the former.",
    "lane",
)
OUTBOX_UNDELIVERABLE: Final = _reading(
    "bailiwick_outbox_undeliverable",
    "Events still to be sent, of those counted, for which the broker had no queue; they are tried again, "
    "without delaying others.",
)
OUTBOX_PARKED: Final = _reading(
    "bailiwick_outbox_parked",
    "Events for which the broker has had no queue for minutes: they are not tried any more, and wait for an "
    "operator; counted up to 100,000, absent like the former.",
)
RELAY: Final = _histogram(
    "bailiwick_relay_seconds",
    "Seconds from an event's recording to the broker's confirmation, by lane: live, what people do now, or "
    "bulk.",
    "lane",
    buckets=_EVENT,
)
RELAY_ACTIVE: Final = _reading(
    "bailiwick_relay_active",
    "1 if this process sends a lane of the outbox to a broker that answers, 0 if it stands by or is cut off.",
    "lane",
)

FAN_OUTS_WAITING: Final = _reading(
    "bailiwick_fan_outs_waiting",
    "Assignments whose orders' visibility is still being written in pieces, of large acts; counted up to "
    "100,000. Absent if the database does not answer.",
)
FAN_OUTS_OLDEST: Final = _reading(
    "bailiwick_fan_outs_oldest_seconds",
    "Seconds since the oldest of them was told of, 0 if there is none; absent like the former.",
)

CONSUMER_LAG: Final = _histogram(
    "bailiwick_consumer_lag_seconds",
    "Seconds from an event's recording at its source to the commit of its effect in this service, by queue.",
    "queue",
    buckets=_EVENT,
)
IN_HAND: Final = _reading(
    "bailiwick_consumer_in_hand_seconds",
    "Seconds that a queue's consumer has been processing its present message, 0 if it has none.",
    "queue",
)
EVENTS: Final = _counter(
    "bailiwick_events_total",
    "Deliveries of events by queue and outcome: applied, repeated (it had taken effect before), retried, "
    "dead_lettered.",
    *("queue", "outcome"),
)
QUEUE_MESSAGES: Final = _reading(
    "bailiwick_queue_messages",
    "Messages in a queue that no consumer has taken yet; absent if the broker does not answer. A consumer "
    "holds up to 500 more.",
    "queue",
)
QUEUE_CONSUMERS: Final = _reading(
    "bailiwick_queue_consumers",
    "Consumers of a queue, active or standing by; absent like the former.",
    "queue",
)
DEAD_LETTERS: Final = _reading(
    "bailiwick_dead_letters",
    "Dead letters that wait for an operator, by the queue that they came from; absent like the former.",
    "queue",
)
REPLICA_AGE: Final = _reading(
    "bailiwick_replica_age_seconds",
    "Seconds since the replica was last known to be complete: since this process began a check at the "
    "source's change feed after which all organizations' changes were applied. Before the first such check: "
    "since the process began checking.",
    "source",
)

POLICY: Final = _histogram(
    "bailiwick_policy_seconds",
    "Seconds that a question to the policy engine took, whatever its outcome, by kind: decision, filter, "
    "revision.",
    "kind",
    buckets=_POLICY,
)
DECISIONS: Final = _counter(
    "bailiwick_policy_decisions_total",
    "Questions to policy by package and outcome: allowed, denied, unavailable. A list counts as denied only "
    "if the caller may not ask for it at all.",
    *("package", "outcome"),
)
POLICY_REVISION: Final = _reading(
    "bailiwick_policy_revision_info",
    "Always 1; the label is the bundle's revision at the last readiness check. Absent if there was no "
    "answer, or a revision that this service does not expect.",
    "revision",
)

DATABASE_IN_USE: Final = _reading(
    "bailiwick_database_connections_in_use",
    "Connections to PostgreSQL that are in use, by pool.",
    "pool",
)
DATABASE_MOST: Final = _reading(
    "bailiwick_database_connections_most",
    "The most connections to PostgreSQL that a pool may have.",
    "pool",
)
DATABASE_AWAITED: Final = _reading(
    "bailiwick_database_connections_awaited",
    "Requests and jobs that wait for a connection to PostgreSQL, by pool.",
    "pool",
)

MAIL: Final = _counter(
    "bailiwick_mail_total",
    "Attempts to send a mail, by outcome: sent, refused (for good), put_off, may_have_arrived (all was "
    "sent and no answer came), not_made (it could not be built, so that no mail server saw it). given_up "
    "is counted besides one of the last three, if it is not tried again.",
    "outcome",
)
MAIL_SECONDS: Final = _histogram(
    "bailiwick_mail_seconds",
    "Seconds that an attempt to send a mail took, whatever its outcome but not_made.",
    buckets=_MAIL,
)
NOTICES_WAITING: Final = _reading(
    "bailiwick_notices_waiting",
    "New orders whose recipients are not fixed yet; absent if the database does not answer.",
)
NOTICES_IN_VAIN: Final = _counter(
    "bailiwick_notices_in_vain_total",
    "New orders of which nobody could be told: every mail was suppressed or failed, the managers' too.",
)
MAILS_WAITING: Final = _reading(
    "bailiwick_mails_waiting",
    "Mails that are due and that no worker has begun to send; absent like the former.",
)


def exposition() -> bytes:
    """Return all metrics in Prometheus's text format. It takes milliseconds: not for the event loop."""
    return generate_latest(REGISTRY)


def seconds_since(moment: datetime) -> float:
    """Return the seconds since an instant that another clock may have told: never less than none."""
    return max(time.time() - moment.timestamp(), 0.0)
