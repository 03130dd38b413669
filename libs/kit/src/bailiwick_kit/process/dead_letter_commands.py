"""The commands about dead letters of a service's program: list, show, replay, drop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from bailiwick_kit.bus.dead_letters import DeadLetter, DeadLetters


def dead_letter_commands(queues: Sequence[str], broker_url: Callable[[], str]) -> typer.Typer:
    """Return the commands for all queues of a service; the broker's address is asked for when needed."""
    program = typer.Typer(
        no_args_is_help=True, help="What could not be handled: list, show, replay, drop."
    )

    @program.command("list")
    def list_() -> None:
        """List the dead letters of all queues."""
        for queue, letter in _all(queues, broker_url()):
            typer.echo(_line(queue, letter))

    @program.command()
    def show(event_id: str) -> None:
        """Show one dead letter whole."""
        for queue, letter in _all(queues, broker_url()):
            if letter.event_id == event_id:
                typer.echo(_line(queue, letter))
                typer.echo(letter.body.decode("utf-8", "replace"))
                return
        raise _missing()

    @program.command()
    def replay(event_id: Annotated[str | None, typer.Argument()] = None) -> None:
        """Put one dead letter, or all of them, back into their queues."""
        url = broker_url()
        count = sum(asyncio.run(DeadLetters(url, queue).replay(event_id)) for queue in queues)
        _say(count, "replayed", enough=0 if event_id is None else 1)

    @program.command()
    def drop(event_id: str) -> None:
        """Delete one dead letter for good."""
        url = broker_url()
        count = sum(asyncio.run(DeadLetters(url, queue).drop(event_id)) for queue in queues)
        _say(count, "dropped")

    return program


def _all(queues: Sequence[str], url: str) -> list[tuple[str, DeadLetter]]:
    return [(queue, one) for queue in queues for one in asyncio.run(DeadLetters(url, queue).list())]


def _line(queue: str, letter: DeadLetter) -> str:
    return "  ".join((queue, letter.event_id, letter.type, letter.subject or "-", letter.reason))


def _say(count: int, what: str, *, enough: int = 1) -> None:
    if count < enough:
        raise _missing()
    typer.echo(f"{count} {what}")


def _missing() -> typer.Exit:
    typer.echo("No such dead letter.", err=True)
    return typer.Exit(1)
