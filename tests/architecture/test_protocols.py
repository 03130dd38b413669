"""A Protocol stands only where there is a choice: between two classes of ours, or ours and a test's fake."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from bailiwick_testkit.checkout import files, sources, tree

Class = tuple[str, frozenset[str]]
"""A class or module, by name, with what it has."""


def _names(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case _:
                pass


def _is_protocol(node: ast.ClassDef) -> bool:
    bases = [ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases]
    return "Protocol" in bases


def _classes(module: ast.Module) -> Iterator[ast.ClassDef]:
    return (node for node in ast.walk(module) if isinstance(node, ast.ClassDef))


def _protocols(module: ast.Module) -> list[Class]:
    """Return the Protocols of a module, but for those of one function: a `Callable` with names."""
    found = [
        (one.name, frozenset(_names(one.body))) for one in _classes(module) if _is_protocol(one)
    ]
    return [(name, asked) for name, asked in found if asked != {"__call__"}]


def _implementers(module: ast.Module) -> Iterator[Class]:
    yield "module", frozenset(_names(module.body))
    for one in _classes(module):
        if not _is_protocol(one):
            yield one.name, frozenset(_names(one.body))


def _without_choice(protocols: Iterable[Class], modules: Iterable[ast.Module]) -> list[str]:
    have = [offered for module in modules for _, offered in _implementers(module)]
    return [name for name, asked in protocols if sum(asked <= offered for offered in have) < 2]


def _python() -> list[Path]:
    return [file for file in files() if file.suffix == ".py"]


def test_a_protocol_has_two_that_implement_it_or_a_fake() -> None:
    protocols = [one for file in sources("services", "libs") for one in _protocols(tree(file))]
    alone = _without_choice(protocols, [tree(file) for file in _python()])
    assert protocols
    assert not alone, f"{alone}: take the class itself, so that go-to-definition ends at what runs"


def test_a_protocol_that_one_class_implements_is_found() -> None:
    port = "class Orders(Protocol):\n    async def one(self, order_id): ...\n"
    stored = "class StoredOrders:\n    async def one(self, order_id): ...\n"
    fake = stored.replace("Stored", "Remembered")
    protocols = _protocols(ast.parse(port))
    assert _without_choice(protocols, [ast.parse(port), ast.parse(stored)]) == ["Orders"]
    assert not _without_choice(protocols, [ast.parse(port), ast.parse(stored), ast.parse(fake)])
