"""The policy that the Helm chart carries, made from `policy/`: written, or compared.

The bundle is put together here and not by `opa build`, so that the same rules give the same file anywhere.

python -m bailiwick_local.chart [--check]
"""

from __future__ import annotations

import gzip
import io
import json
import sys
import tarfile
from pathlib import Path

from bailiwick_local.places import CHECKOUT
from bailiwick_local.servers import opa

FOLDER = CHECKOUT / "deploy" / "helm" / "bailiwick" / "files" / "policy"
BUNDLE, REVISION = "bundle.tar.gz", "revision"


def contents(policy: Path = opa.POLICY) -> dict[str, bytes]:
    """Give the bundle's files by their paths, the manifest with the revision among them."""
    manifest = json.loads((policy / ".manifest").read_text("utf-8"))
    manifest["revision"] = opa.revision(policy)
    found = {f"/{path.relative_to(policy)}": path.read_bytes() for path in opa.bundled(policy)}
    return found | {"/.manifest": json.dumps(manifest, sort_keys=True).encode()}


def packed(files: dict[str, bytes]) -> bytes:
    """Give the bundle: the same files give the same bytes, whenever it is made."""
    unpacked = io.BytesIO()
    with tarfile.open(fileobj=unpacked, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(unpacked.getvalue(), mtime=0)


def unpacked(bundle: bytes) -> dict[str, bytes]:
    """Give what is in a bundle."""
    with tarfile.open(fileobj=io.BytesIO(bundle)) as archive:
        return {
            member.name: file.read()
            for member in archive.getmembers()
            if (file := archive.extractfile(member))
        }


def drift(folder: Path = FOLDER, policy: Path = opa.POLICY) -> list[str]:
    """Return the names of the files that are not what `policy/` says, or that it does not ask for."""
    expected = contents(policy)
    bundle, revision = folder / BUNDLE, folder / REVISION
    differing = []
    # Not compared byte by byte: what packs it may pack better one day.
    if not bundle.is_file() or unpacked(bundle.read_bytes()) != expected:
        differing.append(BUNDLE)
    if not revision.is_file() or revision.read_text("utf-8") != f"{opa.revision(policy)}\n":
        differing.append(REVISION)
    return differing + sorted({path.name for path in folder.glob("*")} - {BUNDLE, REVISION})


def main() -> int:
    """Write the files where they differ; with --check only compare. Returns the exit code."""
    differing = drift()
    if "--check" in sys.argv[1:]:
        for name in differing:
            print(f"the chart's policy/{name} differs from policy/: run ./bailiwick contracts")
        return 1 if differing else 0
    if differing:
        FOLDER.mkdir(parents=True, exist_ok=True)
        if BUNDLE in differing:  # packed again, the same files may be other bytes
            (FOLDER / BUNDLE).write_bytes(packed(contents()))
        (FOLDER / REVISION).write_text(f"{opa.revision()}\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
