"""JSON lines in, JSON lines out: how an `import` reads records and tells what became of each (D27)."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from bailiwick_kit.errors import Refusal
from bailiwick_kit.retrying import may_pass, what_of
from bailiwick_kit.web.validation import faults_of

LONGEST = 8_000_000
"""Bytes of a line: the largest order, of 2,000 lines with the longest names."""
PATIENCE = 300.0
"""Seconds without progress for which a part that does not answer is waited for."""
REFUSED, LATER = 1, 75
"""Exit codes: what was sent is wrong; it is not, and can be sent again later (EX_TEMPFAIL)."""
WAITING = "waiting: "
"""How a line of standard error begins that says what is waited for."""

T = TypeVar("T")


class LineError(Exception):
    """A line cannot be imported; the message says which, and why."""


def read(lines: Iterable[bytes], parse: Callable[[bytes], T], *, drop: int = 0) -> Iterator[T]:
    """Give what each line holds; `parse` is pydantic's.

    `drop` leaves out the beginning of each fault's place, as `faults_of` does.

    Raises:
        LineError: a line is too long, or not what `parse` takes.
    """
    for number, line in enumerate(lines, start=1):
        if len(line) > LONGEST:
            raise LineError(_at(number, f"Send at most {LONGEST} bytes a line"))
        try:
            yield parse(line)
        except ValidationError as error:
            faults = faults_of(error.errors(include_url=False, include_input=False), drop=drop)
            said = "; ".join(_joined(fault.where, fault.message) for fault in faults)
            raise LineError(_at(number, said)) from None


def each_once(read: Iterable[T], ref: Callable[[T], str | None]) -> Iterator[T]:
    """Give what was read, as long as no line has the `external_ref` of an earlier one.

    Raises:
        LineError: a line has; which of the two is right, nobody can know.
    """
    seen: dict[str, int] = {}
    for number, one in enumerate(read, start=1):
        key = ref(one)
        if key is not None and seen.setdefault(key, number) != number:
            raise LineError(_at(number, f"external_ref: The same as on line {seen[key]}"))
        yield one


def about(refusal: Refusal, first: int) -> Exception:
    """Name the lines that a batch's refusal is about; its faults know their place in the batch."""
    if not refusal.faults:
        return refusal
    said = []
    for fault in refusal.faults:
        place, _, field = fault.where.removeprefix("[").partition("]")
        said.append(_at(first + int(place), _joined(field.lstrip("."), fault.message)))
    return LineError("\n".join(said))


def tell(answers: AsyncIterator[Mapping[str, Any]]) -> int:
    """Write each answer to standard output as it comes: what became of a line, or what was counted.

    Returns 0, or once it has said on standard error what is wrong REFUSED, and LATER if it is nothing that
    was sent.
    """

    async def work() -> None:
        async for answer in answers:
            sys.stdout.write(json.dumps(answer) + "\n")

    try:
        asyncio.run(work())
    except LineError as error:
        sys.stderr.write(f"{error}\n")
    except Exception as error:
        if may_pass(error):
            return later(error)
        if not isinstance(error, Refusal):
            raise
        sys.stderr.write(f"{error.code}: {error}\n")
    else:
        return 0
    finally:
        sys.stdout.flush()
    return REFUSED


def waiting(what: str) -> None:
    """Say on standard error what is waited for."""
    sys.stderr.write(f"{WAITING}{what}\n")
    sys.stderr.flush()


def later(error: Exception) -> int:
    """Say on standard error that a part did not answer in time; return the exit code."""
    said = f"{what_of(error)}. Nothing is wrong with what was sent: try again later.\n"
    sys.stderr.write(said)
    return LATER


def _at(number: int, said: str) -> str:
    return f"line {number}: {said}"


def _joined(where: str, message: str) -> str:
    return f"{where}: {message}" if where else message
