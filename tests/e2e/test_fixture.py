"""The domain's fixture at the gateway: who sees and edits which customers and orders, and why not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from bailiwick_testkit.company import Company, Someone, a_company, done
from bailiwick_testkit.market import an_order
from bailiwick_testkit.stack import Running

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

    meanwhile = company.order(company["Bruno"], c1)
    own_cast.orders["O8"] = f"/v1/orders/{meanwhile['order_id']}"
    own_cast.hands_over("C1", to="Ana")

    own_cast.sees("Ana", customers="C1 C2", orders="O1 O2 O3 O6 O7 O8")
    own_cast.edits("Ana", C1="yes", O1="yes", O6="yes", O7="yes", O8="yes")
    own_cast.sees("Bruno", customers="C2", orders="O2 O3 O8")
    own_cast.edits("Bruno", C1="not-found", O1="not-found", O8="assignment-ended")
    assert own_cast.credited() == CREDIT | {"O8": "Bruno"}
