"""Checks all files before anything is loaded: each row by its service's own model, and rows by each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from bailiwick_csv_import import records
from bailiwick_csv_import.faults import Faults, UnreadableError
from bailiwick_csv_import.fields import Build
from bailiwick_csv_import.plan import Plan, Section
from bailiwick_csv_import.progress import Progress
from bailiwick_csv_import.row import MappedRow, label_in, with_text
from bailiwick_csv_import.staging import Span, Staging
from bailiwick_customers.importing import began_in_force
from bailiwick_identity.importing import interval
from bailiwick_kit.clock import END_OF_TIME

_IN_ORDERS = {"customer_id": "customer"} | {
    field: name for name, field in records.MEMBERS_OF_AN_ORDER.items()
}
_PASSWORD_TO_COME = "wfzu-kq8r-tmxe-p3jv"  # noqa: S105


class Rights(Protocol):
    """What policy says of a member who does not exist yet."""

    def may_represent(self, member: dict[str, Any]) -> bool:
        """Tell whether the member may have customers."""
        ...

    def may_found(self, member: dict[str, Any]) -> bool:
        """Tell whether the member may be the first of an organization."""
        ...


@dataclass
class Check:
    """One check of all files.

    Records go to the staging whether right or wrong: what names a wrong one is not wrong for that.
    """

    plan: Plan
    staging: Staging
    rights: Rights
    faults: Faults
    progress: Progress
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    _unread: set[str] = field(default_factory=set)
    _wrong_lines: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        organization = self.plan.organization
        self._models = records.Models(
            organization.name, organization.time_zone, organization.currency, self.now
        )

    def run(self) -> None:
        """Check everything; afterwards the staging may be loaded if there are no faults."""
        self._fill_look_ups()
        if self.faults.count:
            return
        self._members()
        self._customers()
        self._assignments()
        self._lines()
        self._orders()

    def founder(self) -> str | None:
        """Return the key of the first member who may found an organization."""
        for member in self.staging.all("members"):
            is_here = member.body.keys().isdisjoint({"valid_from", "valid_until"})
            if is_here and self.rights.may_found(member.body):
                return member.key
        return None

    def _members(self) -> None:
        for found in self._found("members", self.plan.members):
            body = found.body
            line = records.member_line(found.key, body, body.get("password", _PASSWORD_TO_COME))
            self._checked("members", found, line)
            if "email" in body and (
                other := self.staging.add_email(body["email"].casefold(), found.row.line)
            ):
                self._fault(found, ("email",), f"Line {other} has this address already")
            self._stage("members", found)
        if not self.faults.count and self.founder() is None:
            message = (
                "One of them has to be in the role that edits the organization's settings, without"
                " valid_from and valid_until"
            )
            self.faults.add(self.plan.file, None, "members", message)

    def _customers(self) -> None:
        for found in self._found("customers", self.plan.customers):
            self._checked("customers", found, records.customer_line(found.key, found.body))
            self._stage("customers", found)

    def _assignments(self) -> None:
        section = self.plan.assignments
        for found in self._found("assignments", section):
            body = found.body
            if not self._is_whole(found, "customer", "member", "relation"):
                continue
            line = records.assignment_line(body, _any_id)
            is_right = self._checked("assignments", found, line)
            named = self._refers(found, "customer", "customers")
            if self._refers(found, "member", "members") and is_right:
                self._check_member(found)
                if named and (span := self._span(found)):
                    self.staging.add_span(span, found.row.line)
            self._stage("assignments", found, key=f"line {found.row.line}")
        self.staging.index("spans")
        for later, earlier, mains in self.staging.clashes():
            what = "names another main" if mains else "names the same member"
            message = f"Line {earlier} {what} of this customer for the same time"
            assert section is not None  # noqa: S101 - where would they come from
            label = label_in(section, "relation" if mains else "member")
            self.faults.add(section.table.name, later, label, message)

    def _check_member(self, found: MappedRow) -> None:
        member = self.staging.get("members", found.body["member"])
        if member is None or not member.body:
            return
        if not self.rights.may_represent(member.body):
            message = f"{found.body['member']} may not have customers in that role"
            self._fault(found, ("member",), message)
            return
        valid_from, valid_until = interval(
            _instant(member.body.get("valid_from")),
            _instant(member.body.get("valid_until")),
            self.now,
        )
        begins = _instant(found.body.get("valid_from")) or self.now
        if not began_in_force(begins, valid_from, valid_until, self.now):
            message = f"{found.body['member']} is no member when this begins"
            self._fault(found, ("valid_from",), message)

    def _span(self, found: MappedRow) -> Span | None:
        body = found.body
        valid_from = _instant(body.get("valid_from")) or self.now
        valid_to = _instant(body.get("valid_to")) or END_OF_TIME
        if valid_to <= valid_from:
            self._fault(found, ("valid_to",), "This is not after the beginning")
            return None
        ends = (
            valid_from.isoformat(timespec="microseconds"),
            valid_to.isoformat(timespec="microseconds"),
        )
        return Span(body["customer"], body["member"], body["relation"] == "main", *ends)

    def _lines(self) -> None:
        for found in self._found("orders.lines", self.plan.lines):
            self.staging.add_line(found.key, found.row.line, found.body)
            if found.build.errors:
                self._wrong_lines.add(found.row.line)
        self.staging.index("order_lines")

    def _orders(self) -> None:
        section, lines = self.plan.orders, self.plan.lines
        for found in self._found("orders", section):
            self._stage("orders", found)
            if not self._is_whole(found, "customer"):
                continue
            self._refers(found, "customer", "customers")
            for name in records.MEMBERS_OF_AN_ORDER:
                if name in found.body:
                    self._refers(found, name, "members")
            self._check_order(found, lines)
        if lines is not None and "orders" not in self._unread:
            label = lines.key.label if lines.key else ""
            for line, key in self.staging.lines_without_order():
                self.faults.add(lines.table.name, line, label, f"There is no order {key}")

    def _check_order(self, found: MappedRow, section: Section | None) -> None:
        lines = self.staging.lines(found.key)
        if "orders.lines" in self._unread:
            return
        if not lines or section is None:
            self._fault(found, (), f"The order {found.key} has no lines")
            return
        bodies = [line.body for line in lines]
        line = records.order_line(
            found.key, found.body, bodies, _any_id, self.plan.organization.currency
        )
        for wrong in self._models.wrongs("orders", line):
            match wrong.location:
                case ("lines", int(place), *_) if lines[place].line in self._wrong_lines:
                    continue
                case ("lines", int(place), str(name), *_):
                    label = label_in(section, name)
                    message = with_text(lines[place].body.get(name), wrong.message)
                    self.faults.add(section.table.name, lines[place].line, label, message)
                case ("placed_at",) if ("placed_at",) not in found.build.places:
                    self._fault(found, ("order_date",), wrong.message)
                case (str(name), *rest):
                    self._fault(found, (_IN_ORDERS.get(name, name), *rest), wrong.message)
                case location:
                    self._fault(found, location, wrong.message)

    def _found(self, kind: str, section: Section | None) -> Iterator[MappedRow]:
        """Give the rows of a section with what the mapping makes of them."""
        if section is None:
            return
        zone = self.plan.organization.zone
        try:
            for row in section.table.rows(section.columns(), self.faults):
                self.progress.step(f"checking {section.table.name}")
                build = Build(row.cells, zone)
                body = build.record(section.fields)
                key = str(section.key.read(row.cells, zone) or "") if section.key else ""
                found = MappedRow(section, row, key, body, build)
                for part, message in build.errors:
                    self.faults.add(section.table.name, row.line, part.label, message)
                if section.key and not key:
                    message = f"This is empty, and it has to say which of {kind} it is"
                    self.faults.add(section.table.name, row.line, section.key.label, message)
                    continue
                yield found
        except UnreadableError:
            self._unread.add(kind)
        self.progress.done()

    def _checked(self, kind: str, found: MappedRow, line: dict[str, Any]) -> bool:
        """Note what the service's model refuses; tell whether that is nothing."""
        found_wrong = False
        named = {part.path for part, _ in found.build.errors}
        for wrong in self._models.wrongs(kind, line):
            found_wrong = True
            place = found.build.places.get(wrong.location)
            if place is None or place.path not in named:
                self._fault(found, wrong.location, wrong.message)
        return not found_wrong

    def _is_whole(self, found: MappedRow, *names: str) -> bool:
        """Note which of the names are empty; tell whether none is."""
        noted = {part.path for part, _ in found.build.errors}
        empty = [name for name in names if name not in found.body]
        for name in empty:
            if found.build.places[name,].path not in noted:
                self._fault(found, (name,), "This is empty")
        return not empty

    def _refers(self, found: MappedRow, name: str, kind: str) -> bool:
        key = found.body[name]
        if self.staging.has(kind, key):
            return True
        if kind in self._unread:
            return False
        section = self.plan.members if kind == "members" else self.plan.customers
        where = section.table.name if section else "the mapping"
        self._fault(found, (name,), f"There is no {key!r} in {where}")
        return False

    def _stage(self, kind: str, found: MappedRow, key: str | None = None) -> None:
        other = self.staging.add(kind, key or found.key, found.row.line, found.body)
        if other is not None and found.section.key is not None:
            label = found.section.key.label
            message = f"Line {other} has {found.key!r} already"
            self.faults.add(found.section.table.name, found.row.line, label, message)

    def _fault(self, found: MappedRow, location: tuple[str | int, ...], message: str) -> None:
        self.faults.add(*found.fault(location, message))

    def _fill_look_ups(self) -> None:
        for section in (self.plan.members, self.plan.customers, self.plan.orders, self.plan.lines):
            for look_up in section.look_ups() if section else ():
                try:
                    for row in look_up.table.rows((look_up.key, look_up.column), self.faults):
                        key, value = row.cells[look_up.key], row.cells[look_up.column]
                        if look_up.found.setdefault(key, value) != value:
                            message = f"{key!r} is there twice, with two values"
                            self.faults.add(look_up.table.name, row.line, look_up.key, message)
                except UnreadableError:
                    continue


def _any_id(_kind: str, _key: str) -> str:
    return records.NO_ID


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
