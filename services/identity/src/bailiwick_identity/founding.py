"""What an operator does from the command line: found an organization with its first brand manager."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

import typer
from pydantic import AfterValidator, ValidationError

from bailiwick_identity.actions.create_organization import (
    Founded,
    NewOrganization,
    create_organization,
)
from bailiwick_identity.api import schemas
from bailiwick_identity.domain.grants import Mode, Role, granted
from bailiwick_identity.domain.member import NewMember
from bailiwick_identity.store.passwords import ArgonPasswords
from bailiwick_identity.store.sign_ins import StoredSignIns
from bailiwick_identity.store.unit_of_work import OpenUnit
from bailiwick_kit.clock import SystemClock
from bailiwick_kit.errors import Refusal
from bailiwick_kit.imports import jsonl
from bailiwick_kit.retrying import may_pass, patiently
from bailiwick_kit.text.iso import Currency
from bailiwick_kit.text.strings import Text
from bailiwick_kit.web.fields import Model
from bailiwick_kit.web.validation import refusal_of

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Tools:
    """What the commands work with."""

    open_unit: OpenUnit
    sign_ins: StoredSignIns
    passwords: ArgonPasswords


Open = Callable[[], AbstractAsyncContextManager[Tools]]


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ValueError, OSError, KeyError):  # not found is a KeyError, a folder an OSError
        raise ValueError("Send an IANA time zone: Europe/Madrid") from None
    return value


class NewOrganizationBody(Model):
    """An organization to found, with its first brand manager."""

    name: Text
    time_zone: Annotated[str, AfterValidator(_time_zone)]
    currency: Currency
    package: Text
    seat_limit: int | None
    manager_name: Text
    email: schemas.Email
    password: schemas.Password
    language: schemas.Language

    def command(self) -> NewOrganization:
        """Return what the action takes."""
        manager = NewMember(
            name=self.manager_name,
            email=self.email,
            password=self.password,
            grants=granted(mode=Mode.ROLE, role=Role.BRAND_MANAGER),
            language=self.language,
            valid_from=None,
            valid_until=None,
        )
        return NewOrganization(
            self.name, self.time_zone, self.currency, self.package, self.seat_limit, manager
        )


def add_to(program: typer.Typer, open_tools: Open) -> None:
    """Add the command to identity's program."""

    @program.command("create-organization")
    def create(
        name: Annotated[str, typer.Option(help="The organization's name")],
        time_zone: Annotated[str, typer.Option(help="IANA name: Europe/Madrid")],
        currency: Annotated[str, typer.Option(help="ISO 4217: EUR")],
        manager_name: Annotated[str, typer.Option(help="The first brand manager's name")],
        email: Annotated[str, typer.Option(help="What the brand manager signs in with")],
        package: Annotated[str, typer.Option(help="The package it has")] = "standard",
        seat_limit: Annotated[int | None, typer.Option(min=1, help="Left out: no limit")] = None,
        language: Annotated[str, typer.Option(help="The manager's: es, en or fr")] = "en",
        *,
        password_stdin: Annotated[
            bool, typer.Option("--password-stdin", help="Read the password from standard input")
        ] = False,
        if_absent: Annotated[
            bool,
            typer.Option("--if-absent", help="Change nothing where the manager has it already"),
        ] = False,
    ) -> None:
        """Create an organization with its first brand manager; print their ids as JSON."""
        if password_stdin:
            password = sys.stdin.readline().rstrip("\r\n")
        else:
            password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
        asked = {
            "name": name,
            "time_zone": time_zone,
            "currency": currency,
            "manager_name": manager_name,
            "email": email,
            "password": password,
            "package": package,
            "seat_limit": seat_limit,
            "language": language,
        }
        founded = done(_create(open_tools, asked, if_absent=if_absent))
        typer.echo(json.dumps(asdict(founded), default=str))


async def _create(open_tools: Open, asked: dict[str, Any], *, if_absent: bool) -> Founded:
    try:
        new = NewOrganizationBody.model_validate(asked).command()
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise refusal_of(found) from None
    async with open_tools() as tools:

        async def create() -> Founded:
            return await create_organization(
                tools.open_unit,
                tools.sign_ins,
                tools.passwords,
                new,
                SystemClock().now(),
                if_absent=if_absent,
            )

        # Without `if_absent`, one whose answer was lost would be founded twice.
        patience = jsonl.PATIENCE if if_absent else 0.0
        return await patiently(create, patience, jsonl.waiting)


def done(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run a command; say on standard error what is refused or does not answer, and end with its exit code."""
    try:
        return asyncio.run(work)
    except Exception as error:
        if may_pass(error):
            raise typer.Exit(jsonl.later(error)) from None
        if not isinstance(error, Refusal):
            raise
        for message in told(error):
            typer.echo(message, err=True)
        raise typer.Exit(jsonl.REFUSED) from None


def told(refusal: Refusal) -> list[str]:
    """Return what is wrong, for people at a terminal; what was sent is not repeated."""
    if refusal.faults:
        return [f"{fault.where}: {fault.message}" for fault in refusal.faults]
    return [f"{refusal.title}. {refusal.detail}".rstrip()]
