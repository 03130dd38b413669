"""The commands about events of a service that could not be sent: list, show, replay, drop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar
from uuid import UUID

import asyncpg
import typer

from bailiwick_kit.bus.undelivered import Chosen, Undelivered, UndeliveredEvents

ResultT = TypeVar("ResultT")
EventId = Annotated[UUID | None, typer.Argument(help="One event; left out, all that are chosen.")]
To = Annotated[str | None, typer.Option("--to", help="Only those that are for this one queue.")]


def outbox_commands(database_url: Callable[[], str]) -> typer.Typer:
    """Return the commands; the database's address, as the worker, is asked for when needed."""
    program = typer.Typer(
        no_args_is_help=True, help="Events that could not be sent: list, show, replay, drop."
    )

    def events() -> UndeliveredEvents:
        return UndeliveredEvents(database_url())

    @program.command("list")
    def list_(to: To = None) -> None:
        """List the oldest of them: parked ones, and those that are still tried."""
        found, count = _done(events().list(Chosen(recipient=to)))
        for event in found:
            typer.echo(_line(event))
        if count > len(found):
            typer.echo(f"{count - len(found)} more, not listed", err=True)

    @program.command()
    def show(event_id: UUID) -> None:
        """Show one of them whole."""
        found, _ = _done(events().list(Chosen(event_id)))
        if not found:
            raise _missing()
        typer.echo(_line(found[0]))
        typer.echo(found[0].body.decode("utf-8", "replace"))

    @program.command()
    def replay(event_id: EventId = None, to: To = None) -> None:
        """Have one, those to a queue, or all of them sent as if they had never been tried."""
        _say(_done(events().replay(Chosen(event_id, to))), "replayed", is_one=event_id is not None)

    @program.command()
    def drop(event_id: EventId = None, to: To = None) -> None:
        """Delete one of them, or all that are for one queue, for good."""
        if event_id is None and to is None:
            raise typer.BadParameter("name an event, or a queue with --to")
        _say(_done(events().drop(Chosen(event_id, to))), "dropped", is_one=event_id is not None)

    return program


def _done(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Do it, or say why not and exit."""
    try:
        return asyncio.run(work)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        typer.echo(f"The database does not answer: {type(error).__name__}.", err=True)
        raise typer.Exit(1) from None


def _line(event: Undelivered) -> str:
    return "  ".join(
        (
            str(event.event_id),
            event.type,
            str(event.subject),
            event.recipient or "-",
            "parked" if event.is_parked else "tried",
            f"{event.attempts}x {event.error}",
        )
    )


def _say(count: int, what: str, *, is_one: bool) -> None:
    if is_one and not count:
        raise _missing()
    typer.echo(f"{count} {what}")


def _missing() -> typer.Exit:
    typer.echo("No such event: it was sent, or has not failed.", err=True)
    return typer.Exit(1)
