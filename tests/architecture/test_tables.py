"""Tables: every key begins with the organization, so that no tenant can learn of another by a clash (D4)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ExcludeConstraint

from bailiwick_launcher.data_folder import CHECKOUT
from bailiwick_testkit.checkout import SERVICES
from bailiwick_testkit.checks import introspection
from bailiwick_testkit.checks.tenancy import WITHOUT_ORGANIZATION


def _keys(table: sa.Table) -> Iterator[tuple[str, str]]:
    """Give each key of a table: what it is called, and its first column."""
    for constraint in table.constraints:
        if isinstance(constraint, sa.PrimaryKeyConstraint | sa.UniqueConstraint):
            columns = list(constraint.columns)
            yield str(constraint.name or "primary key"), columns[0].name if columns else ""
        elif isinstance(constraint, ExcludeConstraint):
            yield str(constraint.name), next(iter(constraint.operators))
    for index in table.indexes:
        if index.unique:
            yield str(index.name), str(getattr(next(iter(index.expressions)), "name", ""))


def _faults(table: sa.Table) -> list[str]:
    return [f"{table.name}: {name}" for name, first in _keys(table) if first != "org_id"]


@pytest.mark.parametrize("service", SERVICES)
def test_keys_begin_with_the_organization(service: str) -> None:
    faults = [
        fault
        for table in introspection.tables(service).values()
        if table.name not in WITHOUT_ORGANIZATION[service]
        for fault in _faults(table)
    ]
    assert not faults, f"put org_id first; a clash would tell one tenant of another: {faults}"


@pytest.mark.parametrize("service", SERVICES)
def test_tables_that_belong_to_no_organization_are_there(service: str) -> None:
    assert WITHOUT_ORGANIZATION[service] <= introspection.tables(service).keys()


@pytest.mark.parametrize("service", SERVICES)
def test_instants_have_a_zone_and_amounts_are_exact(service: str) -> None:
    for table in introspection.tables(service).values():
        for column in table.columns:
            name = f"{table.name}.{column.name}"
            assert not isinstance(column.type, sa.Float), f"{name}: amounts are Numeric(18, 4)"
            if isinstance(column.type, sa.DateTime):
                assert column.type.timezone, f"{name}: use DateTime(timezone=True) (D7)"


def test_a_key_that_begins_otherwise_is_found() -> None:
    table = sa.Table(
        "things",
        sa.MetaData(),
        sa.Column("org_id", sa.Uuid, primary_key=True),
        sa.Column("thing_id", sa.Uuid, primary_key=True),
        sa.Column("code", sa.Text),
        sa.UniqueConstraint("code", "org_id", name="by_code"),
        sa.Index("by_thing", "thing_id", unique=True),
        sa.Index("search", "code"),
    )
    assert sorted(_faults(table)) == ["things: by_code", "things: by_thing"]


@pytest.mark.parametrize("service", SERVICES)
def test_migrations_follow_one_another(service: str) -> None:
    """Two of one number come together without a conflict, and then no database is migrated any more."""
    folder = CHECKOUT / f"services/{service}/src/bailiwick_{service}/store/migrations/versions"
    numbers = sorted(file.name[:4] for file in folder.glob("0*.py"))
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
    for file in folder.glob("0*.py"):
        number = int(file.name[:4])
        before = f'"{number - 1:04}"' if number > 1 else "None"
        text = file.read_text("utf-8")
        assert re.search(rf'^revision\b.* = "{number:04}"$', text, re.MULTILINE), file.name
        assert re.search(rf"^down_revision\b.* = {before}$", text, re.MULTILINE), file.name
