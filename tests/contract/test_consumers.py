"""Every consumer's own tests hear all that was ever told: a service cannot come to listen without them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from bailiwick_contracts.catalogue import SUBSCRIBED
from bailiwick_testkit.checkout import CHECKOUT, read, tree


def _asked_for(root: ast.Module) -> set[str]:
    """Return whose samples a file of tests asks for."""
    return {
        str(argument.value)
        for node in ast.walk(root)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "samples_for"
        for argument in node.args
        if isinstance(argument, ast.Constant)
    }


@pytest.mark.parametrize("consumer", sorted(SUBSCRIBED))
def test_consumers_tests_feed_it_every_sample_of_now_and_of_the_last_release(consumer: str) -> None:
    file = Path("services", consumer, "tests", "integration", "test_samples.py")
    assert (CHECKOUT / file).is_file(), f"write {file} like services/orders has it"
    assert _asked_for(tree(file)) == {consumer}
    text = read(file)
    assert "listener.heard(sample)" in text
    assert "later=True" in text


def test_a_file_that_asks_for_anothers_samples_is_found() -> None:
    assert _asked_for(ast.parse('a = samples_for("orders")')) == {"orders"}
    assert not _asked_for(ast.parse("a = samples()"))
