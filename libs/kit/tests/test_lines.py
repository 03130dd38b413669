import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from bailiwick_kit import lines
from bailiwick_kit.errors import Fault, Forbidden, Invalid, Refusal


class Thing(BaseModel):
    name: str


def test_lines_come_in_their_order() -> None:
    sent = [b'{"name": "a"}', b'{"name": "b"}']
    assert [thing.name for thing in lines.read(sent, Thing.model_validate_json)] == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"name": 1}', "line 2: name: Send a string"),
        (b"{", "line 2: "),
        (b" " * (lines.LONGEST + 1), "line 2: Send at most 1000000 bytes a line"),
    ],
)
def test_a_wrong_line_is_named_and_what_came_before_is_given(line: bytes, said: str) -> None:
    read = lines.read([b'{"name": "a"}', line], Thing.model_validate_json)
    assert next(read).name == "a"
    with pytest.raises(lines.LineError, match=said):
        next(read)


def test_a_refusal_of_a_batch_is_about_lines() -> None:
    refusal = Invalid(faults=(Fault("[1].name", "x", "Choose"), Fault("[2]", "x", "Leave it out")))
    assert str(lines.about(refusal, 11)) == "line 12: name: Choose\nline 13: Leave it out"


def test_a_refusal_without_faults_is_about_no_line() -> None:
    refusal = Forbidden("Ask a manager.")
    assert lines.about(refusal, 1) is refusal


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (None, ""),
        (lines.LineError("line 2: no"), "line 2: no\n"),
        (Forbidden("Ask a manager."), "forbidden: Ask a manager.\n"),
    ],
)
def test_answers_are_told_as_they_come_and_what_is_wrong_at_the_end(
    wrong: lines.LineError | Refusal | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def answers() -> AsyncIterator[Mapping[str, Any]]:
        yield {"created": True}
        if wrong is not None:
            raise wrong

    assert lines.tell(answers()) == (1 if wrong else 0)
    told = capsys.readouterr()
    assert (json.loads(told.out), told.err) == ({"created": True}, said)
