"""Made-up customers and who represents them, as customers would tell it: by events and at its change feed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

from aiohttp import web

from bailiwick_contracts.customers import (
    Address,
    Assignment,
    AssignmentChanged,
    CustomerChanged,
    CustomerStatus,
    Relation,
)
from bailiwick_contracts.envelope import Sequenced
from bailiwick_kit.clock import END_OF_TIME
from bailiwick_testkit.fakes.people import DOOR_SECRET, LONG_AGO


@dataclass
class MadeUpCustomers:
    """Stands in for customers, for one organization. `told` is every event so far, in order."""

    org_id: UUID
    told: list[Sequenced] = field(default_factory=list)
    assignments: dict[UUID, Assignment] = field(default_factory=dict)
    _versions: dict[UUID, int] = field(default_factory=dict)

    def customer(
        self,
        name: str = "Librería Sol",
        *,
        customer_id: UUID | None = None,
        status: CustomerStatus = "approved",
        created_by: UUID | None = None,
        country: str | None = "ES",
    ) -> UUID:
        """Make a customer, or change one; without a country it has no address."""
        customer_id = customer_id or uuid4()
        event = CustomerChanged(
            org_id=self.org_id,
            version=self._next_version(customer_id),
            seq=self.head + 1,
            customer_id=customer_id,
            code=customer_id.hex[:8].upper(),
            name=name,
            status=status,
            addresses=(Address(city="Ávila", country=country, primary=True),) if country else (),
            created_by=created_by or uuid4(),
            created_at=LONG_AGO,
        )
        self.told.append(event)
        return customer_id

    def assign(
        self,
        customer_id: UUID,
        member_id: UUID,
        relation: Relation = "main",
        *,
        valid_from: datetime = LONG_AGO,
        valid_to: datetime = END_OF_TIME,
    ) -> Assignment:
        """Assign a customer, in a changeset of its own."""
        assignment = Assignment(
            assignment_id=uuid4(),
            customer_id=customer_id,
            member_id=member_id,
            relation=relation,
            origin="direct",
            valid_from=valid_from,
            valid_to=valid_to,
            version=1,
        )
        self.change(assignment)
        return assignment

    def end(self, assignment: Assignment, at: datetime | None = None) -> Assignment:
        """Return an assignment ended at an instant, or now; in a changeset of its own."""
        ended = self.ended(assignment, at)
        self.change(ended)
        return ended

    def ended(self, assignment: Assignment, at: datetime | None = None) -> Assignment:
        """Return the newest state of an assignment with an end; to be told with others."""
        known = self.assignments[assignment.assignment_id]
        valid_to = max(at or datetime.now(UTC), known.valid_from)
        return known.model_copy(update={"valid_to": valid_to, "version": known.version + 1})

    def hand_over(self, old: Assignment, member_id: UUID, at: datetime) -> Assignment:
        """Give a customer to another member at an instant, in one changeset."""
        new = old.model_copy(
            update={
                "assignment_id": uuid4(),
                "member_id": member_id,
                "valid_from": at,
                "valid_to": END_OF_TIME,
                "version": 1,
            }
        )
        self.change(self.ended(old, at), new)
        return new

    def change(self, *assignments: Assignment) -> None:
        """Tell of assignments as one act (D18)."""
        self.assignments |= {one.assignment_id: one for one in assignments}
        self.told.append(
            AssignmentChanged(
                org_id=self.org_id,
                version=1,
                seq=self.head + 1,
                changeset_id=uuid4(),
                assignments=assignments,
            )
        )

    @property
    def head(self) -> int:
        """The number of the last change."""
        return len(self.told)

    def application(self) -> web.Application:
        """Return a small server with the change feed."""
        app = web.Application()
        app.router.add_get("/internal/v1/changes", self._changes)
        return app

    async def _changes(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {DOOR_SECRET}":
            return web.Response(status=401)
        org = request.query.get("org")
        if org is None:
            heads = [{"org_id": str(self.org_id), "head": self.head}]
            return web.json_response({"heads": heads})
        after, limit = int(request.query.get("after", "0")), int(request.query.get("limit", "1000"))
        found = [event for event in self._now() if event.seq > after and str(event.org_id) == org]
        changes = [
            {"seq": event.seq, "type": event.type, "data": event.model_dump(mode="json")}
            for event in found[:limit]
        ]
        complete = len(found) < limit
        return web.json_response({"head": self.head, "complete": complete, "changes": changes})

    def _now(self) -> Iterator[Sequenced]:
        """Give each entity once, as it is now, under the number of its last change, as customers does."""
        newest: dict[UUID, Sequenced] = {}
        for event in self.told:
            match event:
                case CustomerChanged():
                    newest[event.customer_id] = event
                case AssignmentChanged():
                    newest |= {one.assignment_id: event for one in event.assignments}
                case _:
                    pass
        for event in self.told:
            match event:
                case CustomerChanged() if newest[event.customer_id] is event:
                    yield event
                case AssignmentChanged():
                    left = tuple(
                        one for one in event.assignments if newest[one.assignment_id] is event
                    )
                    if left:
                        yield event.model_copy(update={"assignments": left})
                case _:
                    pass

    def _next_version(self, entity_id: UUID) -> int:
        self._versions[entity_id] = self._versions.get(entity_id, 0) + 1
        return self._versions[entity_id]
