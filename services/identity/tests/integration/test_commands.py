"""What operators do: found an organization, import its members, and do either again (D27)."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from bailiwick_identity.main import program
from bailiwick_kit.settings import PREFIX
from bailiwick_testkit.services.identity import PASSWORD, IdentityService

FOUND = {
    "name": "Wines & Co.",
    "time-zone": "Europe/Madrid",
    "currency": "EUR",
    "manager-name": "Mia",
    "email": "mia@wines.example",
}


@pytest.fixture
def environment(house: IdentityService, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of the running house, as a process finds them."""
    for name, value in house.settings.model_dump().items():
        shown = value.get_secret_value() if hasattr(value, "get_secret_value") else value
        if shown is not None:
            monkeypatch.setenv(f"{PREFIX}{name.upper()}", str(shown))


async def run(*arguments: str, given: str = "") -> tuple[int, str, str]:
    """Run a command as its own loop, beside this one."""
    result = await asyncio.to_thread(CliRunner().invoke, program, list(arguments), input=given)
    return result.exit_code, result.stdout, result.stderr


async def found(*more: str, password: str = PASSWORD, **changes: str) -> tuple[int, Any, str]:
    asked = {**FOUND, **{name.replace("_", "-"): value for name, value in changes.items()}}
    options = [part for name, value in asked.items() for part in (f"--{name}", value)]
    code, out, error = await run(
        "create-organization", *options, "--password-stdin", *more, given=password + "\n"
    )
    return code, json.loads(out) if code == 0 else out, error


def lines(*records: dict[str, Any]) -> str:
    whole = [
        {"name": "Ana", "password": PASSWORD, "role": "sales_representative", **record}
        for record in records
    ]
    return "\n".join(json.dumps(record) for record in whole)


@pytest.mark.usefixtures("environment")
async def test_a_founded_organization_has_a_manager_who_signs_in(house: IdentityService) -> None:
    code, made, _ = await found()

    assert (code, made["created"]) == (0, True)
    mia = await house.person("mia@wines.example")
    assert (str(mia.org_id), str(mia.member_id)) == (made["org_id"], made["member_id"])
    again = await found("--if-absent", password="whatever it is now")
    assert again[1] == {**made, "created": False}
    second = await found(name="Cheese")
    assert second[1]["org_id"] != made["org_id"], "another organization of the same account"


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"currency": "EURO"}, "currency"),
        ({"time_zone": "Mars"}, "time_zone"),
        ({"time_zone": "../etc"}, "time_zone"),
        ({"email": "mia"}, "email"),
        ({"password": "short"}, "password"),
        ({"language": "de"}, "language"),
    ],
    ids=str,
)
async def test_what_cannot_be_founded_is_told_by_name(
    house: IdentityService, changes: dict[str, str], where: str
) -> None:
    code, _, error = await found(**changes)
    assert (code, error.partition(":")[0]) == (1, where)


@pytest.mark.usefixtures("environment")
async def test_an_account_there_is_founds_with_its_own_password_only(
    house: IdentityService,
) -> None:
    await found()
    code, _, error = await found(name="Cheese", password="some other long password")
    assert (code, error.partition(":")[0]) == (1, "password")


@pytest.mark.usefixtures("environment")
async def test_an_import_makes_each_member_once(house: IdentityService) -> None:
    made = (await found())[1]
    given = lines(
        {"external_ref": "1", "email": "ana@wines.example"},
        {"external_ref": "2", "email": "mia@wines.example", "role": "brand_manager"},
        {"external_ref": "3", "email": "zoe@wines.example", "role": "sales_assistant"},
    )
    arguments = ("import", "--org", made["org_id"], "--source", "old")

    first = [json.loads(line) for line in (await run(*arguments, given=given))[1].splitlines()]
    second = [json.loads(line) for line in (await run(*arguments, given=given))[1].splitlines()]

    assert [(one["external_ref"], one["outcome"]) for one in first] == [
        ("1", "created"),
        ("2", "unchanged"),
        ("3", "created"),
    ]
    assert first[1]["member_id"] == made["member_id"], "who is a member already is linked"
    assert second == [{**one, "outcome": "unchanged"} for one in first]
    mia = await house.person("mia@wines.example")
    listed = (await house.api.get(mia, "/v1/members")).json()["items"]
    assert len(listed) == 3
    assert (await house.person("ana@wines.example")).org_id == mia.org_id


@pytest.mark.usefixtures("environment")
async def test_whoever_has_an_account_is_active_by_its_password_and_else_invited(
    house: IdentityService,
) -> None:
    made = (await found())[1]
    await house.found(email="eva@wines.example")
    await house.found(email="bo@wines.example")
    given = lines(
        {"external_ref": "1", "email": "eva@wines.example"},
        {"external_ref": "2", "email": "bo@wines.example", "password": "a guess at bo's password"},
    )

    code, _, error = await run("import", "--org", made["org_id"], "--source", "old", given=given)

    assert code == 0, error
    mia = await house.person("mia@wines.example")
    listed = (await house.api.get(mia, "/v1/members")).json()["items"]
    status = {one["email"]: one["status"] for one in listed}
    assert (status["eva@wines.example"], status["bo@wines.example"]) == ("active", "invited")


@pytest.mark.usefixtures("environment")
async def test_a_changed_row_is_told_and_gives_no_rights(house: IdentityService) -> None:
    made = (await found())[1]
    arguments = ["import", "--org", made["org_id"], "--source", "old"]
    ana = {"external_ref": "1", "email": "ana@wines.example"}
    bo = {"external_ref": "2", "email": "bo@wines.example"}
    renamed = {**ana, "name": "Ana Núñez", "language": "es"}

    async def outcomes(*rows: dict[str, Any], update: bool = False) -> list[str]:
        more = ["--update"] if update else []
        code, out, error = await run(*arguments, *more, given=lines(*rows))
        assert code == 0, error
        return [json.loads(line)["outcome"] for line in out.splitlines()]

    assert await outcomes(ana, bo) == ["created", "created"]
    assert await outcomes({**ana, "password": "another long one"}, bo) == ["unchanged"] * 2
    assert await outcomes(renamed, bo) == ["different", "unchanged"]
    mia = await house.person("mia@wines.example")
    listed = (await house.api.get(mia, "/v1/members")).json()["items"]
    [was] = [one for one in listed if one["email"] == ana["email"]]
    promoted = await house.api.patch(
        mia, f"/v1/members/{was['member_id']}", {"role": "sales_manager"}, '"v1"'
    )
    assert promoted.status_code == 200, promoted.text
    assert await outcomes(renamed, bo, update=True) == ["different", "unchanged"]
    renamed_bo = {**bo, "name": "Bo Núñez", "language": "es"}
    assert await outcomes(ana, renamed_bo, update=True) == ["unchanged", "updated"]
    assert await outcomes(ana, renamed_bo, update=True) == ["unchanged", "unchanged"]
    listed = (await house.api.get(mia, "/v1/members")).json()["items"]
    now = {one["email"]: (one["name"], one["language"], one["role"]) for one in listed}
    assert now[ana["email"]] == (was["name"], was["language"], "sales_manager")
    assert now[bo["email"]] == ("Bo Núñez", "es", "sales_representative")
    for changes in ({"role": "brand_manager"}, {"email": "other@wines.example"}):
        code, _, error = await run(*arguments, "--update", given=lines({**bo, **changes}))
        assert (code, error.partition(" a ")[0]) == (1, "line 1: role: What")


@pytest.mark.usefixtures("environment")
async def test_who_has_left_is_imported_and_takes_no_seat(house: IdentityService) -> None:
    made = (await found("--seat-limit=2"))[1]
    given = lines(
        {"external_ref": "1", "email": "ana@wines.example"},
        {"external_ref": "2", "email": "bo@wines.example", "valid_until": "2023-01-01T00:00:00Z"},
        {
            "external_ref": "3",
            "email": "eva@wines.example",
            "valid_from": "2019-01-01T00:00:00Z",
            "valid_until": "2023-01-01T00:00:00Z",
        },
    )
    arguments = ("import", "--org", made["org_id"], "--source", "old")
    code, _, error = await run(*arguments, given=given)
    assert code == 0, error
    mia = await house.person("mia@wines.example")
    listed = (await house.api.get(mia, "/v1/members")).json()["items"]
    told = {one["email"]: (one["valid_from"][:10], one["valid_until"][:10]) for one in listed}
    assert told["bo@wines.example"] == ("1900-01-01", "2023-01-01")
    assert told["eva@wines.example"] == ("2019-01-01", "2023-01-01")
    turned = {"valid_from": "2023-01-01T00:00:00Z", "valid_until": "2019-01-01T00:00:00Z"}
    code, _, error = await run(
        *arguments, given=lines({"external_ref": "4", "email": "kim@wines.example", **turned})
    )
    assert (code, error.partition(": Ch")[0]) == (1, "line 1: valid_until")


@pytest.mark.usefixtures("environment")
async def test_nothing_is_imported_while_a_line_is_wrong(house: IdentityService) -> None:
    made = (await found())[1]
    given = "\n".join(
        [
            lines({"external_ref": "1", "email": "ana@wines.example"}),
            "",
            "{",
            lines({"external_ref": "1", "email": "bo@wines.example"}),
            lines({"external_ref": "2", "email": "bo", "role": "owner", "status": "active"}),
            lines({"external_ref": "3", "email": "zoe@wines.example", "ticks": {"prices": "edit"}}),
        ]
    )
    arguments = ("import", "--org", made["org_id"], "--source", "old")

    code, out, error = await run(*arguments, given=given)

    assert (code, out) == (1, "")
    told = [tuple(line.split(": ")[:2]) for line in error.splitlines()]
    assert ("line 4", "external_ref") in told
    assert {where for line, where in told if line == "line 5"} == {"email", "role", "status"}
    assert ("line 6", "ticks") in told
    assert any(line == "line 3" for line, _ in told)
    weak = lines(
        {"external_ref": "1", "email": "ana@wines.example"},
        {"external_ref": "2", "email": "bo@wines.example", "password": "short"},
    )
    code, out, error = await run(*arguments, given=weak)
    assert (code, out) == (1, "")
    assert error.startswith("line 2: password: ")
    mia = await house.person("mia@wines.example")
    assert len((await house.api.get(mia, "/v1/members")).json()["items"]) == 1
    nowhere = await run("import", "--org", str(uuid4()), "--source", "old", given=weak)
    assert (nowhere[0], nowhere[1]) == (1, "")
