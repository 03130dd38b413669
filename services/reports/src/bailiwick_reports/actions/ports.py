"""What the routes need of the store, so that either can be read, and tested, without the other."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from bailiwick_access.authorizer import Gate
from bailiwick_access.requests import Reading
from bailiwick_kit.policy.scope import Scope
from bailiwick_reports.domain.portfolio import AskedPortfolio, Standing
from bailiwick_reports.domain.sales import Asked, Group
from bailiwick_reports.domain.team import Team


@dataclass(frozen=True)
class Sight:
    """What a caller may see of the sales, and how much of it is told apart."""

    scope: Scope
    is_restricted: bool
    """Then other members are one group."""
    hides_customers: bool
    """Then all customers that the caller does not represent now are one group."""


class Queries(Protocol):
    """Reads reports through what a caller may see.

    `…_pages` read the same without end, a page at a time; they need a connection with a snapshot.
    """

    async def sales(
        self, reading: Reading, sight: Sight, asked: Asked, *, limit: int
    ) -> Sequence[Group]:
        """Return up to `limit` groups of the sales that the caller may see."""
        ...

    def sales_pages(
        self, reading: Reading, sight: Sight, asked: Asked
    ) -> AsyncGenerator[Sequence[Group], None]:
        """Yield all of them."""
        ...

    async def credit(self, reading: Reading, asked: Asked, *, limit: int) -> Sequence[Group]:
        """Return up to `limit` groups of the caller's own frozen credit, whatever they may view."""
        ...

    def credit_pages(self, reading: Reading, asked: Asked) -> AsyncGenerator[Sequence[Group], None]:
        """Yield all of them."""
        ...

    async def portfolio(
        self, reading: Reading, scope: Scope, asked: AskedPortfolio, *, limit: int
    ) -> Sequence[Standing]:
        """Return up to `limit` customers that the caller may see, the longest silent first."""
        ...

    def portfolio_pages(
        self, reading: Reading, scope: Scope, asked: AskedPortfolio
    ) -> AsyncGenerator[Sequence[Standing], None]:
        """Yield all of them."""
        ...

    async def team(self, reading: Reading, gate: Gate, scope: Scope, asked: Asked) -> Team:
        """Return the team with its credit in the period; only the dates of what is asked count."""
        ...

    async def held(self, reading: Reading) -> frozenset[UUID]:
        """Return the customers that the caller represents now."""
        ...
