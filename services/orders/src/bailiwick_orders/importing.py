"""The way in for what comes from elsewhere: JSON lines of orders (D27).

    python -m bailiwick_orders import --org ORG --source NAME --member MEMBER < lines

Each line of standard input is one order, each line of standard output what became of it, in the same
order. A batch is a transaction; what is wrong with a line ends the run with the line's number on
standard error, and what was written before stays: the same import can simply be run again.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ValidationError

from bailiwick_access.caller import Caller, Callers
from bailiwick_access.composition import policy_of
from bailiwick_access.gate import Gate
from bailiwick_access.replica import IdentityReplica
from bailiwick_kit.clock import SystemClock
from bailiwick_kit.database import Database
from bailiwick_kit.door import Door
from bailiwick_kit.errors import Refusal
from bailiwick_kit.replica import Replica
from bailiwick_kit.text import MultilineText, TextRule
from bailiwick_kit.tokens import Claims
from bailiwick_kit.validation import faults_of
from bailiwick_kit.wire import Instant, Model
from bailiwick_orders.actions.import_orders import OrderRecord, import_orders
from bailiwick_orders.actions.import_ports import OpenImport
from bailiwick_orders.api import wire
from bailiwick_orders.domain.order import State
from bailiwick_orders.settings import Settings
from bailiwick_orders.store import imports, tables
from bailiwick_orders.store.replica import CustomersReplica

BATCH = 500
"""Records a transaction."""
_LONGEST_LINE = 1_000_000

Ref = Annotated[str, TextRule(max_length=200)]
"""What a record is called where it comes from."""


class OrderLine(Model):
    """An order to create, placed unless `state` says otherwise.

    What was placed says when: by `placed_at`, or by `order_date`, whose midnight in the organization's
    zone it then is. Lists go by `listed_at`; left out, it is the instant of placing. Without an author
    it is written by the importing member, and credited to the customer's main of that instant. Where
    `credited_to` is sent it counts, null for the house.
    """

    kind: Literal["order"] = "order"
    external_ref: Ref
    customer_id: UUID
    author_id: UUID | None = None
    placed_by: UUID | None = None
    credited_to: UUID | None = None
    state: wire.State = "placed"
    order_date: wire.Day | None = None
    placed_at: Instant | None = None
    listed_at: Instant | None = None
    currency: wire.Currency | None = None
    lines: wire.Lines
    note: MultilineText | None = None

    def record(self) -> OrderRecord:
        """Return what the action takes."""
        return OrderRecord(
            external_ref=self.external_ref,
            customer_id=self.customer_id,
            author_id=self.author_id,
            placed_by=self.placed_by,
            credited_to=self.credited_to,
            names_credit="credited_to" in self.model_fields_set,
            state=State(self.state),
            order_date=self.order_date,
            placed_at=self.placed_at,
            listed_at=self.listed_at,
            currency=self.currency,
            lines=wire.to_lines(self.lines),
            priced_in=self.lines[0].unit_price.currency,
            note=self.note,
        )


class LineError(Exception):
    """A line cannot be imported; the message says which, and why."""


@dataclass(frozen=True)
class Import:
    """An import of one source into one organization, by one of its members."""

    open_import: OpenImport
    gate: Gate
    caller: Caller
    source: str

    async def run(self, lines: Iterable[bytes]) -> AsyncIterator[dict[str, Any]]:
        """Import the lines in batches, and yield what became of each.

        Raises:
            LineError: a line is wrong; what came before its batch is imported.
            Refusal: the member may not import, or a part that is needed does not answer.
        """
        first = 1
        for batch in _batches(lines):
            caller = replace(self.caller, now=SystemClock().now())
            records = [line.record() for line in batch]
            try:
                imported = await import_orders(
                    self.open_import, self.gate, caller, self.source, records
                )
            except Refusal as refusal:
                raise _about(refusal, first) from None
            for line, became in zip(batch, imported, strict=True):
                yield {
                    "kind": line.kind,
                    "external_ref": line.external_ref,
                    "order_id": str(became.order_id),
                    "created": became.created,
                }
            first += len(batch)


def _batches(lines: Iterable[bytes]) -> Iterator[list[OrderLine]]:
    read = (_read(number, line) for number, line in enumerate(lines, start=1))
    while batch := list(itertools.islice(read, BATCH)):
        yield batch


def _read(number: int, line: bytes) -> OrderLine:
    if len(line) > _LONGEST_LINE:
        raise LineError(f"line {number}: Send at most {_LONGEST_LINE} bytes a line")
    try:
        return OrderLine.model_validate_json(line)
    except ValidationError as error:
        faults = faults_of(error.errors(include_url=False, include_input=False))
        said = "; ".join(f"{fault.where}: {fault.message}".lstrip(": ") for fault in faults)
        raise LineError(f"line {number}: {said}") from None


def _about(refusal: Refusal, first: int) -> Exception:
    """Name the lines that a batch's refusal is about; its faults know their place in the batch."""
    if not refusal.faults:
        return refusal
    said = []
    for fault in refusal.faults:
        place, _, field = fault.where.removeprefix("[").partition("]")
        said.append(f"line {first + int(place)}: {field.lstrip('.')}: {fault.message}")
    return LineError("\n".join(said))


@asynccontextmanager
async def opened(
    settings: Settings, org_id: UUID, member_id: UUID, source: str
) -> AsyncIterator[Import]:
    """Open what an import needs, with everything that identity and customers know by now in our replicas.

    Raises:
        Unavailable: a door does not answer, or identity knows no such member.
    """
    url = settings.database_worker_url.get_secret_value()
    policy = policy_of(settings)
    async with Database(url, name="orders-import", pool=2) as database, policy:
        async with replicas(settings, database) as both:
            for replica in both:
                await replica.pull(org_id)
        caller = await _caller(database, org_id, member_id)
        yield Import(imports.OpenImport(database), Gate(policy), caller, source)


@asynccontextmanager
async def replicas(
    settings: Settings, database: Database
) -> AsyncIterator[tuple[Replica, Replica]]:
    """Open the doors of both authorities; yield the replicas of identity and of customers."""
    async with (
        Door(settings.identity_url, settings.door_secret) as to_identity,
        Door(settings.customers_url, settings.door_secret) as to_customers,
    ):
        yield (
            Replica(
                source="identity",
                database=database,
                positions=tables.replica_positions,
                appliers=IdentityReplica(tables.organizations, tables.members).appliers(),
                door=to_identity,
            ),
            Replica(
                source="customers",
                database=database,
                positions=tables.replica_positions,
                appliers=CustomersReplica().appliers(),
                door=to_customers,
            ),
        )


async def _caller(database: Database, org_id: UUID, member_id: UUID) -> Caller:
    now = SystemClock().now()
    claims = Claims(
        account=member_id,
        org_id=org_id,
        member_id=member_id,
        member_version=1,
        kind="member",
        session=None,
        expires_at=now + timedelta(hours=1),
    )
    async with database.reading(org_id) as connection:
        return await Callers(tables.members, tables.organizations).resolve(connection, claims, now)


def run(settings: Settings, org_id: UUID, member_id: UUID, source: str) -> int:
    """Import what is on standard input, telling on standard output what became of each line.

    Returns 0, or 1 once it has said on standard error what is wrong.
    """

    async def work() -> None:
        async with opened(settings, org_id, member_id, source) as work:
            async for answer in work.run(sys.stdin.buffer):
                sys.stdout.write(json.dumps(answer) + "\n")

    try:
        asyncio.run(work())
    except LineError as error:
        sys.stderr.write(f"{error}\n")
    except Refusal as refusal:
        sys.stderr.write(f"{refusal.code}: {refusal}\n")
    else:
        return 0
    finally:
        sys.stdout.flush()
    return 1
