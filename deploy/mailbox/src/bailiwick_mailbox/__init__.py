"""The mail that the stack has sent: one file a message, in the order of arrival."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from functools import cached_property
from pathlib import Path
from typing import Any, cast


@dataclass(frozen=True)
class Kept:
    """One message. `recipients` are those that it was handed over for, whatever its headers say."""

    number: int
    arrived: datetime
    raw: bytes

    @cached_property
    def message(self) -> EmailMessage:
        """The message, parsed."""
        return email.message_from_bytes(self.raw, policy=email.policy.default)

    @property
    def recipients(self) -> list[str]:
        """The addresses that it was handed over for."""
        return [str(address) for address in self.message.get_all("Delivered-To", [])]

    @property
    def subject(self) -> str:
        """Its subject, decoded."""
        return str(self.message.get("Subject", ""))

    @property
    def text(self) -> str:
        """Its plain text, empty where it has none."""
        return self._part("plain")

    @property
    def html(self) -> str:
        """Its HTML, empty where it has none."""
        return self._part("html")

    def _part(self, kind: str) -> str:
        part = cast("Any", self.message.get_body((kind,)))
        return str(part.get_content()).replace("\r\n", "\n") if part else ""


@dataclass(frozen=True)
class Mailbox:
    """A folder of messages; whoever writes to it is another process."""

    folder: Path

    def messages(self) -> list[Kept]:
        """Return all messages, the oldest first."""
        return list(self._read(sorted(self.folder.glob("[0-9]*.eml"))))

    def message(self, number: int) -> Kept | None:
        """Return the message of that number, if it is here."""
        return next(self._read([self.folder / file_name(number)]), None)

    def to(self, address: str) -> list[Kept]:
        """Return the messages to an address, the oldest first."""
        wanted = address.lower()
        return [
            kept
            for kept in self.messages()
            if wanted in (recipient.lower() for recipient in kept.recipients)
        ]

    @staticmethod
    def _read(paths: list[Path]) -> Iterator[Kept]:
        for path in paths:
            with suppress(FileNotFoundError):  # it had to make room meanwhile
                arrived = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                yield Kept(int(path.stem), arrived, path.read_bytes())


def file_name(number: int) -> str:
    """Return the name of a message's file, so that names sort as numbers do."""
    return f"{number:08}.eml"
