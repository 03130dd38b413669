"""The demo's story, as `./bailiwick demo` plays it: every check passes, the second time too."""

from __future__ import annotations

import pytest

from bailiwick_launcher import demo, stacks
from bailiwick_testkit.servers.stack import Running


def test_the_story_comes_out_as_told_again_and_again(
    stack: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    quiet = stack.told([])
    demo.load(quiet)
    sign_ins = stacks.sign_ins(quiet.places)
    with stack.signed_in(sign_ins[0]["email"], sign_ins[0]["password"]) as manager:
        assert manager.count("/v1/customers") >= 120
        assert manager.count("/v1/orders", source="import") > 800

    assert demo.play(quiet)
    printed = capsys.readouterr().out
    assert "✗" not in printed
    for one in sign_ins:
        assert f"{one['name']} " in printed
        assert one["password"] in printed

    again: list[str] = []
    demo.load(stack.told(again))
    assert not again, "loaded once, it is left alone"
    assert demo.play(quiet)


def test_a_story_that_goes_wrong_says_so(
    stack: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = stack.told([])
    demo.load(quiet)
    # A customer without a name is refused, and nothing after it can be told.
    monkeypatch.setattr("bailiwick_launcher.demo.bodies.new_customer", lambda _: {"name": ""})
    capsys.readouterr()
    assert not demo.play(quiet)
    printed = capsys.readouterr().out
    assert "✗ should be: Claire enters it; it is: refused (422)" in printed
    assert "cannot go on" in printed
