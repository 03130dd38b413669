"""Gives lines to a service's `import`, tells what it waits for, and goes on where one was cut off."""

from __future__ import annotations

import json
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from bailiwick_csv_import.target import Target
from bailiwick_kit.imports.jsonl import LATER, PATIENCE, REFUSED, WAITING

_LOOK_EVERY = 0.5
"""Seconds between looks at what a service waits for."""
_TRY_AGAIN_AFTER = 3.0
"""Seconds of rest before one that was cut off is begun again: its container may be starting."""
_CUT_OFF = re.compile(rb"Traceback|Error response from daemon|is not running")
"""What is said at the end by something else than the service's own refusal, which has the same exit code."""


class FeedError(Exception):
    """A service ended before all lines were answered.

    `said` is what it said at its end, `answered` how many lines were answered before it began.
    """

    def __init__(self, said: str, answered: int) -> None:
        super().__init__(said)
        self.said = said
        self.answered = answered


@dataclass
class Feed:
    """One subcommand with its lines."""

    target: Target
    service: str
    arguments: list[str]
    sent: IO[bytes]
    folder: Path
    goes_on: float = PATIENCE
    """Seconds without an answer for which it is begun again where it was cut off."""

    def answers(self) -> Iterator[dict[str, Any]]:
        """Give what is answered to each line, in their order.

        Raises:
            FeedError: the service refuses a line, or does not come back.
        """
        answered = 0
        until = time.monotonic() + self.goes_on
        while True:
            with tempfile.TemporaryFile(dir=self.folder) as said:
                began = answered
                for answer in self._run(said):
                    answered += 1
                    until = time.monotonic() + self.goes_on
                    yield answer
                if self._code == 0:
                    return
                said.seek(0)
                end = said.read()
            if not self._was_cut_off(end) or time.monotonic() >= until:
                raise FeedError(_without_waits(end), began)
            self.target.report(f"waiting: {self.service}'s import was cut off; it goes on")
            time.sleep(_TRY_AGAIN_AFTER)
            self._skip(answered)

    def _run(self, said: IO[bytes]) -> Iterator[dict[str, Any]]:
        process = self.target.feed_service(self.service, self.arguments, self.sent, said)
        with process, self._telling(said):
            for answer in process.stdout or ():
                if answer.endswith(b"\n"):  # else it was cut off in the middle
                    yield json.loads(answer)
        self._code = process.returncode

    def _was_cut_off(self, said: bytes) -> bool:
        # Identity is given passwords that are made up: which of them count, only its own answers say.
        if self.service == "identity" or self._code == LATER:
            return False
        return self._code != REFUSED or bool(_CUT_OFF.search(said))

    def _skip(self, count: int) -> None:
        """Have the service read on after so many lines; it reads from where the file itself is."""
        with os.fdopen(os.dup(self.sent.fileno()), "rb") as file:
            file.seek(0)
            for _ in range(count):
                file.readline()
            place = file.tell()
        os.lseek(self.sent.fileno(), place, os.SEEK_SET)

    @contextmanager
    def _telling(self, said: IO[bytes]) -> Iterator[None]:
        """Tell what the service waits for, as it says so."""
        ended = threading.Event()

        def work() -> None:
            place = 0
            while not ended.wait(_LOOK_EVERY):
                more, _, _ = os.pread(said.fileno(), 1 << 16, place).rpartition(b"\n")
                place += len(more) + 1 if more else 0
                for line in more.decode(errors="replace").splitlines():
                    if line.startswith(WAITING):
                        self.target.report(line)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    _code: int = 0


def _without_waits(said: bytes) -> str:
    lines = said.decode(errors="replace").strip().splitlines()
    return "\n".join(line for line in lines if not line.startswith(WAITING))
