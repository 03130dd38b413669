"""How many files lie between a route and its SQL, an event and its mail, a report and its rows."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from bailiwick_testkit.checkout import read, tree

Leg = Sequence[str]
"""Steps that call one another, each as `file:name`, the file as ARCHITECTURE.md writes it."""

PATHS: Mapping[str, tuple[int, Sequence[Leg]]] = {
    "a read: a customer": (
        5,
        [
            [
                "services/customers/api/customers.py:_viewed",
                "services/customers/store/queries.py:facts",
            ]
        ],
    ),
    "a write: an order is edited": (
        5,
        [
            [
                "services/orders/api/orders.py:patch_order",
                "services/orders/actions/edit_order.py:edit_order",
                "services/orders/store/unit_of_work.py:save",
                "services/orders/store/statements.py:SAVE_EDIT",
            ]
        ],
    ),
    "a write: a customer is assigned": (
        5,
        [
            [
                "services/customers/api/assignments.py:post_assignment",
                "services/customers/actions/assign_customer.py:assign_customer",
                "services/customers/rules/assigning.py:write_assignment",
                "services/customers/store/unit_of_work.py:write",
            ]
        ],
    ),
    "an event to its mail": (
        10,
        [
            ["services/notifier/events/orders.py:from_orders"],
            ["services/notifier/store/notices.py:TakeNotice"],
            [
                "services/notifier/workers.py:Fixing",
                "services/notifier/actions/fix_recipients.py:_fix",
                "services/notifier/store/notices.py:fix",
            ],
            [
                "services/notifier/workers.py:Sending",
                "services/notifier/actions/send_dispatch.py:send_dispatch",
                "services/notifier/store/dispatches.py:opened",
                "services/notifier/store/mail_content.py:opened",
            ],
            ["services/notifier/mail_templates/writer.py:new_order"],
            ["services/notifier/mail/sending.py:send"],
        ],
    ),
    "a report: sales": (
        5,
        [
            [
                "services/reports/api/reports.py:read_sales",
                "services/reports/store/queries.py:sales",
                "services/reports/store/aggregate.py:sales_by",
                "services/reports/store/visible_rows.py:visible_sales",
            ]
        ],
    ),
}
"""Each path with how many files it may cross."""


def _file(step: str) -> Path:
    group, name, *rest = step.partition(":")[0].split("/")
    return Path(group, name, "src", f"bailiwick_{name}", *rest)


def _defined(step: str) -> Iterator[ast.AST]:
    name = step.partition(":")[2]
    for node in ast.walk(tree(_file(step))):
        match node:
            case (
                ast.FunctionDef(name=found)
                | ast.AsyncFunctionDef(name=found)
                | ast.ClassDef(name=found)
                | ast.Assign(targets=[ast.Name(id=found)])
            ):
                if found == name:
                    yield node
            case _:
                pass


def _mentions(node: ast.AST, name: str) -> bool:
    return any(
        (isinstance(one, ast.Name) and one.id == name)
        or (isinstance(one, ast.Attribute) and one.attr == name)
        for one in ast.walk(node)
    )


def _broken(leg: Leg) -> list[str]:
    faults = [f"{step} is not there" for step in leg if not list(_defined(step))]
    for step, following in pairwise(leg):
        name = following.partition(":")[2].removeprefix("_")
        names = {name, following.partition(":")[2], _file(following).stem}
        if not any(_mentions(node, one) for node in _defined(step) for one in names):
            faults.append(f"{step} does not lead to {following}")
    return faults


def _crossed(legs: Sequence[Leg]) -> int:
    return len({_file(step) for leg in legs for step in leg})


@pytest.mark.parametrize("path", PATHS)
def test_a_path_crosses_few_files_and_never_goes_back(path: str) -> None:
    most, legs = PATHS[path]
    faults = [fault for leg in legs for fault in _broken(leg)]
    assert not faults, "\n".join(faults)
    for leg in legs:
        assert len({_file(step) for step in leg}) == len(leg), f"{leg}: goes back"
    assert _crossed(legs) <= most


@pytest.mark.parametrize("path", PATHS)
def test_architecture_tells_how_many(path: str) -> None:
    most, legs = PATHS[path]
    row = f"| {path} | {_crossed(legs)} | {most} |"
    assert row in read(Path("ARCHITECTURE.md")), f"write into the table of ARCHITECTURE.md: {row}"


def test_a_path_that_ends_at_a_port_is_found() -> None:
    assert _broken(
        [
            "services/orders/api/orders.py:patch_order",
            "services/orders/store/unit_of_work.py:save",
        ]
    )
