import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from bailiwick_kit.errors import Fault, Forbidden, Invalid, PolicyUnavailable
from bailiwick_kit.imports import jsonl
from bailiwick_kit.retrying import patiently, what_of


class Thing(BaseModel):
    name: str


def test_lines_come_in_their_order() -> None:
    sent = [b'{"name": "a"}', b'{"name": "b"}']
    assert [thing.name for thing in jsonl.read(sent, Thing.model_validate_json)] == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"name": 1}', "line 2: name: Send a string"),
        (b"{", "line 2: "),
        (b" " * (jsonl.LONGEST + 1), f"line 2: Send at most {jsonl.LONGEST} bytes a line"),
    ],
)
def test_a_wrong_line_is_named_and_what_came_before_is_given(line: bytes, said: str) -> None:
    read = jsonl.read([b'{"name": "a"}', line], Thing.model_validate_json)
    assert next(read).name == "a"
    with pytest.raises(jsonl.LineError, match=said):
        next(read)


def test_a_refusal_of_a_batch_is_about_lines() -> None:
    refusal = Invalid(faults=(Fault("[1].name", "x", "Choose"), Fault("[2]", "x", "Leave it out")))
    assert str(jsonl.about(refusal, 11)) == "line 12: name: Choose\nline 13: Leave it out"


def test_a_refusal_without_faults_is_about_no_line() -> None:
    refusal = Forbidden("Ask a manager.")
    assert jsonl.about(refusal, 1) is refusal


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (None, ""),
        (jsonl.LineError("line 2: no"), "line 2: no\n"),
        (Forbidden("Ask a manager."), "forbidden: Ask a manager.\n"),
        (
            PolicyUnavailable(),
            "Permissions cannot be checked right now. Nothing is wrong with what",
        ),
        (ConnectionRefusedError(), "The database does not answer. Nothing is wrong with what"),
    ],
)
def test_answers_are_told_as_they_come_and_what_is_wrong_at_the_end(
    wrong: Exception | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def answers() -> AsyncIterator[Mapping[str, Any]]:
        yield {"created": True}
        if wrong is not None:
            raise wrong

    is_sent_wrong = isinstance(wrong, jsonl.LineError | Forbidden)
    code = jsonl.REFUSED if is_sent_wrong else jsonl.LATER if wrong else 0
    assert jsonl.tell(answers()) == code
    told = capsys.readouterr()
    assert json.loads(told.out) == {"created": True}
    assert told.err == said if is_sent_wrong or not wrong else told.err.startswith(said)


@pytest.mark.parametrize("error", [PolicyUnavailable(), ConnectionResetError(), TimeoutError()])
async def test_what_does_not_answer_is_waited_for_and_said_once(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    failures = [error, error]

    async def act() -> str:
        if failures:
            raise failures.pop()
        return "done"

    assert await patiently(act, 60, jsonl.waiting) == "done"
    assert capsys.readouterr().err == f"{jsonl.WAITING}{what_of(error)}\n"


@pytest.mark.parametrize(
    ("error", "patience"), [(Forbidden("No."), 60), (KeyError("x"), 60), (PolicyUnavailable(), 0)]
)
async def test_what_waiting_does_not_help_is_not_waited_for(
    error: Exception, patience: float, capsys: pytest.CaptureFixture[str]
) -> None:
    async def act() -> str:
        raise error

    with pytest.raises(type(error)):
        await patiently(act, patience, jsonl.waiting)
    assert capsys.readouterr().err == ""
