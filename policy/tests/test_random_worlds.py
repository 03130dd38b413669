"""Decision ⇔ filter ⇔ oracle, over companies drawn at random (T12).

BAILIWICK_TRIPLES says how many (caller, row, action) triples to ask about, BAILIWICK_SEED where to start.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import hypothesis
import pytest

from bailiwick_kit.policy.client import Filter, Policy
from bailiwick_testkit.policy.engine import Engine, includes
from bailiwick_testkit.policy.oracle import Answer, Member, Oracle, World, is_restricted
from bailiwick_testkit.policy.worlds import (
    ACTIONS,
    ENTITIES,
    Question,
    caller_document,
    questions,
    row_document,
    worlds,
)

TRIPLES = int(os.environ.get("BAILIWICK_TRIPLES", "10000"))
# Members, by actions and rows: customers, orders, creating an order for a customer, reports of orders,
# deliveries, preferences, members.
TRIPLES_A_WORLD = 5 * (
    (len(ACTIONS["customers"]) - 1) * 4
    + (len(ACTIONS["orders"]) - 1) * 6
    + (4 + 6 + 3 + 2 * 2)
    + (len(ACTIONS["members"]) - 1) * 8
)

Decisions = Mapping[Question, Mapping[str, Any]]
Filters = Mapping[tuple[Member, str, str], Filter]


async def decisions(engine: Engine, world: World) -> Decisions:
    by_resource = defaultdict(list)
    for question in questions(world):
        by_resource[question.resource].append(question)
    found: dict[Question, Mapping[str, Any]] = {}
    for resource, asked in by_resource.items():
        documents = [question.document(world) for question in asked]
        answers = await engine.decide_all(resource, documents)
        found |= zip(asked, answers, strict=True)
    return found


async def filters(policy: Policy, world: World) -> Filters:
    wanted = {
        (question.member, question.resource, question.action): None
        for question in questions(world)
        if question.row is not None and question.action != "create"
    }
    found = await asyncio.gather(
        *(
            policy.filter(
                f"bailiwick/{resource}",
                f"input.{ENTITIES[resource]}",
                caller_document(world, member, action),
            )
            for member, resource, action in wanted
        )
    )
    return dict(zip(wanted, found, strict=True))


def compare(world: World, decided: Decisions, filtered: Filters) -> int:
    """Hold decisions, oracle and filters against each other; return how many triples that were."""
    oracle, triples = Oracle(world), 0
    for question, decision in decided.items():
        member, resource, action, row = (
            question.member,
            question.resource,
            question.action,
            question.row,
        )
        said = Answer(
            capable=decision["capable"],
            visible=decision["visible"],
            allow=decision["allow"],
            reasons=tuple(decision["reasons"]),
        )
        assert said == oracle.answer(member, resource, action, row), question
        if resource == "reports" and action == "view" and is_restricted(member):
            assert decision == decided[replace(question, resource="orders")], question
            assert filtered[member, resource, action] == filtered[member, "orders", action]
        if row is None:
            continue
        triples += 1
        if action != "create":
            facts = row_document(world, member, row)
            entity = ENTITIES[resource]
            scope = filtered[member, resource, action].scope
            assert includes(scope, entity, facts) == decision["allow"], question
            viewing = "lookup" if action == "lookup" else "view"
            scope = filtered[member, resource, viewing].scope
            assert includes(scope, entity, facts) == decision["visible"], question
    return triples


def test_decision_filter_and_oracle_agree_on_random_worlds(
    engine_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("BAILIWICK_SEED", random.randrange(2**32)))  # noqa: S311 - draws cases
    compared: list[int] = []

    with asyncio.Runner() as runner:
        engine = runner.run(Engine(engine_url).__aenter__())
        policy = runner.run(Policy(engine_url, deadline=30).__aenter__())

        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=-(-TRIPLES // TRIPLES_A_WORLD),
            deadline=None,
            database=None,
            print_blob=True,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(worlds())
        def check(world: World) -> None:
            decided = runner.run(decisions(engine, world))
            compared.append(compare(world, decided, runner.run(filters(policy, world))))

        try:
            check()
        finally:
            with capsys.disabled():
                print(f"\n{sum(compared)} triples compared, BAILIWICK_SEED={seed}")  # noqa: T201
            runner.run(policy.close())
            runner.run(engine.close())
    assert sum(compared) >= TRIPLES
