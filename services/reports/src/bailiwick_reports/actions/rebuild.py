"""Make replicas and cube anew, while reports goes on serving (D19, F28)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol
from uuid import UUID


class Copy(Protocol):
    """The replica of what one authority tells."""

    @property
    def source(self) -> str:
        """Whose words it goes by."""
        ...

    async def mend(self, org_id: UUID) -> int:
        """Make it as the authority's change feed has it now; return how many rows that took."""
        ...


class Cube(Protocol):
    """The sums of what orders count for."""

    async def recount(self, org_id: UUID, *, forgetting: bool) -> tuple[int, int]:
        """Make it anew from what each order counts for; return how many cells went, and how many came."""
        ...


async def rebuild(
    copies: Sequence[Copy], cube: Cube, org_id: UUID, *, forgetting: bool
) -> AsyncIterator[str]:
    """Make all of an organization's read models anew, and say what that took, part by part.

    What each order counts for is not made anew here: orders tells that (`republish`). `forgetting` deletes
    it, for where it holds what orders never told; until orders has told all again, figures are missing.

    Raises:
        Unavailable: a change feed does not answer; what was made anew before stays.
    """
    for copy in copies:
        yield f"{copy.source}: {await copy.mend(org_id)} rows mended"
    gone, come = await cube.recount(org_id, forgetting=forgetting)
    yield f"sales: {gone} cells taken out, {come} put in"
