"""The pages that are made from code say what code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from bailiwick_docs import metrics_page, pages
from bailiwick_kit.telemetry import metrics
from bailiwick_launcher.data_folder import CHECKOUT
from bailiwick_testkit.checkout import MEMBERS


def test_the_pages_are_what_code_says() -> None:
    assert not pages.drift(), "run ./bailiwick contracts"


def test_a_page_that_differs_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pages, "FOLDER", tmp_path)
    monkeypatch.setattr("sys.argv", ["reference", "--check"])
    assert pages.main() == 1
    assert "./bailiwick contracts" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["reference"])
    assert pages.main() == 0
    monkeypatch.setattr("sys.argv", ["reference", "--check"])
    assert pages.main() == 0


def test_every_metric_that_is_shown_is_declared() -> None:
    families = text_string_to_metric_families(metrics.exposition().decode())
    shown = {family.name for family in families if family.name.startswith("bailiwick_")}
    declared = {name.removesuffix("_total") for name in metrics.DECLARED}
    assert {name.removesuffix("_total") for name in shown} <= declared


def test_every_alarm_leads_to_a_page_and_asks_for_what_there_is() -> None:
    rules = [
        rule
        for group in yaml.safe_load(metrics_page.ALARMS.read_text("utf-8"))["groups"]
        for rule in group["rules"]
    ]
    assert rules
    known = {
        name + ending for name in metrics.DECLARED for ending in ("", "_bucket", "_count", "_sum")
    }
    for rule in rules:
        page = rule["annotations"]["runbook_url"].removeprefix("RUNBOOK/")
        assert (CHECKOUT / "docs" / "runbook" / page).is_file(), f"write docs/runbook/{page}"
        asked = set(re.findall(r"\bbailiwick_\w+", rule["expr"]))
        assert asked, rule["alert"]
        assert asked <= known, f"{rule['alert']} asks for {asked - known}"


def test_no_text_breaks_its_row() -> None:
    for one in metrics.DECLARED.values():
        assert "|" not in one.help


NOT_METRICS = {Path(member).name for member in MEMBERS}
"""What else is called bailiwick_…: packages, and databases."""


def undeclared(text: str) -> set[str]:
    """Return the metrics that a text names and that there are not."""
    ends = ("", "_bucket", "_count", "_sum")
    known = {name + end for name in metrics.DECLARED for end in ends}
    named = set(re.findall(r"\bbailiwick_(?:\w+)", text))
    return named - known - {f"bailiwick_{name}" for name in NOT_METRICS}


@pytest.mark.parametrize("page", sorted((CHECKOUT / "docs").rglob("*.md")), ids=lambda p: p.name)
def test_pages_name_metrics_that_there_are(page: Path) -> None:
    assert not undeclared(page.read_text("utf-8"))


def test_a_metric_that_there_is_not_is_found() -> None:
    text = "bailiwick_outbox_unsent bailiwick_requests_seconds_count bailiwick_orders"
    assert not undeclared(text)
    assert undeclared(text + " bailiwick_outbox_sent") == {"bailiwick_outbox_sent"}
