"""What each kind of record is to the service that imports it: a JSON line, and the model that checks it.

The model is the service's own, so that what passes here is what the service takes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from bailiwick_customers.importing import AssignmentLine, CustomerLine
from bailiwick_identity.importing import RecordLine
from bailiwick_kit.errors import Refusal
from bailiwick_kit.web.validation import fault_of, own_errors
from bailiwick_orders.importing import ImportedLine, OrderLine

IdOf = Callable[[str, str], str]
"""Gives the id that a record (kind, key) has, or will have."""
NO_ID = "00000000-0000-7000-8000-000000000000"
"""Stands for an id while records are checked."""

_IN_A_CELL = {
    "missing": "This is empty",
    "decimal": "Write a number with a point, 12.30, or name its decimal_mark in the mapping",
}
"""What to do in a file about an error that says it otherwise to those who send JSON."""

MEMBERS_OF_AN_ORDER = {
    "author": "author_id",
    "placed_by": "placed_by",
    "credited_to": "credited_to",
}
"""How a mapping names the members of an order, and how a line does."""


@dataclass(frozen=True)
class Wrong:
    """One thing that a model refuses: where in the record, and what to do."""

    location: tuple[str | int, ...]
    message: str


def member_line(key: str, body: Mapping[str, Any], password: str) -> dict[str, Any]:
    """Return the line that makes a member."""
    return {"password": password, **body, "external_ref": key}


def customer_line(key: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the line that makes a customer."""
    return {"kind": "customer", **body, "external_ref": key}


def assignment_line(body: Mapping[str, Any], id_of: IdOf) -> dict[str, Any]:
    """Return the line that makes an assignment."""
    named = {name: value for name, value in body.items() if name != "member"}
    return {"kind": "assignment", **named, "member_id": id_of("members", body["member"])}


def order_line(
    key: str,
    body: Mapping[str, Any],
    lines: Sequence[Mapping[str, Any]],
    id_of: IdOf,
    currency: str,
) -> dict[str, Any]:
    """Return the line that makes an order; its prices are in its own currency, else in `currency`."""
    made = {**body, "external_ref": key}
    made.setdefault("currency", currency)
    made["lines"] = [_priced(line, made["currency"]) for line in lines]
    made["customer_id"] = id_of("customers", made.pop("customer"))
    for name, field in MEMBERS_OF_AN_ORDER.items():
        if name in made:
            made[field] = id_of("members", made.pop(name))
    return made


def _priced(line: Mapping[str, Any], currency: str) -> dict[str, Any]:
    if "unit_price" not in line:
        return dict(line)
    return {**line, "unit_price": {"amount": line["unit_price"], "currency": currency}}


@dataclass(frozen=True)
class Models:
    """The services' models of lines, and what their domains refuse of them besides."""

    organization: str
    time_zone: str
    currency: str
    now: datetime

    def wrongs(self, kind: str, line: Mapping[str, Any]) -> Iterator[Wrong]:
        """Give what the service would refuse of a line.

        The currency of an order's prices is its own (`order_line`): what is wrong with it is told once.
        """
        try:
            self._take(kind, json.dumps(line))
        except ValidationError as error:
            found = list(_wrongs(error))
            if any(one.location[:1] == ("lines",) and len(one.location) > 1 for one in found):
                # A model judges lines up to the first wrong one; who corrects a file is told all of them.
                found = [one for one in found if one.location[:1] != ("lines",)]
                found += _wrongs_of_lines(line["lines"])
            yield from (one for one in found if one.location[2:] != ("unit_price", "currency"))
        except Refusal as refusal:
            if not refusal.faults:
                yield Wrong((), str(refusal))
            for fault in refusal.faults:
                yield Wrong(_location(fault.where), fault.message)

    def _take(self, kind: str, line: str) -> None:
        match kind:
            case "members":
                RecordLine.model_validate_json(line).check(self.organization, self.now)
            case "customers":
                CustomerLine.model_validate_json(line).check()
            case "assignments":
                AssignmentLine.model_validate_json(line).record()
            case _:
                order = OrderLine.model_validate_json(line)
                order.check(self.currency, self.time_zone, self.now)


def _wrongs(error: ValidationError, *at: str | int) -> Iterator[Wrong]:
    for one in own_errors(error.errors(include_url=False, include_input=False)):
        message = _IN_A_CELL.get(one["type"]) or fault_of(one).message
        yield Wrong((*at, *one["loc"]), message)


def _wrongs_of_lines(lines: Sequence[Mapping[str, Any]]) -> Iterator[Wrong]:
    for place, line in enumerate(lines):
        try:
            ImportedLine.model_validate_json(json.dumps(line))
        except ValidationError as error:
            yield from _wrongs(error, "lines", place)


def _location(where: str) -> tuple[str | int, ...]:
    parts = re.findall(r"[^.\[\]]+", where)
    return tuple(int(part) if part.isdigit() else part for part in parts)
