"""How a service's program begins."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from bailiwick_kit.process.starting import program_in


def test_a_program_is_imported_without_looks_for_garbage_and_none_goes_over_it_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import gc\nlooks = gc.isenabled()\ndef program():\n    return looks\n"
    (tmp_path / "made_up_program.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        assert program_in("made_up_program")() is False
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


def test_what_cannot_be_imported_leaves_the_looks_as_they_were() -> None:
    with pytest.raises(ModuleNotFoundError):
        program_in("no_such_program")
    assert gc.isenabled()
    gc.unfreeze()
