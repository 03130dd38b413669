"""A failure tells what the services wrote of the requests that it names, and nothing else."""

from pathlib import Path

from bailiwick_testkit.checks.log_lines import MOST, lines_about

ONE, OTHER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331b7ad6b7169203331"


def test_lines_of_the_requests_that_a_failure_names_are_told_wherever_they_are(
    tmp_path: Path,
) -> None:
    for folder, name in (("stack", "orders"), ("faults", "customers")):
        log = tmp_path / folder / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True)
        log.write_text(f'{{"n": "{name}", "trace_id": "{ONE}"}}\n{{"trace_id": "{OTHER}"}}\nx\n')
    told = lines_about(f'assert 503 == 201: {{"trace_id": "{ONE}"}}', tmp_path).splitlines()
    assert told == [f'{{"n": "{name}", "trace_id": "{ONE}"}}' for name in ("customers", "orders")]
    assert lines_about("assert 503 == 201", tmp_path) == ""


def test_a_flood_of_lines_is_cut(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "orders.log").write_text(f"{ONE}\n" * 1000)
    assert len(lines_about(ONE, tmp_path).splitlines()) == MOST
