"""SQL selects exactly the rows that policy's two-valued logic allows, NULLs included (T12)."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping
from itertools import product
from typing import Any as Value
from typing import cast
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from bailiwick_kit.errors import PolicyUnavailable
from bailiwick_kit.policy.scope import All, Any, Compare, Condition, Not, Operator, fields, settled
from bailiwick_kit.policy.scope_sql import reads_facts, to_sql
from bailiwick_testkit.policy.engine import meets
from bailiwick_testkit.servers.real import Postgres

ONE, OTHER = UUID(int=1), UUID(int=2)
FACTS = frozenset({"order.main", "order.additional", "order.author"})
MAIN = Compare("order.main", "eq", value=True)
AUTHOR = Compare("order.author", "eq", value=True)
PLACED = Compare("order.state", "eq", "placed")

orders = sa.Table(
    "orders_of_the_scope_test",
    sa.MetaData(),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("org_id", sa.Uuid),
    sa.Column("main", sa.Boolean),
    sa.Column("state", sa.Text),
    sa.Column("total", sa.Integer),
    sa.Column("share", sa.Float),
    prefixes=["TEMPORARY"],
)
COLUMNS = {f"order.{column.name}": column for column in orders.c}

ROWS = [
    {
        "number": number,
        "org_id": org_id,
        "main": main,
        "state": state,
        "total": total,
        "share": share,
    }
    for number, (org_id, main, state, (total, share)) in enumerate(
        product(
            (ONE, OTHER, None),
            (True, False, None),
            ("draft", "placed", "Ünï_cödé%", "a_b", "axb", "", None),
            ((1, 1.0), (2, 0.5), (None, None)),
        )
    )
]

COMPARISONS: list[Condition] = [
    Compare(f"order.{name}", cast("Operator", operator), value)
    for name, operator, value in [
        *product(["org_id"], ["eq", "ne"], [str(ONE), None]),
        *product(["main"], ["eq", "ne"], [True, False, None]),
        *product(["state"], ["eq", "ne"], ["placed", "", "Ünï_cödé%", "' OR 1=1 --", None]),
        *product(["state"], ["startswith"], ["", "a_", "Ünï_", "%", "p", "\\"]),
        *product(["state"], ["in"], [(), ("draft",), ("draft", "a_b"), ("draft", None), (None,)]),
        *product(["org_id"], ["in"], [(str(ONE), str(OTHER)), (str(ONE), None), ()]),
        *product(["main"], ["in"], [(True,), (True, None), (True, False)]),
        *product(["total"], ["eq", "ne", "lt", "le", "gt", "ge"], [1, 2]),
        *product(["share"], ["eq", "lt", "le", "gt", "ge"], [1, 0.5]),
    ]
]


@pytest.fixture
async def connection(postgres: Postgres) -> AsyncIterator[AsyncConnection]:
    url = sa.make_url(postgres.url).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url)
    async with engine.connect() as opened:
        await opened.run_sync(orders.create)
        await opened.execute(orders.insert(), ROWS)
        yield opened
    await engine.dispose()


def composed(seed: int) -> list[Condition]:
    """Draw trees of the comparisons, `not` at every height."""
    draw = random.Random(seed)  # noqa: S311 - it draws cases

    def tree(depth: int) -> Condition:
        kind = draw.choice(["leaf", "all", "any", "not"]) if depth else "leaf"
        match kind:
            case "all":
                return All(tuple(tree(depth - 1) for _ in range(draw.randint(0, 3))))
            case "any":
                return Any(tuple(tree(depth - 1) for _ in range(draw.randint(0, 3))))
            case "not":
                return Not(tree(depth - 1))
            case _:
                pass
        return draw.choice(COMPARISONS)

    return [tree(3) for _ in range(200)]


def fact_row(row: Mapping[str, Value]) -> dict[str, Value]:
    return {
        f"order.{name}": str(value) if isinstance(value, UUID) else value
        for name, value in row.items()
    }


async def test_sql_agrees_with_policys_logic_on_every_row(connection: AsyncConnection) -> None:
    seed = random.randrange(2**32)  # noqa: S311 - it draws cases
    conditions = [*COMPARISONS, *map(Not, COMPARISONS), *composed(seed)]
    for condition in conditions:
        statement = sa.select(orders.c.number).where(to_sql(condition, COLUMNS))
        found = set((await connection.scalars(statement)).all())
        wanted = {row["number"] for row in ROWS if meets(condition, fact_row(row))}
        assert found == wanted, (seed, condition)


def compiled(condition: Condition) -> sa.Compiled:
    return (
        sa.select(orders.c.number)
        .where(to_sql(condition, COLUMNS))
        .compile(
            dialect=postgresql.asyncpg.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy's own
        )
    )


def test_values_are_bound_and_never_part_of_the_statement() -> None:
    attack = "'; DROP TABLE orders; --"
    for condition in (
        Compare("order.state", "eq", attack),
        Compare("order.state", "ne", attack),
        Compare("order.state", "in", (attack,)),
        Compare("order.state", "startswith", attack),
    ):
        assert "DROP" not in str(compiled(condition))


def test_a_condition_of_the_same_shape_is_the_same_statement() -> None:
    def statement(org: UUID, *states: str) -> Condition:
        return All(
            (
                Compare("order.org_id", "eq", str(org)),
                MAIN,
                Not(Compare("order.state", "in", states)),
                Compare("order.state", "startswith", states[0]),
            )
        )

    one = to_sql(statement(ONE, "a"), COLUMNS)._generate_cache_key()
    other = to_sql(statement(OTHER, "b", "c"), COLUMNS)._generate_cache_key()
    assert one is not None
    assert other is not None
    assert one.key == other.key
    different = to_sql(All((MAIN,)), COLUMNS)._generate_cache_key()
    assert different is not None
    assert different.key != one.key


@pytest.mark.parametrize(
    "condition",
    [
        Compare("order.relation_state", "eq", "none"),
        Compare("main", "eq", value=True),
        Compare("order.main", "eq", "true"),
        Compare("order.main", "eq", 1),
        Compare("order.state", "eq", value=True),
        Compare("order.state", "eq", 1),
        Compare("order.state", "lt", "placed"),
        Compare("order.total", "lt", value=True),
        Compare("order.total", "eq", 1.5),
        Compare("order.total", "eq", value=True),
        Compare("order.total", "lt", None),
        Compare("order.org_id", "eq", "not an id"),
        Compare("order.org_id", "startswith", "0"),
        Compare("order.org_id", "in", (str(ONE), 1)),
        Compare("order.state", "eq", ("draft",)),
        Compare("order.state", "in", "draft"),
        Compare("order.state", "startswith", None),
        Compare("order.state", "like", "%"),  # type: ignore[arg-type]
        Not(All((MAIN, Any((Compare("order.unknown", "eq", 1),))))),
    ],
    ids=str,
)
def test_what_cannot_be_honoured_to_the_letter_is_refused(condition: Condition) -> None:
    with pytest.raises(PolicyUnavailable):
        to_sql(condition, COLUMNS)


@pytest.mark.parametrize(
    "condition",
    [
        MAIN,
        All((PLACED, MAIN)),
        Any((MAIN, All((AUTHOR, PLACED)))),
        All((Any((MAIN, PLACED)), AUTHOR)),
        All((MAIN, Not(AUTHOR))),
    ],
    ids=str,
)
def test_a_list_whose_rows_all_need_a_fact_reads_from_the_facts(condition: Condition) -> None:
    assert reads_facts(condition, FACTS)


@pytest.mark.parametrize("condition", [PLACED, All(()), Any((PLACED, Not(PLACED)))], ids=str)
def test_a_list_that_names_no_fact_reads_from_the_resource(condition: Condition) -> None:
    assert not reads_facts(condition, FACTS)


@pytest.mark.parametrize(
    "condition",
    [
        Any((MAIN, PLACED)),
        Not(MAIN),
        Compare("order.main", "eq", value=False),
        Compare("order.main", "ne", value=False),
        All((PLACED, Any((MAIN, Not(AUTHOR))))),
        Not(All((MAIN, AUTHOR))),
    ],
    ids=str,
)
def test_a_list_that_would_need_both_is_refused(condition: Condition) -> None:
    with pytest.raises(PolicyUnavailable):
        reads_facts(condition, FACTS)


def any_condition(draw: random.Random, depth: int = 4) -> Condition:
    """Return a random condition over two facts and a column."""
    kind = draw.choice(("leaf", "all", "any", "not")) if depth else "leaf"
    match kind:
        case "all" | "any":
            parts = tuple(any_condition(draw, depth - 1) for _ in range(draw.randrange(4)))
            return All(parts) if kind == "all" else Any(parts)
        case "not":
            return Not(any_condition(draw, depth - 1))
        case _:
            return draw.choice((MAIN, AUTHOR, PLACED, Compare("order.state", "ne", "draft")))


def test_what_facts_settle_is_never_otherwise_and_reads_nothing_else() -> None:
    draw = random.Random(18)  # noqa: S311 - not for secrets
    settles = 0
    for _ in range(2_000):
        condition = any_condition(draw)
        surely, perhaps = (settled(condition, FACTS, at_least=one) for one in (True, False))
        assert fields(surely) | fields(perhaps) <= FACTS
        for main, author, state in product((True, False), (True, False), ("draft", "placed", "x")):
            row = {"order.main": main, "order.author": author, "order.state": state}
            least, whole, most = (meets(one, row) for one in (surely, condition, perhaps))
            assert least <= whole <= most, condition
            settles += least
    assert settles > 1_000
