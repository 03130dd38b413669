"""Which tests go to the same worker of a run, and in which order they are handed out.

Tests that share what they set up, or would harm, stay together. pytest-xdist's own way, the mark
`xdist_group` with `--dist loadgroup`, groups nothing from pytest 9.2 on and says nothing of it (pytest-xdist
issue 1386). A file's place and name decide instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from typing_extensions import override
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

_LONG = ("worlds.py", "mutants.py")
"""Ends of the names of files whose single tests take longest: at the end of a run, one worker would idle."""
_UNTIL = 0.8
"""By this part of the single tests, every group has begun."""


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


def arranged(nodeids: Sequence[str]) -> list[str]:
    """Return the tests as they are handed out: groups, the largest first, and single tests between.

    A group often waits for what it has started; meanwhile the other worker has tests that only compute.
    Single tests of one file stay side by side: what they share is set up again for each worker.
    """
    single = [one for one in nodeids if scope(one) == one]
    single.sort(key=lambda one: not one.partition("::")[0].endswith(_LONG))
    grouped = sorted((one for one in nodeids if scope(one) != one), key=scope)
    groups = sorted((list(some) for _, some in groupby(grouped, key=scope)), key=len)
    order: list[str] = []
    between = int(len(single) * _UNTIL / max(1, len(groups)))
    while groups:
        order += groups.pop() + single[:between]
        del single[:between]
    return order + single


class Spreading(LoadScopeScheduling):  # type: ignore[misc] # the library ships no types
    """Hands whole scopes to workers, in the order of the collection (`arranged`)."""

    def __init__(self, config: Any, log: Any = None) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    @override
    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid)
