"""The way in for another system's members (D27): JSON lines on standard input, through identity's own rules.

All lines are read before anything is written; then whole batches are, each in one transaction. Running it
again changes nothing.

`RecordLine` and `interval` are offered to who checks files before they become lines (tools/csv_import).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Annotated
from uuid import UUID

import typer
from pydantic import ValidationError

from bailiwick_identity.actions.import_members import (
    Imported,
    Record,
    RecordRefused,
    import_members,
)
from bailiwick_identity.api import schemas
from bailiwick_identity.founding import Open, Tools, done, told
from bailiwick_identity.rules.membership import check_record
from bailiwick_identity.rules.membership import interval as interval
from bailiwick_kit.clock import SystemClock
from bailiwick_kit.errors import Refusal
from bailiwick_kit.imports import jsonl
from bailiwick_kit.imports.imported_rows import digest_of
from bailiwick_kit.retrying import patiently
from bailiwick_kit.text.strings import Text
from bailiwick_kit.web.validation import refusal_of

BATCH = 50
"""Members written in one transaction."""


class RecordLine(schemas.NewMemberBody):
    """A member of another system."""

    external_ref: Text

    def check(self, organization: str, now: datetime) -> None:
        """Refuse what an import into an organization of that name would refuse of the line.

        Raises:
            Refusal: it would.
        """
        check_record(self.command(), organization, now)


class RecordsRefused(Exception):  # noqa: N818 - a no is not an error of ours
    """Some lines are wrong; each message names its line, none repeats what was sent."""

    def __init__(self, messages: Iterable[str]) -> None:
        self.messages = tuple(messages)
        super().__init__("\n".join(self.messages))


def add_import(program: typer.Typer, open_tools: Open) -> None:
    """Add the command to identity's program."""

    @program.command("import")
    def import_(
        org: Annotated[UUID, typer.Option(help="The organization's id")],
        source: Annotated[str, typer.Option(help="The system that external_ref is of")],
        *,
        update: Annotated[
            bool,
            typer.Option("--update", help="Take over names and languages that have changed since"),
        ] = False,
    ) -> None:
        """Import members: JSON lines on standard input; nothing is written while one line is wrong.

        Prints a line for each: {external_ref, member_id, outcome}.
        """
        try:
            records = read_records(sys.stdin)
            done(_import(open_tools, org, source, records, update=update))
        except RecordsRefused as refused:
            for message in refused.messages:
                typer.echo(message, err=True)
            raise typer.Exit(1) from None


def read_records(sent: Iterable[str]) -> list[Record]:
    """Return the records of all lines; empty lines are passed over.

    Raises:
        RecordsRefused: at least one line is wrong.
    """
    records: list[Record] = []
    wrong: list[str] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(sent, 1):
        if not line.strip():
            continue
        try:
            record = _record(number, line)
        except Refusal as refusal:
            wrong += _at(number, refusal)
            continue
        earlier = seen.setdefault(record.external_ref, number)
        if earlier != number:
            wrong.append(f"line {number}: external_ref: The same as on line {earlier}")
        records.append(record)
    if wrong:
        raise RecordsRefused(wrong)
    return records


def _record(number: int, line: str) -> Record:
    try:
        read = RecordLine.model_validate_json(line)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise refusal_of(found) from None
    secret, shown = {"password"}, {"name", "language"}
    return Record(
        number,
        read.external_ref,
        read.command(),
        rights=digest_of(read, but=secret | shown),
        rest=digest_of(read, but=secret),
    )


async def _import(
    open_tools: Open, org_id: UUID, source: str, records: Iterable[Record], *, update: bool
) -> None:
    remaining = iter(records)
    async with open_tools() as tools:
        while batch := list(islice(remaining, BATCH)):
            write = partial(_write, tools, org_id, source, batch, update=update)
            try:
                made = await patiently(write, jsonl.PATIENCE, jsonl.waiting)
            except RecordRefused as refused:
                raise RecordsRefused(_at(refused.line, refused.refusal)) from None
            for one in made:
                typer.echo(json.dumps(asdict(one), default=str))


async def _write(
    tools: Tools, org_id: UUID, source: str, batch: Sequence[Record], *, update: bool
) -> list[Imported]:
    return await import_members(
        tools.open_unit,
        tools.passwords,
        org_id,
        source,
        batch,
        SystemClock().now(),
        update=update,
    )


def _at(line: int, refusal: Refusal) -> list[str]:
    return [f"line {line}: {message}" for message in told(refusal)]
