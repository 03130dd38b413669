"""An import goes on where a service was cut off, and tells what it waits for."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

import pytest

from bailiwick_csv_import.feeding import Feed, FeedError

# Answers each line, until it has answered as many as it is told; then it ends as it is told.
_SERVICE = """
import os, signal, sys
most, end = int(sys.argv[1]), sys.argv[2]
for number, line in enumerate(sys.stdin.buffer):
    if number == most:
        if end == "killed":
            os.write(1, b'{"line": "cut')
            os.kill(os.getpid(), signal.SIGKILL)
        if end == "refused":
            sys.stderr.write(f"line {number + 1}: name: no\\n")
        if end == "crashed":
            raise RuntimeError(line)
        if end == "stopped":
            sys.stderr.write('service "orders" is not running\\n')
        sys.exit(75 if end == "late" else 1)
    if end == "waits" and number == 1:
        sys.stderr.write("waiting: The database does not answer\\n")
        sys.stderr.flush()
        import time; time.sleep(1)
    os.write(1, b'{"line": ' + line.strip() + b"}\\n")
"""


class Services:
    """A stack whose services run as they are told, one after the other."""

    def __init__(self, *runs: tuple[int, str]) -> None:
        self.runs = list(runs)
        self.told: list[str] = []
        self.report = self.told.append

    def feed_service(
        self, _service: str, _arguments: list[str], sent: IO[bytes], said: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        most, end = self.runs.pop(0)
        command = [sys.executable, "-c", _SERVICE, str(most), end]
        return subprocess.Popen(command, stdin=sent, stdout=subprocess.PIPE, stderr=said)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bailiwick_csv_import.feeding._TRY_AGAIN_AFTER", 0.01)
    monkeypatch.setattr("bailiwick_csv_import.feeding._LOOK_EVERY", 0.01)


def fed(services: Any, folder: Path, service: str = "orders", **more: Any) -> list[int]:
    """Give 2,000 lines, more than a buffer holds, and return which were answered."""
    answers: list[int] = []
    with tempfile.TemporaryFile(dir=folder) as sent:
        sent.writelines(b"%d\n" % number for number in range(2_000))
        sent.seek(0)
        feed = Feed(services, service, [], sent, folder, **more)
        try:
            answers.extend(answer["line"] for answer in feed.answers())
        except FeedError as error:
            error.add_note(json.dumps(answers))
            raise
    return answers


@pytest.mark.parametrize("end", ["killed", "crashed", "stopped"])
def test_what_was_cut_off_goes_on_after_the_last_line_that_was_answered(
    tmp_path: Path, end: str
) -> None:
    services = Services((1_500, end), (0, end), (7, end), (9_999, ""))
    assert fed(services, tmp_path) == list(range(2_000))
    assert services.told == ["waiting: orders's import was cut off; it goes on"] * 3


def test_what_is_waited_for_is_told_while_it_is(tmp_path: Path) -> None:
    services = Services((9_999, "waits"))
    assert fed(services, tmp_path) == list(range(2_000))
    assert services.told == ["waiting: The database does not answer"]


@pytest.mark.parametrize(
    ("runs", "service", "goes_on", "said", "before"),
    [
        ([(3, "refused")], "orders", 60, "line 4: name: no", 0),
        ([(1_000, "killed"), (3, "refused")], "orders", 60, "line 4: name: no", 1_000),
        ([(3, "late")], "orders", 60, "", 0),
        ([(3, "killed")], "identity", 60, "", 0),
        ([(3, "killed")], "orders", 0, "", 0),
    ],
)
def test_what_no_waiting_mends_ends_it(
    tmp_path: Path,
    runs: list[tuple[int, str]],
    service: str,
    goes_on: float,
    said: str,
    before: int,
) -> None:
    with pytest.raises(FeedError) as caught:
        fed(Services(*runs), tmp_path, service, goes_on=goes_on)
    assert (caught.value.said, caught.value.answered) == (said, before)
    assert json.loads(caught.value.__notes__[0]) == list(range(before + 3))
