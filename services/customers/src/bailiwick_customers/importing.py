"""The way in for what comes from elsewhere: JSON lines of customers and assignments (D27).

    python -m bailiwick_customers import --org ORG --source NAME --member MEMBER < lines

Each line of standard input is one record, each line of standard output what became of it, in the same
order. A batch is a transaction; what is wrong with a line ends the run with the line's number on
standard error, and what was written before stays: the same import can simply be run again.

The lines and `began_in_force` are offered to who checks files before they become lines (tools/csv_import).
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

from pydantic import Field, TypeAdapter

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller, Callers
from bailiwick_access.composition import identity_replica
from bailiwick_customers.actions.import_assignments import AssignmentRecord, import_assignments
from bailiwick_customers.actions.import_customers import CustomerRecord, import_customers
from bailiwick_customers.api import schemas
from bailiwick_customers.domain.assignment import Relation
from bailiwick_customers.domain.assignment import began_in_force as began_in_force
from bailiwick_customers.domain.customer import Status, Terms, check_size
from bailiwick_customers.settings import Settings
from bailiwick_customers.store import imports, tables
from bailiwick_customers.store.imports import OpenImport
from bailiwick_kit.clock import SystemClock
from bailiwick_kit.database.engine import Database
from bailiwick_kit.errors import Refusal
from bailiwick_kit.imports import jsonl
from bailiwick_kit.imports.imported_rows import Imported, digest_of
from bailiwick_kit.policy.client import policy_of
from bailiwick_kit.retrying import patiently
from bailiwick_kit.text.strings import Text, TextRule
from bailiwick_kit.web.fields import Instant, Model

BATCH = 500
"""Records a transaction."""

Ref = Annotated[str, TextRule(max_length=200)]
"""What a record is called where it comes from."""


class CustomerLine(Model):
    """A customer to create. Left out, `status` is approved and `created_at` is now."""

    kind: Literal["customer"]
    external_ref: Ref
    name: Text
    tax_id: schemas.Short | None = None
    contacts: schemas.Contacts = ()
    addresses: schemas.Addresses = ()
    tags: schemas.Tags = ()
    terms: schemas.TermsBody | None = None
    status: schemas.Status = "approved"
    created_at: Instant | None = None

    def record(self) -> CustomerRecord:
        """Return what the action takes."""
        return CustomerRecord(
            external_ref=self.external_ref,
            name=self.name,
            tax_id=self.tax_id,
            contacts=schemas.to_contacts(self.contacts),
            addresses=schemas.to_addresses(self.addresses),
            tags=self.tags,
            terms=Terms(**dict(self.terms)) if self.terms else Terms(),
            status=Status(self.status),
            created_at=self.created_at,
            said=frozenset(self.model_fields_set),
            digest=digest_of(self),
        )

    def check(self) -> None:
        """Refuse what an import would refuse of the line.

        Raises:
            Refusal: it would.
        """
        check_size(self.record())

    def answer(self, imported: Imported) -> dict[str, Any]:
        """Return what is printed."""
        return {
            "kind": self.kind,
            "external_ref": self.external_ref,
            "customer_id": str(imported.record_id),
            "outcome": imported.outcome,
        }


class AssignmentLine(Model):
    """An assignment to make. Left out, `valid_from` is now and `valid_to` is open."""

    kind: Literal["assignment"]
    customer: Ref
    member_id: UUID
    relation: Literal["main", "additional"]
    valid_from: Instant | None = None
    valid_to: Instant | None = None

    def record(self) -> AssignmentRecord:
        """Return what the action takes."""
        return AssignmentRecord(
            customer_ref=self.customer,
            member_id=self.member_id,
            relation=Relation(self.relation),
            valid_from=self.valid_from,
            valid_to=self.valid_to,
            digest=digest_of(self),
        )

    def answer(self, imported: Imported) -> dict[str, Any]:
        """Return what is printed."""
        return {
            "kind": self.kind,
            "customer": self.customer,
            "member_id": str(self.member_id),
            "relation": self.relation,
            "assignment_id": str(imported.record_id),
            "outcome": imported.outcome,
        }


Line: TypeAlias = CustomerLine | AssignmentLine
_LINE: TypeAdapter[Line] = TypeAdapter(Annotated[Line, Field(discriminator="kind")])


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
                yield line.answer(became)
            first += len(batch)

    async def _apply(self, batch: Sequence[Line]) -> list[Imported]:
        caller = replace(self.caller, now=SystemClock().now())
        if customers := [line.record() for line in batch if isinstance(line, CustomerLine)]:
            return await import_customers(
                self.open_import, self.gate, caller, self.source, customers, update=self.update
            )
        assignments = [line.record() for line in batch if isinstance(line, AssignmentLine)]
        return await import_assignments(
            self.open_import, self.gate, caller, self.source, assignments, update=self.update
        )


def _batches(sent: Iterable[bytes]) -> Iterator[list[Line]]:
    """Give the lines in batches of one kind each."""
    read = jsonl.each_once(
        jsonl.read(sent, _LINE.validate_json, drop=1),
        lambda line: line.external_ref if isinstance(line, CustomerLine) else None,
    )
    for _, same in itertools.groupby(read, key=lambda line: line.kind):
        while batch := list(itertools.islice(same, BATCH)):
            yield batch


@asynccontextmanager
async def opened(
    settings: Settings, org_id: UUID, member_id: UUID, source: str, *, update: bool = False
) -> AsyncIterator[Import]:
    """Open what an import needs, with everything that identity knows by now in our replica.

    Raises:
        Unavailable: identity's change feed does not answer.
        Missing: it knows no such member.
    """
    url = settings.database_worker_url.get_secret_value()
    policy = policy_of(settings)
    async with (
        Database(url, name="customers-import", pool=2) as database,
        identity_replica(
            settings, database, tables.members, tables.organizations, tables.replica_positions
        ) as identity,
        policy,
    ):
        await identity.pull(org_id, patience=jsonl.PATIENCE, tell=jsonl.waiting)
        callers = Callers(tables.members, tables.organizations)

        async def importer() -> Caller:
            async with database.reading(org_id) as connection:
                now = SystemClock().now()
                return await callers.at_command_line(connection, org_id, member_id, now)

        caller = await patiently(importer, jsonl.PATIENCE, jsonl.waiting)
        yield Import(imports.OpenImport(database), Gate(policy), caller, source, update)


def run(
    settings: Settings, org_id: UUID, member_id: UUID, source: str, *, update: bool = False
) -> int:
    """Import what is on standard input; return the exit code (`kit.imports.jsonl.tell`)."""

    async def answers() -> AsyncIterator[dict[str, Any]]:
        async with opened(settings, org_id, member_id, source, update=update) as work:
            async for answer in work.run(sys.stdin.buffer):
                yield answer

    return jsonl.tell(answers())
