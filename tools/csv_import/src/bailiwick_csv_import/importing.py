"""One import from beginning to end: read the mapping, check all files, load, and say what became of it."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bailiwick_csv_import import mapping
from bailiwick_csv_import.checking import Check
from bailiwick_csv_import.faults import Faults, UnreadableError
from bailiwick_csv_import.loading import KINDS, Load, Passwords
from bailiwick_csv_import.plan import Plan
from bailiwick_csv_import.progress import Progress
from bailiwick_csv_import.rights import asking
from bailiwick_csv_import.staging import Staging
from bailiwick_csv_import.target import Target
from bailiwick_kit.imports.imported_rows import Outcome


def run(target: Target, directory: Path, file: Path, *, update: bool = False) -> int:
    """Import the directory's files into the running stack by the mapping.

    `update` takes over the rows that have changed since an earlier import; without, they are told of.

    Returns 0, or 1 where something was wrong and nothing was loaded.

    Raises:
        ImportStoppedError: a service refuses what passed the check, or does not answer.
    """
    faults = Faults()
    with tempfile.TemporaryDirectory(prefix="bailiwick-import-") as folder:
        staging = Staging(Path(folder) / "staging.sqlite")
        try:
            checked = _checked(target, directory, file, staging, faults)
            if checked is None:
                faults.tell(target.report)
                wrong = "1 thing is" if faults.count == 1 else f"{faults.count:,} things are"
                target.report(f"{wrong} wrong; nothing was loaded")
                return 1
            plan, founder = checked
            _load(target, plan, staging, founder, Path(folder), update=update)
        finally:
            staging.close()
    return 0


def _checked(
    target: Target, directory: Path, file: Path, staging: Staging, faults: Faults
) -> tuple[Plan, str] | None:
    """Check everything; return the plan and who founds the organization if nothing is wrong."""
    try:
        plan = mapping.read(file, directory, faults)
    except UnreadableError:
        return None
    with target.policy() as url, asking(url, target.report) as rights:
        check = Check(plan, staging, rights, faults, Progress(target.report))
        check.run()
        founder = None if faults.count else check.founder()
    return (plan, founder) if founder is not None else None


def _load(
    target: Target, plan: Plan, staging: Staging, founder: str, folder: Path, *, update: bool
) -> None:
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    path = target.places.folder("imports") / f"{plan.source}-{stamp}-passwords.tsv"
    progress, passwords = Progress(target.report), Passwords(target, path)
    load = Load(target, plan, staging, progress, passwords, folder=folder, update=update)
    try:
        kept = load.run(founder)
    except Exception:
        if path.exists():
            target.report(f"The passwords made up so far are in {path}.")
        raise
    target.report(f"\n{plan.organization.name}")
    for kind in KINDS:
        if kind in load.tallies:
            tally = load.tallies[kind]
            target.report(f"{kind:<12} " + " ".join(_counted(one, tally[one]) for one in Outcome))
    _tell_different(target, load)
    if kept:
        target.report(
            f"\nThe passwords that were made up are in {kept}. Hand them out and delete it."
        )


def _counted(outcome: Outcome, count: int) -> str:
    return f"{count:>9,} {outcome}" if count or outcome in _ALWAYS_TOLD else ""


_ALWAYS_TOLD = {Outcome.CREATED, Outcome.UNCHANGED}


_LEFT = (
    "They were left as they are. Import with --update to take over what they say now,"
    " but for what people have changed since."
)
_LEFT_TO_PEOPLE = (
    "They were left as they are: people have changed since what these rows are about,"
    " or somebody else holds that time. Change it in the application."
)


def _tell_different(target: Target, load: Load) -> None:
    """Say which rows say something else than when they were imported, and what to do."""
    if not load.different:
        return
    target.report("")
    for place in load.different:
        target.report(f"{place}: This row has changed since it was imported")
    count = sum(tally[Outcome.DIFFERENT] for tally in load.tallies.values())
    if more := count - len(load.different):
        target.report(f"… and {more:,} more")
    target.report(_LEFT_TO_PEOPLE if load.update else _LEFT)
