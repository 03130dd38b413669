"""The bundle: what is in it, what its revision stands for, and that it is the same wherever it is made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bailiwick_policy import bundle


@pytest.mark.parametrize(
    "name", ["README.md", "cases/orders.yaml", "bailiwick/orders/orders_test.rego"]
)
def test_what_is_not_in_the_bundle_does_not_change_its_revision(tmp_path: Path, name: str) -> None:
    (tmp_path / "bailiwick").mkdir()
    (tmp_path / "bailiwick" / "a.rego").write_text("package a")
    before = bundle.revision(tmp_path)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("x")
    assert bundle.revision(tmp_path) == before
    (tmp_path / "bailiwick" / "a.rego").write_text("package b")
    assert bundle.revision(tmp_path) != before
    assert len(before) == 12


def test_same_policy_packs_to_the_same_bytes(tmp_path: Path) -> None:
    for source in bundle.sources():
        copy = tmp_path / source.relative_to(bundle.POLICY)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(source.read_bytes())
        os.utime(copy, (0, 0))
    assert bundle.packed(bundle.contents(tmp_path)) == bundle.packed(bundle.contents())


def test_bundle_holds_what_it_was_packed_of() -> None:
    files = bundle.contents()
    assert bundle.unpacked(bundle.packed(files)) == files
    assert "/bailiwick/orders/include.rego" in files
    assert not [name for name in files if "_test" in name or "cases" in name]
