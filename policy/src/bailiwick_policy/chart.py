"""The bundle that the Helm chart carries, with its revision beside it: written, or compared.

python -m bailiwick_policy.chart [--check]
"""

from __future__ import annotations

import sys
from pathlib import Path

from bailiwick_policy.bundle import POLICY, contents, packed, revision, unpacked

FOLDER = POLICY.parent / "deploy" / "helm" / "bailiwick" / "files" / "policy"
BUNDLE, REVISION = "bundle.tar.gz", "revision"


def drift(folder: Path = FOLDER, policy: Path = POLICY) -> list[str]:
    """Return the names of the files that are not what `policy/` says, or that it does not ask for."""
    bundle, numbered = folder / BUNDLE, folder / REVISION
    differing = []
    # Not compared byte by byte: what packs it may pack better one day.
    if not bundle.is_file() or unpacked(bundle.read_bytes()) != contents(policy):
        differing.append(BUNDLE)
    if not numbered.is_file() or numbered.read_text("utf-8") != f"{revision(policy)}\n":
        differing.append(REVISION)
    return differing + sorted({path.name for path in folder.glob("*")} - {BUNDLE, REVISION})


def main() -> int:
    """Write the files where they differ; with --check only compare. Return the exit code."""
    differing = drift()
    if "--check" in sys.argv[1:]:
        for name in differing:
            print(f"the chart's policy/{name} differs from policy/: run ./bailiwick contracts")
        return 1 if differing else 0
    if differing:
        FOLDER.mkdir(parents=True, exist_ok=True)
        if BUNDLE in differing:  # packed again, the same files may be other bytes
            (FOLDER / BUNDLE).write_bytes(packed(contents()))
        (FOLDER / REVISION).write_text(f"{revision()}\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
