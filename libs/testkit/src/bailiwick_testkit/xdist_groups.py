"""Which tests go to the same worker of a run: those that share what they set up, or would harm.

pytest-xdist's own way, the mark `xdist_group` with `--dist loadgroup`, groups nothing from pytest 9.2 on
and says nothing of it (pytest-xdist issue 1386). A file's place and name decide instead.
"""

from __future__ import annotations

from typing_extensions import override
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]


def scope(nodeid: str) -> str:
    """Give what a test belongs to; tests of one scope run one after the other.

    End-to-end tests stay together by file: they share an organization. Files that do harm to servers
    of their own, called `…faults.py`, stay together all of them: it takes the whole machine. So do those
    that start containers.
    """
    file = nodeid.partition("::")[0]
    if file.startswith("tests/containers/"):
        return "containers"
    if file.endswith("faults.py"):
        return "faults"
    return file if file.startswith("tests/e2e/") else nodeid


class Spreading(LoadScopeScheduling):  # type: ignore[misc] # the library ships no types
    """Hands whole scopes to workers, the one with the most tests first."""

    @override
    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid)
