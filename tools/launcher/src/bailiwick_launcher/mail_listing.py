"""What `./bailiwick mail` prints."""

from __future__ import annotations

import os
from pathlib import Path

from bailiwick_launcher.console import report, table
from bailiwick_launcher.processes import StackError
from bailiwick_launcher.servers.mailbox import VARIABLE
from bailiwick_mailbox import Kept, Mailbox

_NONE = (
    "No mail yet. A new order brings one to its customer's rep, unless the rep placed it; "
    "play some with: ./bailiwick demo"
)
_ELSEWHERE = f"No mail is kept here: it goes to the server that {VARIABLE} names."


def list_messages(mailbox: Mailbox, last: int) -> None:
    """Print the latest messages, the latest of all at the end."""
    messages = mailbox.messages()
    if not messages:
        report(_ELSEWHERE if os.environ.get(VARIABLE) else _NONE)
        return
    shown = messages[-last:]
    rows = [
        [str(kept.number), _time(kept), ", ".join(kept.recipients), kept.subject] for kept in shown
    ]
    table(["number", "arrived", "to", "subject"], [[*map(_plain, row)] for row in rows])
    if earlier := len(messages) - len(shown):
        report(f"\n{earlier} earlier; all: ./bailiwick mail --last {len(messages)}")
    report("\nread one: ./bailiwick mail NUMBER")


def show(mailbox: Mailbox, number: int) -> None:
    """Print one message as text.

    Raises:
        StackError: there is none of that number.
    """
    kept = _of_number(mailbox, number)
    heads = [("to", ", ".join(kept.recipients)), ("arrived", _time(kept))]
    heads += [(name.lower(), str(kept.message.get(name, ""))) for name in ("From", "Subject")]
    for name, value in heads:
        report(f"{name:<9}{_plain(value)}")
    report("")
    for line in kept.text.rstrip("\n").split("\n"):
        report(_plain(line))


def write_html(mailbox: Mailbox, number: int, path: Path) -> None:
    """Write one message's HTML to a file.

    Raises:
        StackError: there is no such message, or the file cannot be written.
    """
    kept = _of_number(mailbox, number)
    try:
        path.write_text(kept.html, encoding="utf-8")
    except OSError as error:
        raise StackError(f"{path} cannot be written: {error.strerror}") from None
    report(f"written to {path}")


def _of_number(mailbox: Mailbox, number: int) -> Kept:
    if kept := mailbox.message(number):
        return kept
    here = [message.number for message in mailbox.messages()]
    known = f"Messages: {here[0]} to {here[-1]}." if here else _NONE
    raise StackError(f"There is no message {number}. {known}")


def _time(kept: Kept) -> str:
    return f"{kept.arrived.astimezone():%Y-%m-%d %H:%M:%S}"


def _plain(text: str) -> str:
    """Leave out what a terminal would obey; no-break spaces, which count as such, become plain ones."""
    spaced = (" " if character.isspace() else character for character in text)
    return "".join(character for character in spaced if character.isprintable())
