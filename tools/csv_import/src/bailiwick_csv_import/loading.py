"""Loads checked records through each service's own `import`, in the order in which they name each other."""

from __future__ import annotations

import itertools
import json
import os
import re
import secrets
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bailiwick_csv_import import records
from bailiwick_csv_import.faults import MOST_SHOWN
from bailiwick_csv_import.feeding import Feed, FeedError
from bailiwick_csv_import.plan import Plan
from bailiwick_csv_import.progress import Progress
from bailiwick_csv_import.staging import Staged, Staging
from bailiwick_csv_import.target import ImportStoppedError, Target

_LINE = re.compile(r"line (\d+): ")
KINDS = ("members", "customers", "assignments", "orders")


@dataclass
class Passwords:
    """Passwords that were made up here, in a file that only its owner reads; kept if they were needed."""

    target: Target
    path: Path
    made: dict[str, str] = field(default_factory=dict)

    def of(self, member: Staged) -> str:
        """Return the member's own password from the file, else one made up and written down."""
        if given := member.body.get("password"):
            return str(given)
        if member.key not in self.made:
            self.made[member.key] = secrets.token_urlsafe(15)
            line = f"{member.body['email']}\t{self.made[member.key]}\n"
            with self.target.places.opened(self.path, os.O_WRONLY | os.O_APPEND) as file:
                file.write(line.encode())
        return self.made[member.key]

    def keep(self, needed: dict[str, str]) -> Path | None:
        """Keep those of the members named (key → address); return the file if there are any."""
        lines = [
            f"{email}\t{self.made[key]}\n" for key, email in needed.items() if key in self.made
        ]
        if not lines:
            self.path.unlink(missing_ok=True)
            return None
        self.target.places.write(self.path, "".join(lines))
        return self.path


@dataclass
class Load:
    """One loading of a staging. Interrupted, it can be run again."""

    target: Target
    plan: Plan
    staging: Staging
    progress: Progress
    passwords: Passwords
    folder: Path
    tallies: dict[str, Counter[str]] = field(default_factory=dict)
    """How many records of a kind became what (`kit.imports.Outcome`)."""
    different: list[str] = field(default_factory=list)
    """Where the first rows are that differ from what was imported before, and stay."""
    update: bool = False
    _org_id: str = ""
    _member_id: str = ""

    def run(self, founder: str) -> Path | None:
        """Load everything; return the file of the passwords made up, if any.

        Raises:
            ImportStoppedError: a service refuses a record, which it names, or cannot be asked.
        """
        new = self._found_organization(founder)
        kept = self._members({founder} if new else set())
        self._load("customers", ("customers", "assignments"))
        self._load("orders", ("orders",))
        return kept

    def _found_organization(self, founder: str) -> bool:
        """Find the organization, or make it with its first member; tell whether it was made."""
        member = self.staging.get("members", founder)
        assert member is not None  # noqa: S101 - the check has found it there
        organization = self.plan.organization
        arguments = {
            "--name": organization.name,
            "--time-zone": organization.time_zone,
            "--currency": organization.currency,
            "--manager-name": member.body["name"],
            "--email": member.body["email"],
        }
        command = [f"{name}={value}" for name, value in arguments.items()]
        command = ["create-organization", *command, "--password-stdin", "--if-absent"]
        password = self.passwords.of(member).encode() + b"\n"
        (answer,) = self._feed("identity", command, [password], ["members"])
        self._org_id, self._member_id = answer["org_id"], answer["member_id"]
        return bool(answer["created"])

    def _members(self, made: set[str]) -> Path | None:
        """Import members; those that were made with the organization count as created."""
        tally = self.tallies["members"] = Counter()
        created: dict[str, str] = {}
        lines = (
            records.member_line(one.key, one.body, self.passwords.of(one))
            for one in self.staging.all("members")
        )
        for answer in self._import(["members"], "identity", lines):
            key = answer["external_ref"]
            is_new = answer["outcome"] == "created" or key in made
            tally["created" if is_new else answer["outcome"]] += 1
            self.staging.keep_ids("members", [(key, answer["member_id"])])
            if is_new and (member := self.staging.get("members", key)):
                created[key] = member.body["email"]
        return self.passwords.keep(created)

    def _load(self, service: str, kinds: Sequence[str]) -> None:
        """Import what one service takes, in one go."""
        kinds = [kind for kind in kinds if getattr(self.plan, kind) is not None]
        lines = itertools.chain.from_iterable(self._lines(kind) for kind in kinds)
        for answer in self._import(kinds, service, lines) if kinds else ():
            kind = f"{answer['kind']}s"
            self.tallies.setdefault(kind, Counter())[answer["outcome"]] += 1
            if kind == "customers":
                self.staging.keep_ids(kind, [(answer["external_ref"], answer["customer_id"])])

    def _lines(self, kind: str) -> Iterator[dict[str, Any]]:
        id_of, currency = self.staging.id_of, self.plan.organization.currency
        for one in self.staging.all(kind):
            match kind:
                case "customers":
                    yield records.customer_line(one.key, one.body)
                case "assignments":
                    yield records.assignment_line(one.body, id_of)
                case _:
                    lines = [line.body for line in self.staging.lines(one.key)]
                    yield records.order_line(one.key, one.body, lines, id_of, currency)

    def _import(
        self, kinds: Sequence[str], service: str, lines: Iterable[dict[str, Any]]
    ) -> Iterator[dict[str, Any]]:
        arguments = ["import", f"--org={self._org_id}", f"--source={self.plan.source}"]
        if service != "identity":
            arguments.append(f"--member={self._member_id}")
        if self.update:
            arguments.append("--update")
        encoded = (json.dumps(line).encode() + b"\n" for line in lines)
        for number, answer in enumerate(self._feed(service, arguments, encoded, kinds), start=1):
            self.progress.step(f"loading {' and '.join(kinds)}")
            if answer["outcome"] == "different" and len(self.different) < MOST_SHOWN:
                self.different.append(self._in_file(number, kinds) or "")
            yield answer
        self.progress.done()

    def _feed(
        self, service: str, arguments: list[str], lines: Iterable[bytes], kinds: Sequence[str]
    ) -> Iterator[dict[str, Any]]:
        """Run a service's subcommand, give it the lines, and give what it answers, as it comes."""
        with tempfile.TemporaryFile(dir=self.folder) as sent:
            sent.writelines(lines)
            sent.seek(0)
            feed = Feed(self.target, service, arguments, sent, self.folder)
            try:
                yield from feed.answers()
            except FeedError as error:
                raise ImportStoppedError(self._told(error, kinds)) from None

    def _told(self, error: FeedError, kinds: Sequence[str]) -> str:
        """Say what a service said at its end, its line numbers as those of the files, and what to do."""

        def in_file(match: re.Match[str]) -> str:
            place = self._in_file(error.answered + int(match[1]), kinds)
            return f"{place}: " if place else match[0]

        said = _LINE.sub(in_file, "\n".join(error.said.splitlines()[-20:]))
        what = (
            "Correct the files and run"
            if said != error.said
            else "Nothing is wrong with the files: run"
        )
        return f"{said}\nWhat was loaded before this stays. {what} the same import again."

    def _in_file(self, number: int, kinds: Sequence[str]) -> str | None:
        """Return where the record of a number among those of some kinds stands: file and line."""
        for kind in kinds:
            if number <= (count := self.staging.count(kind)):
                name = getattr(self.plan, kind).table.name
                return f"{name}:{self.staging.line_of(kind, number)}"
            number -= count
        return None
