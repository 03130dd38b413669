"""While one organization imports, what another decides holds as soon as ever, and its orders count."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bailiwick_testkit.servers.stack import Running
from bailiwick_testkit.services.company import Company, Someone, a_company, done
from bailiwick_testkit.waiting import wait_until

SEEN, GONE = 200, 404
SOON = 5.0
"""Seconds within which a change has to hold on a busy machine; alone it takes one (D18).

Behind what is imported, at some dozen events a second, it would take a minute."""


@contextmanager
def importing(stack: Running, company: Company, rep: Someone, customers: int) -> Iterator[None]:
    """Have an organization's customers and assignments imported, and begun when the block begins."""
    lines = [
        {"kind": "customer", "external_ref": str(number), "name": f"C{number}"}
        for number in range(customers)
    ]
    lines += [
        {
            "kind": "assignment",
            "customer": str(number),
            "member_id": rep.member_id,
            "relation": "main",
        }
        for number in range(customers)
    ]
    arguments = ["import", f"--org={company.org_id}", "--source=a"]
    arguments.append(f"--member={company.boss.member_id}")
    with tempfile.TemporaryFile() as sent, tempfile.TemporaryFile() as said:
        sent.writelines(json.dumps(line).encode() + b"\n" for line in lines)
        sent.seek(0)
        with stack.stack.feed_service("customers", arguments, sent, said) as process:
            answers = process.stdout or iter(())
            next(iter(answers))
            yield
            for _ in answers:
                pass
        said.seek(0)
        assert process.returncode == 0, said.read().decode()


def sees(who: Someone, path: str) -> bool:
    """Tell whether somebody sees a record now, wherever the company's writes have got to."""
    answer = who.http.get(path, headers={"Authorization": f"Bearer {who.token}"})
    assert answer.status_code in {SEEN, GONE}, answer.text
    return answer.status_code != GONE


@pytest.mark.parametrize(
    "customers", [1_000, pytest.param(50_000, marks=pytest.mark.slow)], ids=["2,000", "100,000"]
)
def test_a_reassignment_holds_and_an_order_counts_while_another_organization_imports(
    stack: Running, customers: int
) -> None:
    with a_company(stack) as busy, a_company(stack) as small:
        rita = busy.hire("Rita", "sales_representative")
        ana, bruno = [small.hire(name, "sales_representative") for name in ("Ana", "Bruno")]
        customer_id = small.customer("C1", main_id=ana.member_id)
        order = small.order(small.boss, customer_id)
        path = f"/v1/orders/{order['order_id']}"
        assert done(ana.get(path))
        with importing(stack, busy, rita, customers):
            for former, new in ((ana, bruno), (bruno, ana)) * 3:
                _changes_hands(small, customer_id, path, former, new)
        wait_until(
            lambda: (
                busy.boss.count("/v1/customers") == customers
                and rita.count("/v1/customers") == customers
            ),
            "everything is imported",
        )


def _changes_hands(
    small: Company, customer_id: str, path: str, former: Someone, new: Someone
) -> None:
    """Reassign a customer, and see that this holds at once; and that an order counts at once."""
    small.assign(customer_id, new)
    wait_until(lambda: not sees(former, path), "sight is lost", within=SOON)
    wait_until(lambda: sees(new, path), "sight is gained", within=SOON)
    small.order(new, customer_id)
    sales = "/v1/reports/sales"
    wait_until(lambda: new.get(sales).status_code == SEEN, "the order counts", within=SOON)
