"""The story: a shop finds a representative, orders, and gets another one. Everybody sees their part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from bailiwick_alameda import company
from bailiwick_launcher.demo import bodies
from bailiwick_launcher.demo.checking import Checks
from bailiwick_launcher.demo.letters import Letters
from bailiwick_launcher.demo.person import Answer, Person

_OK, _NOT_ALLOWED, _NOT_FOUND = 200, 403, 404
_SHOWN = 4
"""Rows of a long list."""


class Story:
    """Who takes part, and what has happened so far."""

    def __init__(self, people: Sequence[Person], checks: Checks, letters: Letters) -> None:
        self.people, self.checks, self.letters = people, checks, letters
        cast = {one.first: one for one in people}
        self.owen, self.claire, self.web_shop = cast["Owen"], cast["Claire"], cast[company.NAME]
        self.ana, self.bruno, self.grace = cast["Ana"], cast["Bruno"], cast["Grace"]
        self.names = {str(one.member_id): one.name for one in people}

    def tell(self) -> None:
        """Play it, step by step."""
        self.everybody_looks()
        self.owen_assigns_a_shop()
        shop = self.ana_finds_a_shop()
        phoned = self.ana_takes_an_order(shop)
        self.bruno_sees_neither(shop, phoned)
        by_web = self.the_web_shop_orders(shop)
        self.ana_is_told_by_mail(by_web)
        self.the_shop_moves_to_bruno(shop, phoned, by_web)
        self.ana_keeps_what_she_wrote(shop, phoned, by_web)
        self.owen_reads_the_figures(phoned["order_date"])

    def everybody_looks(self) -> None:
        """Let everybody count the customers and orders that they can see."""
        self.checks.step(
            f"{company.NAME} sells stationery and gifts. Everybody signs in and looks."
        )
        seen = {
            one.name: [_counted(one.count("customers")), _counted(one.count("orders"))]
            for one in self.people
        }
        rows = [[one.name, one.role, *seen[one.name]] for one in self.people]
        self.checks.show(("who", "role", "customers", "orders"), rows)
        for one in (self.ana, self.bruno, self.grace):
            known = _counted(self.owen.count("customers", any_rep=one.member_id))
            mine = seen[one.name][0]
            self.checks.that(
                f"{one.first} sees the {known} customers that Owen counts as {one.first}'s",
                is_so=mine == known,
                instead=mine,
            )
        all_orders = seen[self.owen.name][1]
        self.checks.that(
            "nobody with a portfolio sees all orders",
            is_so=all_orders
            not in {seen[one.name][1] for one in (self.ana, self.bruno, self.grace)},
            instead=all_orders,
        )

    def owen_assigns_a_shop(self) -> None:
        """Give a representative to a shop that has none."""
        new = bodies.new_customer("UK")
        self.checks.step(f"Claire enters {new['name']}, met at a fair. Owen gives it to Grace.")
        shop = self.checks.done("Claire enters it", self.claire.post("/v1/customers", new)).body
        path = f"/v1/customers/{shop['customer_id']}"
        free = self.owen.get("/v1/customers", unassigned="true", limit=200)
        nobodys = free["items"] if free.status == _OK else []
        self._show_customers(nobodys)
        self.checks.that(
            f"Owen finds it among the {len(nobodys)} customers without a representative",
            is_so=shop["customer_id"] in {one["customer_id"] for one in nobodys},
            instead=free,
        )
        hers = self.grace.count("customers")
        self._refused("Grace cannot see it yet", self.grace.get(path), _NOT_FOUND)
        named = {"member_id": str(self.grace.member_id), "relation": "main"}
        self.checks.done("Owen assigns it", self.owen.post(f"{path}/assignments", named))
        self._opens("now Grace opens it", self.grace.get(path))
        self._count_is(self.grace, "customers", hers, +1)

    def ana_finds_a_shop(self) -> dict[str, Any]:
        """Let a representative create a customer, who is theirs."""
        new = bodies.new_customer("ES")
        self.checks.step(f"Ana has won a customer, {new['name']}, and takes an order by phone.")
        made = self.checks.done("Ana enters the customer", self.ana.post("/v1/customers", new))
        shop: dict[str, Any] = made.body
        self.checks.that(
            "it is hers from the start",
            is_so=shop["main_id"] == str(self.ana.member_id),
            instead=self.names.get(shop["main_id"], "nobody's"),
        )
        return shop

    def ana_takes_an_order(self, shop: Mapping[str, Any]) -> dict[str, Any]:
        """Order for a customer of a moment ago, though another service keeps the customers."""
        answer = self.ana.post(
            "/v1/orders", bodies.new_order(shop["customer_id"], "phone", bodies.PHONED)
        )
        order: dict[str, Any] = self.checks.done("her order is placed at once", answer).body
        self._show_orders([order])
        self.checks.that(
            "it is credited to her",
            is_so=order["credited_to"] == str(self.ana.member_id),
            instead=self.names.get(order["credited_to"], "nobody"),
        )
        return order

    def bruno_sees_neither(self, shop: Mapping[str, Any], order: Mapping[str, Any]) -> None:
        """Look for what is in somebody else's portfolio, as if it did not exist."""
        self.checks.step("Bruno, another representative, looks for both.")
        by_name = self.bruno.get("/v1/customers", text=shop["name"])
        found = [
            one["name"] for one in by_name["items"] if one["customer_id"] == shop["customer_id"]
        ]
        customer = self.bruno.get(f"/v1/customers/{shop['customer_id']}")
        taken = self.bruno.get(f"/v1/orders/{order['order_id']}")
        rows = [
            ["searches for the name", f"{len(found)} found"],
            [f"opens {shop['name']}", str(customer)],
            [f"opens order {order['number']}", str(taken)],
        ]
        self.checks.show(("Bruno", "result"), rows)
        self.checks.that("it is not in his list", is_so=not found, instead=found)
        self._refused("the customer does not exist for him", customer, _NOT_FOUND)
        self._refused("nor does the order", taken, _NOT_FOUND)

    def the_web_shop_orders(self, shop: Mapping[str, Any]) -> dict[str, Any]:
        """Let a buyer order alone; the representative sees it all the same."""
        self.checks.step(f"At night {shop['name']} orders from the web shop.")
        answer = self.web_shop.post(
            "/v1/orders", bodies.new_order(shop["customer_id"], "portal", bodies.BY_WEB)
        )
        order: dict[str, Any] = self.checks.done("the order comes in", answer).body
        hers = self.ana.get("/v1/orders", customer_id=shop["customer_id"])
        items = hers["items"] if hers.status == _OK else []
        self._show_orders(items)
        numbers = [one["number"] for one in items]
        self.checks.that(
            "Ana sees it above her own", is_so=numbers[:1] == [order["number"]], instead=numbers
        )
        self.checks.that(
            "it is credited to her too",
            is_so=order["credited_to"] == str(self.ana.member_id),
            instead=self.names.get(order["credited_to"], "nobody"),
        )
        return order

    def ana_is_told_by_mail(self, order: Mapping[str, Any]) -> None:
        """Read the e-mail to a representative about an order that they did not place (V7)."""
        self.checks.step("Ana did not take that order herself, so she gets an e-mail about it.")
        if not self.letters.are_here:
            self.checks.say("It went to the mail server that this stack was given.")
            return
        letter = self.letters.about(order["number"], self.ana.email)
        self.checks.that("it arrives", is_so=letter is not None, instead="no mail")
        if letter is not None:
            self.checks.say(f"To: {', '.join(letter.recipients)}")
            self.checks.say(f"Subject: {letter.subject}")
            self.checks.quote(letter.text)
        others = [one.first for one in self.people if one is not self.ana]
        told = [
            one.first
            for one in self.people
            if one is not self.ana and self.letters.has(order["number"], one.email)
        ]
        self.checks.that(
            f"none of the others gets one: {', '.join(others[:-1])} and {others[-1]}",
            is_so=not told,
            instead=told,
        )

    def the_shop_moves_to_bruno(
        self, shop: Mapping[str, Any], phoned: Mapping[str, Any], by_web: Mapping[str, Any]
    ) -> None:
        """Change what two people see in one act: customers, orders and figures, kept by three services."""
        self.checks.step(f"Owen gives {shop['name']} to Bruno.")
        both, today = (self.ana, self.bruno), phoned["order_date"]
        before = {one.name: _lists(one, today) for one in both}
        path = f"/v1/customers/{shop['customer_id']}"
        named = {"member_id": str(self.bruno.member_id), "relation": "main"}
        self.checks.done("Owen assigns it", self.owen.post(f"{path}/assignments", named))
        after = {one.name: _lists(one, today) for one in both}
        rows = [
            [name, *(f"{old:,} → {new:,}" for old, new in zip(lists, after[name], strict=True))]
            for name, lists in before.items()
        ]
        columns = ("who", "customers", "orders", "sales today", "credit today")
        self.checks.show(columns, rows)
        web, phone = (Decimal(one["net"]["amount"]) for one in (by_web, phoned))
        for one, *moved in ((self.ana, -1, -1, -web, 0), (self.bruno, +1, +2, web + phone, 0)):
            had, has = before[one.name], after[one.name]
            differences = [new - old for old, new in zip(had, has, strict=True)]
            self.checks.that(
                f"{one.first}: customers {moved[0]:+}, orders {moved[1]:+}, sales {moved[2]:+,.2f},"
                " credit unchanged",
                is_so=differences == moved,
                instead=differences,
            )
        self._opens("Bruno opens the customer", self.bruno.get(path))
        self._refused("Ana cannot see the customer any more", self.ana.get(path), _NOT_FOUND)

    def ana_keeps_what_she_wrote(
        self, shop: Mapping[str, Any], phoned: Mapping[str, Any], by_web: Mapping[str, Any]
    ) -> None:
        """Look at the order that she wrote, which stays, and the customer behind it, who does not."""
        self.checks.step("Ana looks back at the two orders.")
        path = f"/v1/orders/{phoned['order_id']}"
        hers, web = self.ana.get(path), self.ana.get(f"/v1/orders/{by_web['order_id']}")
        edit = self.ana.patch(path, {"note": "Call first"}, hers.etag)
        rows = [
            [f"opens {phoned['number']}, which she wrote", str(hers)],
            ["changes it", str(edit)],
            [f"opens {by_web['number']}, from the web shop", str(web)],
        ]
        self.checks.show(("Ana", "result"), rows)
        self._opens("what she wrote she can still open", hers)
        name_only = hers.status == _OK and hers["customer"] == {"name": shop["name"]}
        self.checks.that(
            f"of the customer it shows the name, {shop['name']}, and nothing else",
            is_so=name_only,
            instead=", ".join(hers["customer"]) if hers.status == _OK else hers,
        )
        self._refused("she cannot change it any more", edit, _NOT_ALLOWED)
        self._refused("she cannot see the web shop's order", web, _NOT_FOUND)

    def owen_reads_the_figures(self, today: str) -> None:
        """Compare the team in a report that is built from events alone (V10)."""
        self.checks.step("Owen compares what the team has sold in the last 30 days.")
        # A calendar month would have next to nothing in it on its first day.
        first = date.fromisoformat(today) - timedelta(days=30)
        month = {"order_date_from": first.isoformat(), "order_date_to": today}
        report = self.owen.get("/v1/reports/sales", by="credited_to", **month)
        found = report.status == _OK
        rows = report["rows"] if found else []
        self.checks.show(
            ("credited to", "orders", "pieces", "net"),
            [
                [
                    row["by"][0]["label"] or row["by"][0]["value"],
                    str(row["orders"]),
                    f"{Decimal(row['pieces']):,}",
                    _shown(row["net"]),
                ]
                for row in rows
            ],
        )
        listed = self.owen.count("orders", state=["placed", "confirmed", "fulfilled"], **month)
        added = sum(row["orders"] for row in rows)
        self.checks.that(
            f"its rows add up to the {_counted(listed)} orders that Owen can list",
            is_so=found and str(added) == _counted(listed),
            instead=added if found else report,
        )
        own = self.bruno.get("/v1/reports/sales", by="credited_to", **month)
        names = [row["by"][0]["value"] for row in own["rows"]] if own.status == _OK else []
        self.checks.that(
            "Bruno's report has a row for himself and one for 'others', and names nobody else",
            is_so=set(names) == {str(self.bruno.member_id), "others"},
            instead=names,
        )
        self._refused(
            "he may not compare the team",
            self.bruno.get("/v1/reports/team"),
            _NOT_ALLOWED,
        )

    def _show_customers(self, customers: list[dict[str, Any]]) -> None:
        rows = [
            [
                one["name"],
                next((address["city"] for address in one["addresses"]), ""),
                self.names.get(one["main_id"], "nobody"),
            ]
            for one in customers[:_SHOWN]
        ]
        if more := len(customers) - len(rows):
            rows.append([f"… and {more} more", "", ""])
        self.checks.show(("customer", "city", "representative"), rows)

    def _show_orders(self, orders: list[dict[str, Any]]) -> None:
        rows = [
            [
                one["number"],
                one["customer"]["name"],
                one["source"],
                self.names.get(one["author_id"], "?"),
                one["state"],
                _shown(one["net"]),
            ]
            for one in orders
        ]
        self.checks.show(("order", "customer", "by", "written by", "state", "net"), rows)

    def _opens(self, what: str, answer: Answer) -> None:
        self.checks.that(what, is_so=answer.status == _OK, instead=answer)

    def _refused(self, what: str, answer: Answer, status: int) -> None:
        self.checks.that(
            f"{what} ({Answer(status, {})})", is_so=answer.status == status, instead=answer
        )

    def _count_is(self, person: Person, what: str, before: Answer, more: int) -> None:
        after = person.count(what)
        was, now = (one["count"] if one.status == _OK else 0 for one in (before, after))
        self.checks.that(
            f"{person.first}'s {what}: {was} → {was + more}", is_so=now == was + more, instead=now
        )


def _counted(answer: Answer) -> str:
    return str(answer["count"]) if answer.status == _OK else str(answer)


def _lists(person: Person, today: str) -> list[Decimal]:
    """Give how many customers and orders somebody sees, and the day's sales and credit."""
    counted = [person.count(what) for what in ("customers", "orders")]
    numbers = [Decimal(one["count"]) if one.status == _OK else Decimal(-1) for one in counted]
    return [*numbers, *(_net_of(person, report, today) for report in ("sales", "credit"))]


def _net_of(person: Person, report: str, today: str) -> Decimal:
    answer = person.get(f"/v1/reports/{report}", order_date_from=today, order_date_to=today)
    totals = answer["totals"] if answer.status == _OK else []
    return sum((Decimal(one["net"]["amount"]) for one in totals), Decimal(0))


def _shown(money: Mapping[str, str]) -> str:
    return f"{Decimal(money['amount']):,.2f} {money['currency']}"
