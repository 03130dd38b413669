"""What services run is compiled before they start: whom they run as cannot write bytecode there."""

from __future__ import annotations

from importlib.util import cache_from_source
from pathlib import Path

from bailiwick_launcher import services
from bailiwick_launcher.data_folder import DataFolder, source_folders


def test_all_that_services_run_is_compiled_before_they_start(tmp_path: Path) -> None:
    Path(cache_from_source(services.__file__)).unlink(missing_ok=True)
    services.interpreter(DataFolder(tmp_path))
    files = [file for folder in source_folders() for file in folder.rglob("*.py")]
    assert Path(services.__file__) in files
    assert [file for file in files if not Path(cache_from_source(str(file))).is_file()] == []
