"""Make replicas and cube anew, while reports goes on serving (D19, F28)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from bailiwick_reports.store.cube_rebuild import Cube
from bailiwick_reports.store.replica_repair import Copy


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
