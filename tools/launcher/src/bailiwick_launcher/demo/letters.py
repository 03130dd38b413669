"""The mail that the story waits for."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bailiwick_mailbox import Kept, Mailbox

_PATIENCE = 20.0
"""Seconds that a mail may take, on a machine that has just been started."""


@dataclass(frozen=True)
class Letters:
    """The stack's mailbox, None where mail goes to a server that it was given."""

    mailbox: Mailbox | None

    @property
    def are_here(self) -> bool:
        """Tell whether mail can be looked at here."""
        return self.mailbox is not None

    def has(self, number: str, address: str) -> bool:
        """Tell whether somebody has been written to about an order."""
        return self._about(number, address) is not None

    def about(self, number: str, address: str) -> Kept | None:
        """Wait for the letter to somebody about an order; None if it does not come."""
        deadline = time.monotonic() + _PATIENCE
        while (letter := self._about(number, address)) is None and time.monotonic() < deadline:
            time.sleep(0.1)
        return letter

    def _about(self, number: str, address: str) -> Kept | None:
        letters = self.mailbox.to(address) if self.mailbox else []
        return next((one for one in letters if number in one.subject), None)
