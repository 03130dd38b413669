"""The way in for what comes from elsewhere: JSON lines of orders (D27).

    python -m bailiwick_orders import --org ORG --source NAME --member MEMBER < lines

Each line of standard input is one order, each line of standard output what became of it, in the same
order. A batch is a transaction; what is wrong with a line ends the run with the line's number on
standard error, and what was written before stays: the same import can simply be run again.

The lines are offered to who checks files before they become lines (tools/csv_import).
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller, Callers
from bailiwick_access.composition import customers_replica, identity_replica
from bailiwick_kit.clock import SystemClock
from bailiwick_kit.database.engine import Database
from bailiwick_kit.errors import Refusal
from bailiwick_kit.imports import jsonl
from bailiwick_kit.imports.imported_rows import Imported, digest_of
from bailiwick_kit.policy.client import policy_of
from bailiwick_kit.replication.replica import Replica
from bailiwick_kit.retrying import patiently
from bailiwick_kit.text.iso import CurrencyEver
from bailiwick_kit.text.strings import MultilineText, Text, TextRule
from bailiwick_kit.web.fields import Day, Exact, Finer, Instant, Model
from bailiwick_orders.actions.import_orders import checked, import_orders
from bailiwick_orders.api import schemas
from bailiwick_orders.domain.money import FOUR_PLACES, line_net
from bailiwick_orders.domain.order import MOST_LINES, Line, State
from bailiwick_orders.domain.record import OrderRecord
from bailiwick_orders.settings import Settings
from bailiwick_orders.store import imports, tables
from bailiwick_orders.store.imports import OpenImport
from bailiwick_orders.store.replica import CustomersReplica

BATCH = 500
"""Records a transaction."""

Ref = Annotated[str, TextRule(max_length=200)]
"""What a record is called where it comes from."""


class FinePrice(Model):
    """A price, not negative, with as many decimals as its source has."""

    amount: Annotated[Finer, Field(ge=Decimal(0))]
    currency: CurrencyEver


class ImportedLine(Model):
    """A line that was ordered. Price and discount may have more than four decimals; four are kept (D30).

    They are rounded half up, where what the line comes to stays the same to less than a hundredth.
    """

    sku: schemas.Sku
    name: Text
    quantity: Annotated[Exact, Field(gt=Decimal(0))]
    discount: Annotated[Finer, Field(ge=Decimal(0), le=Decimal(1))] = Decimal(0)
    unit_price: FinePrice

    @field_validator("unit_price")
    @classmethod
    def _keeps_its_amount(cls, price: FinePrice, info: ValidationInfo) -> FinePrice:
        quantity, discount = info.data.get("quantity"), info.data.get("discount")
        if quantity is None or discount is None:  # refused themselves
            return price
        if _has_four_places(price.amount) and _has_four_places(discount):
            return price
        exact = quantity * price.amount * (1 - discount)
        kept = line_net(quantity, _rounded(price.amount), _rounded(discount))
        if abs(exact - kept) >= _NOTICED:
            msg = "With four decimals the line comes to another amount: write the price of 10 or 100 pieces"
            raise ValueError(msg)
        return price

    def line(self) -> Line:
        """Return the line as it is kept."""
        price, discount = _rounded(self.unit_price.amount), _rounded(self.discount)
        return Line(self.sku, self.name, self.quantity, price, discount)


_NOTICED = Decimal("0.01")


def _has_four_places(number: Decimal) -> bool:
    exponent = number.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -4  # noqa: PLR2004 - four


def _rounded(number: Decimal) -> Decimal:
    return number if _has_four_places(number) else number.quantize(FOUR_PLACES, ROUND_HALF_UP)


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
    state: schemas.State = "placed"
    order_date: Day | None = None
    placed_at: Instant | None = None
    listed_at: Instant | None = None
    currency: CurrencyEver | None = None
    lines: Annotated[
        tuple[ImportedLine, ...],
        Field(min_length=1, max_length=MOST_LINES, fail_fast=True),
        AfterValidator(schemas.in_one_currency),
    ]
    note: MultilineText | None = None

    def check(self, currency: str, time_zone: str, now: datetime) -> None:
        """Refuse what an import into an organization with these settings would refuse of the line.

        Raises:
            Refusal: it would.
        """
        record = self.record()
        checked(record, record.currency or currency, time_zone, now)

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
            lines=tuple(line.line() for line in self.lines),
            priced_in=self.lines[0].unit_price.currency,
            note=self.note,
            said=frozenset(self.model_fields_set),
            digest=digest_of(self),
        )


@dataclass(frozen=True)
class Import:
    """An import of one source into one organization, by one of its members."""

    open_import: OpenImport
    gate: Gate
    caller: Caller
    source: str
    update: bool = False

    async def run(self, sent: Iterable[bytes]) -> AsyncIterator[dict[str, Any]]:
        """Import the lines in batches, and yield what became of each.

        A part that does not answer is waited for: what was committed meanwhile is not imported again.

        Raises:
            LineError: a line is wrong; what came before its batch is imported.
            Refusal: the member may not import, or a part that is needed does not answer.
        """
        first = 1
        for batch in _batches(sent):
            try:
                imported = await patiently(
                    partial(self._apply, batch), jsonl.PATIENCE, jsonl.waiting
                )
            except Refusal as refusal:
                raise jsonl.about(refusal, first) from None
            for line, became in zip(batch, imported, strict=True):
                yield {
                    "kind": line.kind,
                    "external_ref": line.external_ref,
                    "order_id": str(became.record_id),
                    "outcome": became.outcome,
                }
            first += len(batch)

    async def _apply(self, batch: Sequence[OrderLine]) -> list[Imported]:
        caller = replace(self.caller, now=SystemClock().now())
        records = [line.record() for line in batch]
        return await import_orders(
            self.open_import, self.gate, caller, self.source, records, update=self.update
        )


def _batches(sent: Iterable[bytes]) -> Iterator[list[OrderLine]]:
    read = jsonl.each_once(
        jsonl.read(sent, OrderLine.model_validate_json), lambda line: line.external_ref
    )
    while batch := list(itertools.islice(read, BATCH)):
        yield batch


@asynccontextmanager
async def opened(
    settings: Settings, org_id: UUID, member_id: UUID, source: str, *, update: bool = False
) -> AsyncIterator[Import]:
    """Open what an import needs, with everything that identity and customers know by now in our replicas.

    Raises:
        Unavailable: a change feed does not answer.
        Missing: identity knows no such member.
    """
    url = settings.database_worker_url.get_secret_value()
    policy = policy_of(settings)
    async with Database(url, name="orders-import", pool=2) as database, policy:
        async with replicas(settings, database) as both:
            for replica in both:
                await replica.pull(org_id, patience=jsonl.PATIENCE, tell=jsonl.waiting)
        callers = Callers(tables.members, tables.organizations)

        async def importer() -> Caller:
            async with database.reading(org_id) as connection:
                now = SystemClock().now()
                return await callers.at_command_line(connection, org_id, member_id, now)

        caller = await patiently(importer, jsonl.PATIENCE, jsonl.waiting)
        yield Import(imports.OpenImport(database), Gate(policy), caller, source, update)


@asynccontextmanager
async def replicas(
    settings: Settings, database: Database
) -> AsyncIterator[tuple[Replica, Replica]]:
    """Open the change feeds of both authorities; yield the replicas of identity and of customers."""
    async with (
        identity_replica(
            settings, database, tables.members, tables.organizations, tables.replica_positions
        ) as identity,
        customers_replica(
            settings, database, tables.replica_positions, CustomersReplica().appliers()
        ) as customers,
    ):
        yield identity, customers


def run(
    settings: Settings, org_id: UUID, member_id: UUID, source: str, *, update: bool = False
) -> int:
    """Import what is on standard input; return the exit code (`kit.imports.jsonl.tell`)."""

    async def answers() -> AsyncIterator[dict[str, Any]]:
        async with opened(settings, org_id, member_id, source, update=update) as work:
            async for answer in work.run(sys.stdin.buffer):
                yield answer

    return jsonl.tell(answers())
