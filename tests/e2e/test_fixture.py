"""The domain's fixture at the gateway: who sees and edits what, and why not; who is told; whose figures."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import pytest

from bailiwick_testkit.servers.stack import Running
from bailiwick_testkit.services.company import Company, Someone, a_company, done
from bailiwick_testkit.services.orders import an_order

ORDERS = "O1 O2 O3 O4 O5 O6 O7"
CREDIT = {
    "O1": "Ana",
    "O2": "Bruno",
    "O3": "Ana",
    "O4": None,
    "O5": "Mia",
    "O6": "Mia",
    "O7": "Ana",
}


MAIL = {
    "O1": {"Ana"},
    "O2": set(),
    "O3": {"Bruno"},
    "O4": {"Mia"},
    "O5": set(),
    "O6": {"Ana"},
    "O7": set(),
}


@dataclass
class Cast:
    """Mia, Ana, Bruno and the storefront; C1 to C4; O1 to O7, all placed. Paths by their names."""

    company: Company
    customers: dict[str, str]
    orders: dict[str, str]

    def sees(self, name: str, *, customers: str | None, orders: str) -> None:
        """Hold for each record: in the list ⇔ by id 200, else 404 ⇔ in the count.

        `customers` None: none are looked at, and asking is refused whatever the row.
        """
        who = self.company[name]
        self._sees(who, "orders", self.orders, set(orders.split()))
        if customers is not None:
            self._sees(who, "customers", self.customers, set(customers.split()))
            return
        for path in ("/v1/customers", "/v1/customers/count", *self.customers.values()):
            assert refusal(who, "GET", path) == (403, "capability-missing"), path

    def edits(self, name: str, **expected: str) -> None:
        """Hold what editing each record answers: `yes`, or the code of the refusal."""
        statuses = {"not-found": 404}
        for record, wanted in expected.items():
            is_order = record in self.orders
            path = self.orders[record] if is_order else self.customers[record]
            change = {"note": f"by {name}"} if is_order else {"tags": [name]}
            edited = self.company[name].patch(path, change)
            said = (edited.status_code, "yes" if edited.is_success else edited.json()["code"])
            answer = (200, "yes") if wanted == "yes" else (statuses.get(wanted, 403), wanted)
            assert said == answer, (name, record, edited.text)

    def credited(self) -> dict[str, str | None]:
        """Give the name of who is credited with each order."""
        names = {one.member_id: one.name for one in self.company.people.values()}
        orders = {f"/v1/orders/{one['order_id']}": one for one in self.boss.list("/v1/orders")}
        return {code: names.get(orders[path]["credited_to"]) for code, path in self.orders.items()}

    def mailed(self) -> dict[str, set[str]]:
        """Give, for each order, whom its mail went to."""
        orders = {f"/v1/orders/{one['order_id']}": one for one in self.boss.list("/v1/orders")}
        numbers = {orders[path]["number"]: code for code, path in self.orders.items()}
        told: dict[str, set[str]] = {code: set() for code in self.orders}
        for one in self.company.people.values():
            subjects = [kept.subject for kept in self.company.running.mailbox.to(one.email)]
            found = [code for number, code in numbers.items() for s in subjects if number in s]
            assert len(found) == len(set(found)) == len(subjects), (one.name, subjects)
            for code in found:
                told[code].add(one.name)
        return told

    def mail_comes_to(self, **expected: set[str]) -> None:
        """Wait for each order's mail, and hold that nobody else was told."""
        for code, names in expected.items():
            deadline = time.monotonic() + 30
            while not names <= self.mailed()[code]:
                assert time.monotonic() < deadline, (code, names, self.mailed())
                time.sleep(0.1)
        assert {code: self.mailed()[code] for code in expected} == expected

    def figures(self, name: str, report: str) -> tuple[int, Decimal]:
        """Give the orders and the net of somebody's report."""
        totals = done(self.company[name].get(f"/v1/reports/{report}"))["totals"]
        return (
            sum(one["orders"] for one in totals),
            sum((Decimal(one["net"]["amount"]) for one in totals), Decimal(0)),
        )

    def worth(self, codes: str) -> tuple[int, Decimal]:
        """Give how many orders these are, and their net, as orders itself has them."""
        nets = {one["order_id"]: one["net"]["amount"] for one in self.boss.list("/v1/orders")}
        ids = [self.orders[code].rpartition("/")[2] for code in codes.split()]
        return len(ids), sum((Decimal(nets[order_id]) for order_id in ids), Decimal(0))

    def hands_over(self, customer: str, to: str) -> None:
        """Let Mia make somebody the customer's main representative, from a second from now on."""
        customer_id = self.customers[customer].rpartition("/")[2]
        self.company.assign(customer_id, self.company[to])

    @property
    def boss(self) -> Someone:
        """Mia."""
        return self.company.boss

    def _sees(self, who: Someone, noun: str, paths: dict[str, str], wanted: set[str]) -> None:
        key = f"{noun.removesuffix('s')}_id"
        names = {path.rpartition("/")[2]: name for name, path in paths.items()}
        listed = [names[one[key]] for one in who.list(f"/v1/{noun}")]
        assert sorted(listed) == sorted(wanted), who.name
        assert who.count(f"/v1/{noun}") == len(wanted), who.name
        for name, path in paths.items():
            status = who.get(path).status_code
            assert status == (200 if name in wanted else 404), (who.name, name)


def refusal(who: Someone, method: str, path: str, body: object = None) -> tuple[int, str]:
    """Give status and code of a refusal."""
    answer = who.send(method, path, body, if_match="*")
    return answer.status_code, answer.json()["code"]


def begin(company: Company) -> Cast:
    """Let the fixture's customers and orders come about, each by whom it says."""
    ana = company.hire("Ana", permissions=["seller"])
    bruno = company.hire("Bruno", "sales_representative")
    company.storefront()
    ids = {name: company.customer(name) for name in ("C1", "C2", "C3", "C4")}
    company.assign(ids["C1"], ana)
    company.assign(ids["C2"], bruno)
    company.assign(ids["C2"], ana, "additional")
    company.assign(ids["C4"], company.boss)
    orders = {}
    for name, customer, who in (
        ("O1", "C1", "buyer"),
        ("O2", "C2", "Bruno"),
        ("O3", "C2", "Ana"),
        ("O4", "C3", "buyer"),
        ("O5", "C4", "Mia"),
        ("O6", "C1", "Mia"),
        ("O7", "C1", "Ana"),
    ):
        placed = company.order(company[who], ids[customer])
        orders[name] = f"/v1/orders/{placed['order_id']}"
    return Cast(company, {name: f"/v1/customers/{key}" for name, key in ids.items()}, orders)


@pytest.fixture(scope="module")
def cast(stack: Running) -> Iterator[Cast]:
    """The fixture as it begins, and C1 planned for Bruno: before that day nothing changes.

    Whoever shares it changes nothing that another one reads.
    """
    with a_company(stack) as company:
        company.hire("Tom", "sales_assistant")
        company.hire("Zoe", "custom_member", ticks={"prices": "edit"})
        cast = begin(company)
        c1 = cast.customers["C1"].rpartition("/")[2]
        company.assign(c1, company["Bruno"], valid_from="2999-01-01T00:00:00Z")
        yield cast


@pytest.fixture
def own_cast(stack: Running) -> Iterator[Cast]:
    """The fixture for one test alone, without Tom and Zoe."""
    with a_company(stack) as company:
        yield begin(company)


def test_mia_sees_and_edits_everything(cast: Cast) -> None:
    cast.sees("Mia", customers="C1 C2 C3 C4", orders=ORDERS)
    cast.edits("Mia", **dict.fromkeys([*cast.orders, *cast.customers], "yes"))


def test_ana_sees_her_portfolio_and_edits_what_is_hers_to_edit(cast: Cast) -> None:
    cast.sees("Ana", customers="C1 C2", orders="O1 O2 O3 O6 O7")
    cast.edits("Ana", O1="yes", O6="yes", O7="yes", O3="yes", O2="order-not-own-as-additional")
    cast.edits("Ana", O4="not-found", O5="not-found")
    cast.edits("Ana", C1="yes", C2="additional-may-not-edit", C3="not-found", C4="not-found")


def test_bruno_sees_and_edits_one_customer_and_two_orders(cast: Cast) -> None:
    cast.sees("Bruno", customers="C2", orders="O2 O3")
    cast.edits("Bruno", C2="yes", O2="yes", O3="yes")
    cast.edits("Bruno", **dict.fromkeys(("C1", "C3", "C4"), "not-found"))
    cast.edits("Bruno", **dict.fromkeys(("O1", "O4", "O5", "O6", "O7"), "not-found"))


def test_terms_are_edited_by_who_edits_the_customer(cast: Cast) -> None:
    for name, customer, expected in (
        ("Mia", "C3", 200),
        ("Ana", "C1", 200),
        ("Ana", "C2", 403),
        ("Ana", "C3", 404),
        ("Bruno", "C2", 200),
        ("Bruno", "C1", 404),
        ("Tom", "C1", 403),
        ("Zoe", "C1", 403),
        ("buyer", "C1", 403),
    ):
        path = f"{cast.customers[customer]}/terms"
        answer = cast.company[name].patch(path, {"discount": "0.05"})
        assert answer.status_code == expected, (name, customer, answer.text)


def test_tom_sees_all_orders_edits_none_and_only_looks_customers_up(cast: Cast) -> None:
    tom, looked_up = cast.company["Tom"], "/v1/customers/lookup"
    cast.sees("Tom", customers=None, orders=ORDERS)
    cast.edits("Tom", **dict.fromkeys(cast.orders, "not-own-draft"))
    names = [one["name"] for one in done(tom.get(looked_up, text="C3"))["items"]]
    assert names == ["C3"]
    assert refusal(tom, "POST", "/v1/customers", {"name": "C5"}) == (403, "capability-missing")


def test_tom_edits_drafts_of_his_own_until_they_are_placed(own_cast: Cast) -> None:
    tom = own_cast.company.hire("Tom", "sales_assistant")
    draft = own_cast.company.order(tom, own_cast.customers["C1"].rpartition("/")[2], place=False)
    path = f"/v1/orders/{draft['order_id']}"
    assert tom.patch(path, {"note": "soon"}).status_code == 200
    placed = done(tom.post(f"{path}/place", if_match="*"))
    assert refusal(tom, "PATCH", path, {"note": "late"}) == (403, "not-own-draft")
    # Nobody is credited for assisting: it is the customer's main of that instant (domain §3).
    assert placed["credited_to"] == own_cast.company["Ana"].member_id
    own_cast.orders["O8"] = path
    own_cast.sees("Ana", customers="C1 C2", orders="O1 O2 O3 O6 O7 O8")
    own_cast.edits("Ana", O8="yes")


def test_zoe_neither_lists_nor_creates_orders_and_is_not_granted_them(cast: Cast) -> None:
    zoe, customer_id = cast.company["Zoe"], cast.customers["C1"].rpartition("/")[2]
    for path in ("/v1/orders", "/v1/orders/count", *cast.orders.values()):
        assert refusal(zoe, "GET", path) == (403, "capability-missing"), path
    assert refusal(zoe, "POST", "/v1/orders", an_order(customer_id)) == (403, "custom-ceiling")
    member = f"/v1/members/{zoe.member_id}"
    before = done(cast.boss.get(member))
    for change in (
        {"ticks": {"orders": "edit"}},
        {"ticks": {"prices": "edit", "orders": "view"}},
        {"permissions": ["orders"]},
    ):
        assert refusal(cast.boss, "PATCH", member, change) == (422, "custom-ceiling"), change
    assert done(cast.boss.get(member)) == before


def test_the_storefront_sees_what_it_wrote_and_changes_nothing(cast: Cast) -> None:
    cast.sees("buyer", customers=None, orders="O1 O4")
    for path in cast.orders.values():
        said = refusal(cast.company["buyer"], "PATCH", path, {"note": "mine"})
        assert said == (403, "capability-missing")


def test_credit_is_whose_the_customer_was_or_who_placed(cast: Cast) -> None:
    assert cast.credited() == CREDIT


def test_credit_reports_are_ones_own_and_the_house_is_a_row_for_who_sees_all(cast: Cast) -> None:
    for name, orders in (("Ana", "O1 O3 O7"), ("Bruno", "O2"), ("Mia", "O5 O6")):
        assert cast.figures(name, "credit") == cast.worth(orders), name
    by_credit = done(cast.boss.get("/v1/reports/sales", by="credited_to"))["rows"]
    named = {row["by"][0]["label"] or row["by"][0]["value"]: row["orders"] for row in by_credit}
    assert named == {"Ana": 3, "Bruno": 1, "Mia": 2, "house": 1}


def test_sales_reports_are_of_the_orders_that_one_sees(cast: Cast) -> None:
    for name, orders in (("Mia", ORDERS), ("Ana", "O1 O2 O3 O6 O7"), ("Bruno", "O2 O3")):
        assert cast.figures(name, "sales") == cast.worth(orders), name
    hers = done(cast.company["Ana"].get("/v1/reports/sales", by="credited_to"))["rows"]
    assert {row["by"][0]["value"]: row["orders"] for row in hers} == {
        cast.company["Ana"].member_id: 3,
        "others": 2,
    }
    for name in ("Tom", "Zoe", "buyer"):
        for report in ("sales", "credit", "portfolio", "team", "sales/export"):
            said = refusal(cast.company[name], "GET", f"/v1/reports/{report}")
            assert said == (403, "capability-missing"), (name, report)
    assert refusal(cast.company["Ana"], "GET", "/v1/reports/team") == (403, "capability-missing")


def test_mail_comes_to_whom_an_order_concerns_and_to_nobody_else(own_cast: Cast) -> None:
    tom = own_cast.company.hire("Tom", "sales_assistant")
    c1 = own_cast.customers["C1"].rpartition("/")[2]
    for code, who in (("O8", tom), ("O9", own_cast.company["buyer"])):
        if code == "O9":
            own_cast.mail_comes_to(**MAIL, O8={"Ana"})
            own_cast.hands_over("C1", to="Bruno")
        own_cast.orders[code] = f"/v1/orders/{own_cast.company.order(who, c1)['order_id']}"
    own_cast.mail_comes_to(**MAIL, O8={"Ana"}, O9={"Bruno"})
    log = own_cast.boss.list("/v1/deliveries")
    assert sorted(one["order_number"] for one in log if one["state"] == "sent") == sorted(
        one["number"]
        for one in own_cast.boss.list("/v1/orders")
        for code, path in own_cast.orders.items()
        if path.endswith(one["order_id"]) and {**MAIL, "O8": {"Ana"}, "O9": {"Bruno"}}[code]
    )


def test_reports_added_to_ana_open_everything_to_her(own_cast: Cast) -> None:
    # That this is refused until its numbers are acknowledged (`scope-widening`) is yet to be built.
    ana = own_cast.company["Ana"]
    own_cast.sees("Ana", customers="C1 C2", orders="O1 O2 O3 O6 O7")
    change = {"permissions": ["seller", "reports"]}
    done(own_cast.boss.patch(f"/v1/members/{ana.member_id}", change))
    own_cast.sees("Ana", customers="C1 C2 C3 C4", orders=ORDERS)
    own_cast.edits("Ana", **dict.fromkeys([*own_cast.orders, *own_cast.customers], "yes"))


def test_c1_moves_from_ana_to_bruno_and_back(own_cast: Cast) -> None:
    company = own_cast.company
    c1 = own_cast.customers["C1"].rpartition("/")[2]

    own_cast.hands_over("C1", to="Bruno")

    own_cast.sees("Ana", customers="C2", orders="O2 O3 O7")
    own_cast.edits("Ana", C1="not-found", O1="not-found", O6="not-found", O7="assignment-ended")
    kept = done(company["Ana"].get(own_cast.orders["O7"]))
    assert kept["customer"] == {"name": "C1"}
    assert c1 not in company["Ana"].get("/v1/orders").text
    assert company["Ana"].count("/v1/orders", customer_id=c1) == 0
    own_cast.sees("Bruno", customers="C1 C2", orders="O1 O2 O3 O6 O7")
    own_cast.edits("Bruno", **dict.fromkeys(("C1", "C2", "O1", "O2", "O3", "O6", "O7"), "yes"))
    own_cast.sees("Mia", customers="C1 C2 C3 C4", orders=ORDERS)
    assert own_cast.credited() == CREDIT
    assert own_cast.figures("Ana", "sales") == own_cast.worth("O2 O3 O7")
    assert own_cast.figures("Bruno", "sales") == own_cast.worth("O1 O2 O3 O6 O7")
    assert own_cast.figures("Ana", "credit") == own_cast.worth("O1 O3 O7")
    former = done(company["Ana"].get("/v1/reports/sales", by="customer"))["rows"]
    assert {row["by"][0]["value"]: row["orders"] for row in former} == {
        own_cast.customers["C2"].rpartition("/")[2]: 2,
        "former": 1,
    }

    meanwhile = company.order(company["Bruno"], c1)
    own_cast.orders["O8"] = f"/v1/orders/{meanwhile['order_id']}"
    own_cast.hands_over("C1", to="Ana")

    own_cast.sees("Ana", customers="C1 C2", orders="O1 O2 O3 O6 O7 O8")
    own_cast.edits("Ana", C1="yes", O1="yes", O6="yes", O7="yes", O8="yes")
    own_cast.sees("Bruno", customers="C2", orders="O2 O3 O8")
    own_cast.edits("Bruno", C1="not-found", O1="not-found", O8="assignment-ended")
    assert own_cast.credited() == CREDIT | {"O8": "Bruno"}
    assert own_cast.figures("Ana", "sales") == own_cast.worth("O1 O2 O3 O6 O7 O8")
    assert own_cast.figures("Bruno", "credit") == own_cast.worth("O2 O8")
