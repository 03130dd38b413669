"""The commands that let another system read an organization's events from the broker (D15).

    python -m bailiwick_notifier subscribers add --org ORG --name erp

A subscriber is a queue `subscriber.<org>.<name>`, bound by us to the chosen types of that one organization,
and a user of the broker of the same name that may read this queue alone. See docs/how-to/subscribe.md.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, TypeVar
from urllib.parse import quote, urlsplit
from uuid import UUID

import typer

from bailiwick_contracts.catalogue import EVENTS, SNAPSHOTS, SUBSCRIBER
from bailiwick_contracts.envelope import EXCHANGE
from bailiwick_kit.bus.broker_management import Management, ManagementError
from bailiwick_notifier.settings import Settings
from bailiwick_notifier.subscribers import (
    KEPT_DAYS,
    KEPT_MESSAGES,
    KEPT_MIB,
    NoReaderError,
    Reader,
    Readers,
)

OFFERED = tuple(sorted(EVENTS.keys() - SNAPSHOTS))
"""What may be subscribed to. Snapshots go to one consumer that rebuilds (D19), never round."""
USUAL = tuple(one for one in OFFERED if one.startswith("orders.order."))
"""What a new subscriber gets where nothing is chosen."""

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
ResultT = TypeVar("ResultT")


def _named(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise typer.BadParameter("use 1 to 40 small letters, digits and inner hyphens")
    return name


def _offered(types: list[str] | None) -> list[str]:
    chosen = types or []
    if unknown := sorted(set(chosen) - set(OFFERED)):
        raise typer.BadParameter(f"no such type: {', '.join(unknown)}. Types: {', '.join(OFFERED)}")
    return chosen


Org = Annotated[UUID, typer.Option(help="The organization whose events are read.")]
Name = Annotated[str, typer.Option(help="The other system's name: erp.", callback=_named)]
Types = Annotated[
    list[str] | None,
    typer.Option(
        "--event",
        metavar="TYPE",
        callback=_offered,
        help="May be repeated. Left out: all of orders for a new subscriber; else what it had.",
    ),
]


def subscriber_commands(load: Callable[[], Settings]) -> typer.Typer:
    """Return the commands; settings are asked for when needed."""
    program = typer.Typer(
        no_args_is_help=True,
        help="Other systems that read events: add, list, rotate, remove, repair.",
    )

    @program.command()
    def add(org: Org, name: Name, event: Types = None) -> None:
        """Let another system in, or change what it gets; its password is shown this once."""
        settings, queue = load(), _queue(org, name)
        password, types = _done(settings, lambda readers: _put(readers, queue, org, event or []))
        typer.echo(f"queue     {queue}")
        typer.echo(f"events    {', '.join(types)}")
        typer.echo(f"kept      {KEPT_DAYS} days, {KEPT_MESSAGES:,} events, {KEPT_MIB} MiB at most")
        if password is None:
            typer.echo("password  unchanged; `rotate` makes another")
        else:
            _tell_password(settings, queue, password)

    @program.command("list")
    def list_(org: Org) -> None:
        """List an organization's subscribers: name, events waiting, readers connected, types."""
        for reader in _done(load(), lambda readers: readers.all(_queue(org, ""))):
            typer.echo(_line(reader, org))

    @program.command()
    def rotate(org: Org, name: Name) -> None:
        """Make another password, and end what is connected with the old one."""
        settings, queue = load(), _queue(org, name)
        password = _done(settings, lambda readers: readers.renew(queue))
        _tell_password(settings, queue, password)

    @program.command()
    def remove(org: Org, name: Name) -> None:
        """Shut another system out at once, and delete its queue with what it has not read."""
        queue = _queue(org, name)
        _done(load(), lambda readers: readers.remove(queue))
        typer.echo(f"{queue} removed")

    @program.command()
    def repair() -> None:
        """Bind every subscriber's queue as this version does: once after an upgrade."""
        names = _done(load(), lambda readers: readers.bind_anew(f"{SUBSCRIBER}."))
        for name in names:
            typer.echo(f"{name} bound to all that it is to get")
        typer.echo(f"{len(names)} repaired")

    return program


def _queue(org: UUID, name: str) -> str:
    return f"{SUBSCRIBER}.{org}.{name}"


async def _put(
    readers: Readers, queue: str, org: UUID, chosen: Sequence[str]
) -> tuple[str | None, list[str]]:
    """Make or change a subscriber; return its password, if new, and its types."""
    keys = {f"{one}.{org}" for one in chosen} or await readers.keys(queue)
    keys = keys or {f"{one}.{org}" for one in USUAL}
    return await readers.put(queue, keys), _types(keys, org)


def _types(keys: set[str] | frozenset[str], org: UUID) -> list[str]:
    return sorted(key.removesuffix(f".{org}") for key in keys)


def _line(reader: Reader, org: UUID) -> str:
    name = reader.name.removeprefix(_queue(org, ""))
    types = " ".join(_types(reader.keys, org))
    return f"{name}  {reader.messages} waiting  {reader.consumers} connected  {types}"


def _tell_password(settings: Settings, queue: str, password: str) -> None:
    """Show the address whole: the host is the one by which we know the broker ourselves."""
    parts = urlsplit(settings.broker_url.get_secret_value())
    host = parts.netloc.rpartition("@")[2]
    address = parts._replace(netloc=f"{quote(queue, safe='')}:{password}@{host}").geturl()
    typer.echo(f"user      {queue}")
    typer.echo(f"password  {password}")
    typer.echo(f"address   {address}")


def _done(settings: Settings, work: Callable[[Readers], Awaitable[ResultT]]) -> ResultT:
    """Do something with the broker's readers, or say why not and exit."""
    broker_url = settings.broker_url.get_secret_value()
    if settings.broker_management_url is None or not broker_url:
        typer.echo(
            "Set BAILIWICK_BROKER_URL, and BAILIWICK_BROKER_MANAGEMENT_URL: http(s)://user:password@host:port"
            " of the broker's management API, with a user who is tagged administrator.",
            err=True,
        )
        raise typer.Exit(2)
    url = settings.broker_management_url.get_secret_value()

    async def worked() -> ResultT:
        async with Management(url, broker_url) as management:
            return await work(Readers(management, EXCHANGE))

    with _telling():
        return asyncio.run(worked())


@contextmanager
def _telling() -> Iterator[None]:
    try:
        yield
    except NoReaderError as error:
        typer.echo(f"There is no {error}.", err=True)
        raise typer.Exit(1) from None
    except ManagementError as error:
        typer.echo(f"The broker's management API refused: {error}", err=True)
        raise typer.Exit(1) from None
