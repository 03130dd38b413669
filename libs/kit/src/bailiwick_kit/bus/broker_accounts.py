"""The broker's accounts: what each service may do there, from who publishes and consumes what (D16).

A service reads its own queues and publishes its own events; it declares, binds and deletes nothing and may
not ask the management API. `migrate` has an account of its own, which declares the topology. AMQP cannot make
accounts: whoever runs the broker makes them from `definitions`, in RabbitMQ's own format.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bailiwick_contracts.catalogue import PUBLISHED, SUBSCRIBED, queue_name
from bailiwick_contracts.envelope import EXCHANGE, bulk
from bailiwick_kit.bus.topology import direct_exchange

MIGRATIONS = "migrations"
"""The account of every service's `migrate`."""
OPERATOR = "bailiwick"
"""The broker's first account, its administrator: for people, and for the command `subscribers`."""
SERVICES = tuple(PUBLISHED)
"""The services, each of which has an account of its name."""

_NOTHING, _EVERYTHING = "^$", ".*"
_DEFAULT = "amq.default"
"""What permissions call the exchange that leads to every queue by its name. Only who declares queues needs
it: they name it as the way of what is too old, or was delivered too often, to another queue."""
EVENTS = (EXCHANGE, bulk(EXCHANGE))
"""The topic exchanges of events: those at which an account's `topic` counts."""


@dataclass(frozen=True)
class Account:
    """An account's permissions, as regular expressions over the names of queues and exchanges."""

    name: str
    configure: str
    write: str
    read: str
    topic: str = ""
    """What routing keys it may publish to the topic exchanges; empty: whatever `write` lets it."""
    tags: tuple[str, ...] = field(default=())


def accounts() -> tuple[Account, ...]:
    """Return every account but those of subscribers, which are made one by one."""
    return (*(_of_service(service) for service in SERVICES), _of_migrations(), _of_operator())


def _of_service(service: str) -> Account:
    written = [direct_exchange(service)]
    if PUBLISHED[service]:
        written += EVENTS
    return Account(
        service,
        configure=_NOTHING,
        write=_one_of([re.escape(one) for one in written]),
        read=_one_of([_queues(service, publisher) for publisher in SUBSCRIBED.get(service, {})]),
        topic=rf"^{re.escape(service)}\." if PUBLISHED[service] else _NOTHING,
    )


def _of_migrations() -> Account:
    queues = [_queues(to, of) for to, publishers in SUBSCRIBED.items() for of in publishers]
    exchanges = [re.escape(one) for one in (*EVENTS, *map(direct_exchange, SERVICES))]
    # Binding reads the exchange and writes the queue; a queue's way on to another needs both of it, too.
    return Account(
        MIGRATIONS,
        configure=_one_of([*exchanges, *queues]),
        write=_one_of([re.escape(_DEFAULT), *queues]),
        read=_one_of([*exchanges, *queues]),
    )


def _of_operator() -> Account:
    return Account(OPERATOR, _EVERYTHING, _EVERYTHING, _EVERYTHING, tags=("administrator",))


def _queues(consumer: str, publisher: str) -> str:
    """Return the pattern of a consumer's queue and of those beside it: `.retry`, `.dead` and others."""
    return rf"{re.escape(queue_name(consumer, publisher))}(\.[a-z]+)*"


def _one_of(patterns: list[str]) -> str:
    return f"^({'|'.join(patterns)})$" if patterns else _NOTHING


def definitions(hashes: Mapping[str, str], virtual_host: str = "/") -> dict[str, Any]:
    """Return what RabbitMQ imports to have these accounts: `rabbitmqctl import_definitions`, or at its start.

    `hashes` has the password of each account that is wanted as `password_hash` gives it. Importing it again
    changes nothing, and what else there is stays.
    """
    every = [one for one in accounts() if one.name in hashes]
    return {
        "vhosts": [{"name": virtual_host}],
        "users": [
            {
                "name": one.name,
                "password_hash": hashes[one.name],
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": list(one.tags),
            }
            for one in every
        ],
        "permissions": [
            {
                "user": one.name,
                "vhost": virtual_host,
                "configure": one.configure,
                "write": one.write,
                "read": one.read,
            }
            for one in every
        ],
        "topic_permissions": [
            {
                "user": one.name,
                "vhost": virtual_host,
                "exchange": exchange,
                "write": one.topic,
                "read": _NOTHING,
            }
            for one in every
            if one.topic
            for exchange in EVENTS
        ],
    }


def password_hash(password: str) -> str:
    """Return a password as RabbitMQ keeps it: four bytes of salt, and SHA-256 over them and the password.

    The salt is the password's own, so that who makes the accounts again makes the same ones. Salts keep
    equal passwords from being seen; those of accounts are long and random, and no two are equal.
    """
    salt = hashlib.sha256(f"salt {password}".encode()).digest()[:4]
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
