"""Right files of a small company, and a check of them with some replaced: for tests of an import."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bailiwick_csv_import import mapping
from bailiwick_csv_import.checking import Check
from bailiwick_csv_import.faults import Faults, UnreadableError
from bailiwick_csv_import.plan import Plan
from bailiwick_csv_import.progress import Progress
from bailiwick_csv_import.staging import Staging

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
MEMBERS = "id,name,title\n1,Mia Núñez,boss\n2,Ana,rep\n3,Tom,helper\n"
CUSTOMERS = "code,shop,country,since\nA,Sol,España,2020-02-29\nB,Luna,FR,\n"
ASSIGNMENTS = (
    "shop,who,how,from,to\nA,2,main,,\nB,1,main,2024-01-01,2025-01-01\nB,2,main,2025-01-01,\n"
)
ORDERS = "num,shop,who,day\n10,A,2,2025-03-01\n11,B,,2025-03-02\n"
LINES = "num,item,qty,price\n10,x,1,2.50\n10,y,2,3\n11,x,1.5,0.0001\n"
FILES = {
    "members.csv": MEMBERS,
    "customers.csv": CUSTOMERS,
    "assignments.csv": ASSIGNMENTS,
    "orders.csv": ORDERS,
    "lines.csv": LINES,
    "items.csv": "item,called\nx,Wine\ny,Cheese\n",
}
MAPPING = """
source: test
organization: {name: Alameda, time_zone: Europe/Madrid, currency: EUR}
members:
  file: members.csv
  key: id
  fields:
    name: name
    email: {template: "{name|plain}@alameda.example"}
    role: {column: title, values: {boss: brand_manager, rep: sales_representative, helper: sales_assistant}}
customers:
  file: customers.csv
  key: code
  fields:
    name: shop
    addresses:
      - {country: {column: country, values: {España: ES}}}
    created_at: since
assignments:
  file: assignments.csv
  fields: {customer: shop, member: who, relation: how, valid_from: from, valid_to: to}
orders:
  file: orders.csv
  key: num
  fields: {customer: shop, author: who, order_date: day}
  lines:
    file: lines.csv
    order: num
    fields:
      sku: item
      name: {column: item, look_up: {file: items.csv, key: item, column: called}}
      quantity: qty
      unit_price: price
"""


class FakeRights:
    """Stands in for policy: an assistant has no customers, only the boss edits settings."""

    def may_represent(self, member: dict[str, Any]) -> bool:
        """Tell whether the member may have customers."""
        return member.get("role") != "sales_assistant"

    def may_found(self, member: dict[str, Any]) -> bool:
        """Tell whether the member may be the first of an organization."""
        return member.get("role") == "brand_manager"


@dataclass(frozen=True)
class Checked:
    """What came of a check."""

    faults: list[str]
    count: int
    staging: Staging
    plan: Plan | None
    founder: str | None


Checker = Callable[..., Checked]


@pytest.fixture
def checked(tmp_path: Path) -> Iterator[Checker]:
    """Check the good files with some of them replaced: `checked({"orders.csv": "…"})`."""
    stagings: list[Staging] = []

    def check(files: dict[str, str | bytes | None] | None = None, text: str = MAPPING) -> Checked:
        for name, content in {**FILES, **(files or {})}.items():
            if isinstance(content, bytes):
                (tmp_path / name).write_bytes(content)
            elif content is not None:
                (tmp_path / name).write_text(content, "utf-8")
        (tmp_path / "mapping.yaml").write_text(text, "utf-8")
        staging = Staging(tmp_path / f"staging-{len(stagings)}.sqlite")
        stagings.append(staging)
        faults = Faults()
        try:
            plan = mapping.read(tmp_path / "mapping.yaml", tmp_path, faults)
        except UnreadableError:
            return Checked(faults.shown, faults.count, staging, None, None)
        work = Check(plan, staging, FakeRights(), faults, Progress(lambda _: None), NOW)
        work.run()
        founder = None if faults.count else work.founder()
        return Checked(faults.shown, faults.count, staging, plan, founder)

    yield check
    for staging in stagings:
        staging.close()
