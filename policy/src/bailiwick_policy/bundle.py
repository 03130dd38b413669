"""The bundle: what an OPA is given of `policy/`, the same bytes wherever the rules are the same.

It is put together here and not by `opa build`: images, chart, launcher and tests take this one. Whether the
rules compile is the business of `policy/gate`.

python -m bailiwick_policy.bundle FILE
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path

POLICY = Path(__file__).resolve().parents[2]
_LEFT_OUT = {"cases", "schemas", "src", "tests"}


def sources(policy: Path = POLICY) -> list[Path]:
    """Return the files that the bundle is made of, in order."""
    return [
        path
        for path in sorted(policy.rglob("*"))
        if path.is_file()
        and _LEFT_OUT.isdisjoint(path.relative_to(policy).parts)
        and (
            (path.suffix == ".rego" and not path.name.endswith("_test.rego"))
            or path.name in {".manifest", "data.yaml", "data.json"}
        )
    ]


def revision(policy: Path = POLICY) -> str:
    """Return twelve digits that stand for what the bundle contains."""
    digest = hashlib.sha256()
    for path in sources(policy):
        digest.update(str(path.relative_to(policy)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def contents(policy: Path = POLICY) -> dict[str, bytes]:
    """Return the bundle's files by their paths, the manifest with the revision among them."""
    manifest = json.loads((policy / ".manifest").read_text("utf-8"))
    manifest["revision"] = revision(policy)
    found = {f"/{path.relative_to(policy)}": path.read_bytes() for path in sources(policy)}
    return found | {"/.manifest": json.dumps(manifest, sort_keys=True).encode()}


def packed(files: dict[str, bytes]) -> bytes:
    """Return the bundle: the same files give the same bytes, whenever it is made."""
    archived = io.BytesIO()
    with tarfile.open(fileobj=archived, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(archived.getvalue(), mtime=0)


def unpacked(bundle: bytes) -> dict[str, bytes]:
    """Return the files in a bundle by their paths."""
    with tarfile.open(fileobj=io.BytesIO(bundle)) as archive:
        return {
            member.name: file.read()
            for member in archive.getmembers()
            if (file := archive.extractfile(member))
        }


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(packed(contents()))
