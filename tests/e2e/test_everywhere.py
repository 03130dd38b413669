"""For each person and record: in the list ⇔ by id 200 ⇔ in the count ⇔ the oracle says so ⇔ in the reports.

Two organizations side by side, everybody of every kind, under several settings. What somebody may not
see is not told from what is not there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from bailiwick_kit.clock import END_OF_TIME
from bailiwick_testkit.policy import oracle
from bailiwick_testkit.servers.stack import Running
from bailiwick_testkit.services.company import Company, Someone, a_company, done
from bailiwick_testkit.services.orders import an_order

_LATER = "2999-01-01T00:00:00Z"
_NOW = datetime(2026, 6, 1, tzinfo=UTC)
PEOPLE: dict[str, dict[str, Any]] = {
    "max": {"role": "sales_manager"},
    "nora": {"role": "sales_administrator"},
    "bruno": {"role": "sales_representative"},
    "ben": {"role": "sales_representative"},
    "tom": {"role": "sales_assistant"},
    "zoe": {"role": "custom_member", "ticks": {"customers": "view"}},
    "ana": {"permissions": ["seller"]},
    "ada": {"permissions": ["seller", "reports"]},
    "carl": {"permissions": ["customers"]},
    "omar": {"permissions": ["orders"]},
    "rene": {"permissions": ["reports"]},
    "lea": {"permissions": ["reports", "members"]},
    "eva": {"permissions": []},
    "ines": {"role": "sales_representative"},
}
ORDERS = (
    ("C1", "buyer", "placed"),
    ("C1", "ana", "placed"),
    ("C1", "ana", "draft"),
    ("C1", "mia", "confirmed"),
    ("C2", "bruno", "placed"),
    ("C2", "ana", "draft"),
    ("C2", "ana", "fulfilled"),
    ("C2", "tom", "draft"),
    ("C3", "buyer", "draft"),
    ("C3", "tom", "placed"),
    ("C4", "mia", "cancelled"),
    ("C4", "ada", "placed"),
    ("C5", "ben", "placed"),
    ("C5", "ben", "draft"),
    ("C6", "omar", "placed"),
)
"""For whom, by whom, in which state."""
VERBS = {
    "confirmed": ("confirm",),
    "fulfilled": ("confirm", "fulfil"),
    "cancelled": ("cancel",),
}


@dataclass
class Town:
    """A company as the stack has it, and as the oracle has it; ids by the oracle's names."""

    company: Company
    world: oracle.World
    ids: dict[str, str] = field(default_factory=dict)

    def someone(self, member: oracle.Member) -> Someone:
        """Give the member as who is signed in."""
        return self.company[member.id]

    def seen(self, member: oracle.Member, resource: str) -> set[str] | None:
        """Give the ids that the oracle lets a member see, None where it does not let them ask."""
        asked = oracle.Oracle(self.world)
        if not asked.answer(member, resource, "view").capable:
            return None
        rows = self.world.customers if resource == "customers" else self.world.orders
        return {
            self.ids[row.id]
            for row in rows
            if row.org_id == oracle.ORGANIZATION
            and asked.answer(member, resource, "view", row).visible
        }


@dataclass
class Country:
    """A town, and what is elsewhere: ids that exist, in an organization of strangers."""

    here: Town
    strangers: Company
    elsewhere: dict[str, str]


@pytest.fixture(scope="module")
def country(stack: Running) -> Iterator[Country]:
    with a_company(stack, "mia") as company, a_company(stack, "mona") as strangers:
        rep = strangers.hire("rita", "sales_representative")
        customer = strangers.customer("C1", by=rep)
        order = strangers.order(rep, customer)["order_id"]
        elsewhere = {"customers": customer, "orders": order, "members": rep.member_id}
        yield Country(_settle(company), strangers, elsewhere)


def _settle(company: Company) -> Town:
    """Let everybody move in, and tell the oracle what it has to know of them."""
    for name, grants in PEOPLE.items():
        company.hire(name, **grants)
    company.storefront()
    members = [oracle.Member("mia", role="brand_manager")]
    members += [_member(name, **grants) for name, grants in PEOPLE.items()]
    members += [oracle.Member("buyer", is_storefront=True)]
    town = Town(
        company, oracle.World(_NOW, oracle.Settings(), tuple(members), *_customers_and_orders())
    )
    _open_shop(town)
    leaving = f"/v1/members/{company['ines'].member_id}/deactivate"
    done(company.boss.post(leaving, if_match="*"))
    return town


def _member(
    name: str,
    role: str | None = None,
    permissions: tuple[str, ...] = (),
    ticks: dict[str, str] | None = None,
) -> oracle.Member:
    status = "inactive" if name == "ines" else "active"
    return oracle.Member(
        name, role, tuple(permissions), tuple((ticks or {}).items()), status=status
    )


def _customers_and_orders() -> tuple[
    tuple[oracle.Customer, ...], tuple[oracle.Order, ...], tuple[oracle.Assignment, ...]
]:
    makers = {"C5": "ben", "C7": "bruno"}
    customers = tuple(
        oracle.Customer(f"C{n}", created_by=makers.get(f"C{n}", "mia")) for n in range(1, 9)
    )
    orders = tuple(
        oracle.Order(f"O{n}", customer, author, state, author_keeps_view=state != "draft")
        for n, (customer, author, state) in enumerate(ORDERS, start=1)
    )
    past, future = _NOW - timedelta(days=1), _NOW + timedelta(days=1)
    assignments = (
        oracle.Assignment("C1", "ana", is_main=True, valid_from=past, valid_to=END_OF_TIME),
        oracle.Assignment("C2", "bruno", is_main=True, valid_from=past, valid_to=END_OF_TIME),
        oracle.Assignment("C2", "ana", is_main=False, valid_from=past, valid_to=END_OF_TIME),
        oracle.Assignment("C4", "mia", is_main=True, valid_from=past, valid_to=END_OF_TIME),
        oracle.Assignment("C5", "ben", is_main=True, valid_from=past, valid_to=_NOW),
        oracle.Assignment("C5", "bruno", is_main=True, valid_from=_NOW, valid_to=END_OF_TIME),
        oracle.Assignment("C6", "bruno", is_main=True, valid_from=past, valid_to=future),
        oracle.Assignment("C6", "ana", is_main=True, valid_from=future, valid_to=END_OF_TIME),
        oracle.Assignment("C7", "bruno", is_main=True, valid_from=past, valid_to=END_OF_TIME),
        oracle.Assignment("C8", "ines", is_main=True, valid_from=past, valid_to=END_OF_TIME),
    )
    return customers, orders, assignments


def _open_shop(town: Town) -> None:
    """Do through the gateway what the oracle was told."""
    company = town.company
    for one in town.world.customers:
        town.ids[one.id] = company.customer(one.id, by=company[one.created_by])
    made_by = {one.id: one.created_by for one in town.world.customers}
    # C5 changes hands once its first representative has ordered for it.
    late = [one for one in town.world.assignments if one.valid_from >= _NOW]
    for assignment in town.world.assignments:
        if assignment not in late and made_by[assignment.customer_id] == "mia":
            _assign(town, assignment)
    for order in town.world.orders:
        town.ids[order.id] = _order(town, order)
    for assignment in late:
        _assign(town, assignment)


def _assign(town: Town, assignment: oracle.Assignment) -> None:
    relation = "main" if assignment.is_main else "additional"
    validity = {"valid_from": _LATER} if assignment.valid_from > _NOW else {}
    customer_id, member = town.ids[assignment.customer_id], town.company[assignment.member_id]
    town.company.assign(customer_id, member, relation, **validity)


def _order(town: Town, order: oracle.Order) -> str:
    company = town.company
    author, customer_id = company[order.author], town.ids[order.customer_id]
    made = company.order(author, customer_id, place=order.state != "draft")
    for verb in VERBS.get(order.state, ()):
        done(company.boss.post(f"/v1/orders/{made['order_id']}/{verb}", if_match="*"))
    return str(made["order_id"])


def unlike_nothing(answer: httpx2.Response, who: Someone, noun: str) -> str | None:
    """Say in what an answer differs from the one to an id that was never given out, if it does."""
    for_nothing = who.get(f"/v1/{noun}/{uuid4()}")
    told = [masked(one) for one in (answer, for_nothing)]
    return None if told[0] == told[1] else f"{told[0]} is not {told[1]}"


def masked(answer: httpx2.Response) -> tuple[int, object, object]:
    """Give what an answer tells, without what differs between any two of them."""
    body = answer.json()
    body.pop("trace_id", None)
    ours = {"trace-id", "date", "content-length", "connection"}
    headers = sorted(pair for pair in answer.headers.multi_items() if pair[0].lower() not in ours)
    return answer.status_code, json.dumps(body, sort_keys=True), headers


def hold(country: Country, member: oracle.Member) -> None:
    """Hold list, count, reading by id and the oracle against each other, for one person."""
    town, who = country.here, country.here.someone(member)
    for noun in ("customers", "orders"):
        seen = town.seen(member, noun)
        every_id = {town.ids[one.id] for one in getattr(town.world, noun)}
        every_id |= {country.elsewhere[noun]}
        if seen is None:
            for path in (f"/v1/{noun}", f"/v1/{noun}/count", f"/v1/{noun}/{min(every_id)}"):
                assert who.get(path).status_code == 403, (member.id, path)
            continue
        key = f"{noun.removesuffix('s')}_id"
        names = {value: name for name, value in town.ids.items()}
        listed = [one[key] for one in who.list(f"/v1/{noun}", limit=5)]
        assert len(listed) == len(set(listed)), (member.id, "twice in a list")
        wrong = {names.get(one, one) for one in set(listed) ^ seen}
        assert not wrong, (member.id, noun, wrong)
        assert who.count(f"/v1/{noun}") == len(seen), (member.id, noun)
        for one in every_id:
            read = who.get(f"/v1/{noun}/{one}")
            assert read.status_code == (200 if one in seen else 404), (member.id, names.get(one))
            if one not in seen:
                unlike = unlike_nothing(read, who, noun)
                assert unlike is None, (member.id, names.get(one), unlike)


def hold_figures(country: Country, member: oracle.Member) -> None:
    """Hold the reports against the oracle: they count what one sees, and name what one may know."""
    town, who, asked = country.here, country.here.someone(member), oracle.Oracle(country.here.world)
    if not asked.answer(member, "reports", "view").capable:
        for path in ("sales", "credit", "portfolio", "sales/export"):
            assert who.get(f"/v1/reports/{path}").status_code == 403, (member.id, path)
        return
    expected: dict[str, list[int]] = {}
    for order in town.world.orders:
        if asked.answer(member, "reports", "view", order).visible and order.state != "draft":
            relation = asked.relation(member.id, order.customer_id)
            knows = not oracle.is_restricted(member) or relation.main or relation.additional
            name = order.customer_id if knows else "former"
            expected.setdefault(name, [0, 0])[order.state == "cancelled"] += 1
    report = done(who.get("/v1/reports/sales", by="customer"))
    found = {
        row["by"][0]["label"] or row["by"][0]["value"]: [row["orders"], row["cancelled"]["orders"]]
        for row in report["rows"]
    }
    assert found == expected, member.id
    totals = report["totals"]
    assert sum(one["orders"] for one in totals) == sum(counted for counted, _ in expected.values())
    if asked.answer(member, "orders", "view").capable:
        for row in report["rows"]:
            listed = who.get(row["orders_link"].replace("/v1/orders?", "/v1/orders/count?"))
            assert listed.json() == {"count": row["orders"]}, (member.id, row)
    portfolio = done(who.get("/v1/reports/portfolio"))["rows"]
    theirs = {
        one.id
        for one in town.world.customers
        if not oracle.is_restricted(member)
        or (relation := asked.relation(member.id, one.id)).main
        or relation.additional
    }
    assert {one["customer"]["name"] for one in portfolio} == theirs, member.id
    may_compare = asked.answer(member, "reports", "team").capable
    assert who.get("/v1/reports/team").status_code == (200 if may_compare else 403), member.id


def members_of(country: Country) -> Iterator[oracle.Member]:
    yield from country.here.world.members


def test_with_the_settings_as_they_begin(country: Country) -> None:
    for member in members_of(country):
        hold(country, member)
        hold_figures(country, member)


@pytest.mark.parametrize(
    "chosen",
    [
        {"creator_keeps_access": True, "author_keeps_order_view": False},
        {"creator_keeps_access": True, "additional_full_rights": True},
    ],
    ids="+".join,
)
def test_with_other_settings(country: Country, chosen: dict[str, bool]) -> None:
    town, begun = country.here, country.here.world
    before = vars(begun.settings)
    try:
        town.company.settings(**chosen)
        town.world = replace(begun, settings=oracle.Settings(**{**before, **chosen}))
        for member in members_of(country):
            if oracle.is_restricted(member) or member.id in {"mia", "buyer"}:
                hold(country, member)
                hold_figures(country, member)
    finally:
        town.company.settings(**before)
        town.world = begun


def test_the_figures_are_those_of_the_owners_until_somebody_damages_them(
    country: Country, stack: Running
) -> None:
    org, run = country.here.company.org_id, stack.stack.run_service
    tally = run("orders", "tally", "--org", org)
    assert tally.returncode == 0, tally.stderr
    told = run("reports", "verify", "--org", org, text=tally.stdout)
    assert told.returncode == 0, told.stdout + told.stderr
    counted = [json.loads(line) for line in tally.stdout.splitlines()]
    assert sum(one["orders"] for one in counted) == sum(
        o.state != "draft" for o in country.here.world.orders
    )
    wrong = tally.stdout.replace('"orders": 1,', '"orders": 2,', 1)
    assert wrong != tally.stdout
    assert run("reports", "verify", "--org", org, text=wrong).returncode == 1
    assert run("reports", "rebuild", "--org", org).returncode == 0
    assert run("orders", "republish", "--org", org, "--to", "reports.orders").returncode == 0
    assert run("reports", "verify", "--org", org, text=tally.stdout).returncode == 0


@pytest.mark.parametrize("proof", ["", f":{'A' * 22}"])
@pytest.mark.parametrize(("service", "hidden"), [("orders", "O11"), ("customers", "C4")])
def test_waiting_for_what_one_was_not_told_of_tells_nothing(
    country: Country, service: str, hidden: str, proof: str
) -> None:
    ana = country.here.company["ana"]
    for path in ("/v1/customers", "/v1/orders", "/v1/reports/credit"):
        answers = {
            str(masked(ana.send("GET", path, Bailiwick_After=f"{service}:{one}:{version}{proof}")))
            for one in (country.here.ids[hidden], country.elsewhere[service], uuid4())
            for version in (1, 9)
        }
        assert len(answers) == 1, (path, answers)


def test_filters_count_what_they_list(country: Country) -> None:
    town = country.here
    ids = [*town.ids.values(), *country.elsewhere.values(), town.company["bruno"].member_id]
    for name in ("mia", "ana", "bruno", "buyer", "tom"):
        who, asked = town.company[name], oracle.Oracle(town.world)
        member = next(one for one in town.world.members if one.id == name)
        queries: list[tuple[str, dict[str, Any]]] = [
            *(("orders", {"customer_id": one}) for one in ids if one in _customers(town, country)),
            *(("orders", {"state": state}) for state in ("draft", "placed", "cancelled")),
            ("orders", {"author_id": town.company["ana"].member_id}),
            ("orders", {"author_id": country.elsewhere["members"]}),
            ("orders", {"source": "portal"}),
        ]
        if asked.answer(member, "customers", "view").capable:
            queries += [
                ("customers", {"rep": town.company["bruno"].member_id}),
                ("customers", {"any_rep": town.company["ana"].member_id}),
                ("customers", {"rep": country.elsewhere["members"]}),
                ("customers", {"unassigned": True}),
                ("customers", {"text": "C"}),
            ]
        for noun, query in queries:
            key = f"{noun.removesuffix('s')}_id"
            listed = {one[key] for one in who.list(f"/v1/{noun}", **query)}
            assert who.count(f"/v1/{noun}", **query) == len(listed), (name, query)
            assert listed <= (town.seen(member, noun) or set()), (name, query)
            assert country.elsewhere[noun] not in listed


def _customers(town: Town, country: Country) -> set[str]:
    return {town.ids[one.id] for one in town.world.customers} | {country.elsewhere["customers"]}


def test_ids_of_strangers_are_ids_of_nothing_wherever_they_are_sent(country: Country) -> None:
    town, strangers = country.here, country.elsewhere
    for who in (town.company.boss, town.company["ana"]):
        customer, order = (
            f"/v1/customers/{strangers['customers']}",
            f"/v1/orders/{strangers['orders']}",
        )
        for method, path, body in (
            ("GET", customer, None),
            ("PATCH", customer, {"name": "Mine"}),
            ("PATCH", f"{customer}/terms", {"discount": "1"}),
            ("GET", order, None),
            ("PATCH", order, {"note": "mine"}),
            ("POST", f"{order}/place", None),
            ("POST", f"{order}/cancel", None),
            ("POST", "/v1/orders", an_order(strangers["customers"])),
        ):
            answer = who.send(method, path, body, if_match="*")
            assert answer.status_code == 404, (who.name, method, path)
            nowhere = "customers" if path == customer else "orders"
            assert masked(answer)[1] == masked(who.get(f"/v1/{nowhere}/{uuid4()}"))[1]
    boss = town.company.boss
    mine = f"/v1/customers/{town.ids['C1']}"
    for method, path, body in (
        ("POST", f"{mine}/assignments", {"member_id": strangers["members"], "relation": "main"}),
        ("POST", "/v1/customers", {"name": "X", "main_id": strangers["members"]}),
        ("POST", "/v1/customers", {"name": "X", "parent_id": strangers["customers"]}),
        ("PATCH", mine, {"parent_id": strangers["customers"]}),
        (
            "POST",
            "/v1/orders",
            an_order(town.ids["C1"], place=True, credited_to=strangers["members"]),
        ),
    ):
        theirs = boss.send(method, path, body, if_match="*")
        text = json.dumps(body)
        for one in strangers.values():
            text = text.replace(one, str(uuid4()))
        nobodys = boss.send(method, path, json.loads(text), if_match="*")
        assert theirs.status_code == nobodys.status_code == 422, (path, theirs.text)
        assert masked(theirs)[1] == masked(nobodys)[1]
    members = boss.get(f"/v1/members/{strangers['members']}")
    assert members.status_code == 404
    assert unlike_nothing(members, boss, "members") is None


def test_what_one_has_just_written_is_there_for_the_next_service_at_once(country: Country) -> None:
    rita = country.strangers["rita"]
    for number in range(8):
        begun = datetime.now(UTC)
        made = rita.post("/v1/customers", {"name": f"New {number}"})
        customer_id = done(made)["customer_id"]
        rita.positions.clear()
        after = {"Bailiwick_After": made.headers["Bailiwick-Position"]}
        ordered = rita.post("/v1/orders", an_order(customer_id, place=True), **after)
        assert ordered.status_code == 201, ordered.text
        assert ordered.json()["credited_to"] == rita.member_id
        assert datetime.now(UTC) - begun < timedelta(seconds=5)
        assert rita.count("/v1/orders", customer_id=customer_id) == 1
