"""How the demo counts its checks, and puts refusals into words."""

from __future__ import annotations

import pytest

from bailiwick_launcher import console
from bailiwick_launcher.demo.checking import Checks, StoryEndsError
from bailiwick_launcher.demo.person import Answer


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(200, {}), "opened"),
        (Answer(201, {}), "done (201)"),
        (Answer(404, {"code": "not-found", "detail": "Check the id."}), "not found"),
        (Answer(403, {"code": "assignment-ended"}), "not allowed"),
        (Answer(422, {"code": "invalid", "detail": "Send a name."}), "refused (422): Send a name."),
        (Answer(503, {"code": "unavailable", "title": "Try again"}), "refused (503): Try again"),
        (Answer(502, None), "refused (502)"),
    ],
)
def test_answers_are_put_into_words(answer: Answer, words: str) -> None:
    assert str(answer) == words


def test_what_is_not_so_is_counted_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    checks = Checks()
    checks.step("Somebody looks.")
    checks.that("it is there", is_so=True, instead="nothing")
    checks.that("it is hers", is_so=False, instead="nobody's")
    assert (checks.right, checks.wrong) == (1, ["step 1: it is hers"])
    printed = capsys.readouterr().out
    assert "✓ it is there" in printed
    assert "✗ should be: it is hers; it is: nobody's" in printed


def test_what_the_rest_builds_on_ends_the_story_where_it_fails() -> None:
    checks = Checks()
    assert checks.done("made", Answer(201, {"name": "x"}))["name"] == "x"
    with pytest.raises(StoryEndsError):
        checks.done("made again", Answer(409, {}))
    assert len(checks.wrong) == 1


def test_without_a_terminal_a_table_is_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    console.table(("who", "sees"), [["Ana Ruiz", "54"], ["Zoé", "not allowed"]], indent=3)
    assert capsys.readouterr().out.splitlines() == [
        "   who       sees",
        "   Ana Ruiz  54",
        "   Zoé       not allowed",
    ]
