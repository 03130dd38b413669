"""Importing customers and assignments: once in effect, by the rules, told to the bus as imported."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from bailiwick_contracts.customers import AssignmentChanged, CustomerChanged
from bailiwick_customers.importing import BATCH
from bailiwick_customers.store import tables
from bailiwick_kit.errors import Forbidden, Refusal
from bailiwick_kit.imports.jsonl import LineError
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.services.import_lines import Open, assignment, customer, imported
from bailiwick_testkit.services.service_under_test import ServiceUnderTest


async def events(shop: ServiceUnderTest) -> list[dict[str, Any]]:
    async with shop.database.reading(shop.org_id) as connection:
        rows = await connection.execute(sa.select(tables.outbox).order_by(tables.outbox.c.position))
        return [{"type": row.type, "bulk": row.bulk, **json.loads(row.body)} for row in rows]


async def test_imported_records_are_seen_and_a_second_run_changes_nothing(
    shop: ServiceUnderTest, opening: Open
) -> None:
    mia = await shop.member("brand_manager")
    ana = shop.identity.person(shop.org_id, permissions=["seller"])  # the replica has to be pulled
    bruno = shop.identity.person(shop.org_id, "sales_representative")
    lines = [
        customer(
            "A", addresses=[{"country": "ES", "city": "Ávila"}], created_at="2020-02-29T00:00:00Z"
        ),
        customer("B", status="suspended", terms={"discount": "0.05"}),
        assignment("A", ana),
        assignment("A", bruno, "additional"),
        assignment("B", bruno),
    ]
    async with opening(mia) as work:
        first = await imported(work, *lines)
        told = await events(shop)
        second = await imported(work, *lines)

    assert [one["outcome"] for one in first] == ["created"] * 5
    assert second == [{**one, "outcome": "unchanged"} for one in first]
    assert await events(shop) == told
    assert [event["type"] for event in told] == [CustomerChanged.type] * 2 + [
        AssignmentChanged.type
    ]
    assert all(event["imported"] and event["bulk"] for event in told)
    assert [event["seq"] for event in told] == [1, 2, 3]
    assert len(told[2]["assignments"]) == 3
    seen = (await shop.api.get(ana, "/v1/customers")).json()["items"]
    assert [(one["name"], one["main_id"], one["created_at"]) for one in seen] == [
        ("Shop A", str(ana.member_id), "2020-02-29T00:00:00Z")
    ]
    assert seen[0]["addresses"][0]["primary"] is True
    assert (await shop.api.get(bruno, "/v1/customers/count")).json() == {"count": 2}


async def test_more_records_than_a_batch_are_numbered_without_gaps(
    shop: ServiceUnderTest, opening: Open
) -> None:
    mia = await shop.member("brand_manager")
    count = BATCH + 100
    customers = [customer(str(number)) for number in range(count)]
    async with opening(mia) as work:
        became = await imported(
            work, *customers, *(assignment(one["external_ref"], mia) for one in customers)
        )

    assert sum(one["outcome"] == "created" for one in became) == 2 * count
    told = await events(shop)
    assert [event["seq"] for event in told] == list(range(1, count + 3))
    assert [len(event["assignments"]) for event in told[count:]] == [BATCH, 100]


async def test_a_new_main_takes_over_with_notice(shop: ServiceUnderTest, opening: Open) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    async with opening(mia) as work:
        await imported(work, customer("A"), assignment("A", ana))
        await imported(work, assignment("A", mia))

    told = (await events(shop))[-1]["assignments"]
    ended, begun = sorted(told, key=lambda one: one["version"], reverse=True)
    assert ended["member_id"] == str(ana.member_id)
    assert ended["valid_to"] == begun["valid_from"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"kind": "customer"', "line 2: "),
        ("[]", "line 2: "),
        ('{"kind": "order"}', "line 2: "),
        ('{"kind": "customer", "external_ref": "B"}', "line 2: "),
        (json.dumps(customer("B", version=3)), "line 2: version: Remove this field"),
        (json.dumps(customer("B", addresses=[{"country": "UK"}])), "line 2: addresses"),
        (
            json.dumps(customer("B", created_at="2020-01-01")),
            "line 2: created_at: Write an instant",
        ),
        (json.dumps(customer("B", name="a\x00b")), "line 2: name: Remove the character"),
        (json.dumps(customer("A")), "line 2: external_ref: The same as on line 1"),
        (
            json.dumps(customer("B", contacts=[{"name": "Ω" * 200}] * 50)),
            "line 2: contacts: Shorten it, or leave out",
        ),
    ],
)
async def test_a_wrong_line_is_named_and_its_batch_is_not_imported(
    shop: ServiceUnderTest, opening: Open, line: str, said: str
) -> None:
    mia = await shop.member("brand_manager")
    async with opening(mia) as work:
        with pytest.raises(LineError, match=said):
            await anext(work.run([json.dumps(customer("A")).encode(), line.encode()]))

    assert await events(shop) == []


async def test_assignments_keep_the_rules_whoever_brings_them(
    shop: ServiceUnderTest, opening: Open
) -> None:
    mia = await shop.member("brand_manager")
    tom = await shop.member("sales_assistant")
    stranger = Person(shop.org_id, uuid4(), "")
    async with opening(mia) as work:
        await imported(work, customer("A"))
        for line, said in (
            (assignment("A", tom), "line 2: member_id: Name an active member who sells"),
            (assignment("A", stranger), "line 2: member_id: Name an active member who sells"),
            (assignment("B", mia), "line 2: customer: Import this customer first"),
            (assignment("A", mia, valid_to="2020-01-01T00:00:00Z"), "line 2: Choose an end after"),
        ):
            with pytest.raises(LineError, match=said):
                await imported(work, assignment("A", mia, "additional"), line)
    await shop.settings(assignment_model="single")
    async with opening(mia) as work:
        with pytest.raises(LineError, match="line 1: Assign a main representative"):
            await imported(work, assignment("A", mia, "additional"))


async def test_who_represented_customers_before_they_left_is_imported_as_it_was(
    shop: ServiceUnderTest, opening: Open
) -> None:
    mia = await shop.member("brand_manager")
    rep = "sales_representative"
    left = await shop.member(
        rep,
        valid_from=datetime(2019, 1, 1, tzinfo=UTC),
        valid_until=datetime(2023, 1, 1, tzinfo=UTC),
    )
    gone = await shop.member(rep, status="inactive")
    helper = await shop.member("sales_assistant", status="inactive")
    to_come = await shop.member(rep, valid_from=datetime.now(UTC) + timedelta(days=30))
    until = {"valid_to": "2022-06-01T00:00:00Z"}
    right = [
        assignment("A", left, valid_from="2020-01-01T00:00:00Z", **until),
        assignment("B", left, valid_from="2020-01-01T00:00:00Z"),
        assignment("C", left, valid_from="2012-01-01T00:00:00Z", **until),
        assignment("A", gone, "additional", valid_from="2021-01-01T00:00:00Z", **until),
        assignment("C", mia, valid_from="2023-01-01T00:00:00Z"),
    ]
    wrong = [
        assignment("A", left, valid_from="2023-01-01T00:00:00Z"),
        assignment("A", left),
        assignment("A", gone, valid_from="2021-01-01T00:00:00Z"),
        assignment("A", helper, valid_from="2021-01-01T00:00:00Z", **until),
        assignment("A", to_come, valid_from="2021-01-01T00:00:00Z"),
        assignment("A", to_come),
    ]
    async with opening(mia) as work:
        await imported(work, *(customer(ref) for ref in "ABC"))
        became = await imported(work, *right)
        for line in wrong:
            with pytest.raises(LineError, match="line 1: member_id: Name an active member"):
                await imported(work, line)

    assert [one["outcome"] for one in became] == ["created"] * len(right)
    unassigned = (await shop.api.get(mia, "/v1/customers?unassigned=true")).json()["items"]
    assert {one["name"] for one in unassigned} == {"Shop A", "Shop B"}


async def test_a_customer_shows_and_is_found_by_what_it_was_called_before(
    shop: ServiceUnderTest, opening: Open
) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    async with opening(mia) as work:
        await imported(
            work, customer("KD-10023"), customer("KD-10024"), assignment("KD-10023", ana)
        )
    for text, of_mia in (("kd10023", 1), ("KD-10024", 1), ("10023", 1), ("kd", 2), ("99", 0)):
        for who, most in ((mia, 2), (ana, 1)):
            answer = await shop.api.get(who, "/v1/customers", params={"text": text})
            items = answer.json()["items"]
            refs = {one["external_ref"] for one in items}
            assert refs <= {"KD-10023", "KD-10024"}
            assert len(items) == (of_mia if who is mia else int("KD-10023" in refs)) <= most


async def test_who_may_not_assign_cannot_import(shop: ServiceUnderTest, opening: Open) -> None:
    ana = await shop.member(permissions=["seller"])
    async with opening(ana) as work:
        with pytest.raises(Forbidden):
            await imported(work, customer("A"))
    with pytest.raises(Refusal, match="Name a member"):
        async with opening(Person(shop.org_id, uuid4(), "")):
            pass


async def test_what_is_wrong_in_a_file_is_told_before_what_the_organization_does_not_have(
    shop: ServiceUnderTest, opening: Open
) -> None:
    mia = await shop.member("brand_manager")
    backwards = {"valid_from": "2024-01-01T00:00:00Z", "valid_to": "2023-01-01T00:00:00Z"}
    lines = [assignment("A", mia, "additional"), assignment("B", mia, **backwards)]
    async with opening(mia) as work:
        await imported(work, customer("A"), customer("B"))
    await shop.settings(assignment_model="single")
    async with opening(mia) as work:
        with pytest.raises(LineError) as refused:
            await imported(work, *lines)
    assert str(refused.value) == "line 2: Choose an end after the beginning."


async def test_a_changed_row_is_told_and_only_taken_over_where_that_is_asked_for(
    shop: ServiceUnderTest, opening: Open
) -> None:
    mia = await shop.member("brand_manager")
    since = "2020-02-29T00:00:00Z"
    wrong = [
        customer("A", name="Libreria Luma", tags=["old"], created_at=since),
        customer("B"),
        assignment("B", mia, valid_from=since),
    ]
    right = [{**wrong[0], "name": "Librería Luna"}, *wrong[1:]]
    del right[0]["tags"]
    async with opening(mia) as work:
        first = await imported(work, *wrong)
        told = await events(shop)
        without = await imported(work, *right)
        assert await events(shop) == told
    path = f"/v1/customers/{first[0]['customer_id']}"
    async with opening(mia, update=True) as work:
        taken = await imported(work, *right)
        told = await events(shop)
        again = await imported(work, *right)
        assert await events(shop) == told
        with pytest.raises(LineError, match="line 1: created_at: It was imported with 2020-02-29"):
            await imported(work, {**right[0], "created_at": "2021-01-01T00:00:00Z"})

    outcomes = [[one["outcome"] for one in each] for each in (without, taken, again)]
    assert outcomes == [
        ["different", "unchanged", "unchanged"],
        ["updated", "unchanged", "unchanged"],
        ["unchanged"] * 3,
    ]
    shown = (await shop.api.get(mia, path)).json()
    assert (shown["name"], shown["tags"], shown["version"]) == ("Librería Luna", ["old"], 2)
    assert (told[-1]["type"], told[-1]["bulk"]) == (CustomerChanged.type, True)
    found = await shop.api.get(mia, "/v1/customers", params={"text": "luna"})
    assert [one["customer_id"] for one in found.json()["items"]] == [first[0]["customer_id"]]
