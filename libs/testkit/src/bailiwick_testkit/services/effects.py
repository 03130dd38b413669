"""What verbs change in a running service, beside what the oracle lets them (domain §3 to §5)."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

import httpx2

from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.policy.oracle import Answer, Customer, Member, Oracle, Order, World
from bailiwick_testkit.services.service_under_test import ServiceUnderTest

RowT = TypeVar("RowT", Order, Customer)


def hold_answer(response: httpx2.Response, answer: Answer, allowed: int, asked: object) -> None:
    """Hold that the service says what the oracle does, and why; `allowed` is the status where one may."""
    expected = 403 if not answer.capable else 404 if not answer.visible else 403
    if answer.allow:
        expected = allowed
    assert response.status_code == expected, (asked, answer, response.text)  # noqa: S101
    if response.status_code == 403:  # noqa: PLR2004
        assert tuple(response.json()["reasons"]) == answer.reasons, asked  # noqa: S101


class Acting(ABC, Generic[RowT]):
    """Acts in a staged world, one after the other, and what the world comes to by them."""

    resource: ClassVar[str]
    verbs: ClassVar[Mapping[str, str]]
    """Verb → the action that policy is asked about."""
    path: ClassVar[str]
    table: ClassVar[Any]

    def __init__(
        self,
        shop: ServiceUnderTest,
        world: World,
        people: Mapping[str, Person],
        ids: Mapping[str, UUID],
    ) -> None:
        self.shop, self.world, self.people, self.ids = shop, world, people, ids

    @abstractmethod
    def rows(self) -> Sequence[RowT]:
        """Return the world's rows, as they are now."""

    @abstractmethod
    def with_rows(self, rows: Sequence[RowT]) -> World:
        """Return the world with these instead."""

    @abstractmethod
    def effect(self, verb: str, row: RowT, by: Member) -> RowT | None:
        """Say what becomes of a row, as the domain has it; None: its state lets nobody do this."""

    @abstractmethod
    def columns(self, row: RowT) -> dict[str, Any]:
        """Return how the row is kept, as far as the world knows it."""

    @abstractmethod
    async def send(self, who: Person, verb: str, path: str) -> httpx2.Response:
        """Do it, against whichever version there is."""

    @property
    def working(self) -> set[str]:
        """The verbs by which somebody can change something."""
        return {verb for _, verb, _ in self.acts(works=True)}

    def acts(self, *, works: bool) -> list[tuple[Member, str, RowT]]:
        """Return those that change something, or those that do not."""
        return [
            (member, verb, row)
            for member in self.world.members
            for verb in self.verbs
            for row in self.rows()
            if works
            == (
                self.answer(member, self.verbs[verb], row).allow
                and self.effect(verb, row, member) is not None
            )
        ]

    def answer(self, member: Member, action: str, row: RowT) -> Answer:
        """Ask the oracle about the world as it is now."""
        return Oracle(self.world).answer(member, self.resource, action, row)

    async def hold_some(self, count: int, seed: int) -> dict[bool, int]:
        """Do some acts that work and as many that do not; return how many of each there were."""
        choose, done = random.Random(seed), {True: 0, False: 0}  # noqa: S311 - for tests
        for works in (True, False) * count:
            if acts := self.acts(works=works):
                verb = choose.choice(sorted({verb for _, verb, _ in acts}))
                await self.hold(*choose.choice([act for act in acts if act[1] == verb]))
                done[works] += 1
        return done

    async def hold(self, member: Member, verb: str, row: RowT) -> None:
        """Do it, and hold that it changes what it should, and nothing else."""
        asked = (member, verb, row)
        answer, after = self.answer(member, self.verbs[verb], row), self.effect(verb, row, member)
        before = await self._kept()
        row_id = self.ids[row.id]
        response = await self.send(self.people[member.id], verb, f"{self.path}/{row_id}")
        hold_answer(response, answer, 409 if after is None else 200, asked)
        now = await self._kept()
        changed = {one for one in now if now[one] != before.get(one)}
        if not answer.allow or after is None:
            assert not changed, asked  # noqa: S101
            return
        assert changed == {row_id}, asked  # noqa: S101
        assert self.columns(after).items() <= now[row_id].items(), asked  # noqa: S101
        self.world = self.with_rows([after if one is row else one for one in self.rows()])
        await self._hold_lists(asked)

    async def _kept(self) -> dict[UUID, dict[str, Any]]:
        """Return what is kept of each row of the organization, column by column."""
        async with self.shop.database.reading(self.shop.org_id) as connection:
            rows = await connection.execute(self.table.select())
            key = f"{self.resource.removesuffix('s')}_id"
            return {row[key]: dict(row) for row in rows.mappings()}

    async def _hold_lists(self, asked: object) -> None:
        """Hold that everybody's list is the oracle's, after what was done."""
        for member in self.world.members:
            listed = await self.shop.api.get(self.people[member.id], self.path)
            seen = {
                str(self.ids[row.id])
                for row in self.rows()
                if self.answer(member, "view", row).allow
            }
            key = f"{self.resource.removesuffix('s')}_id"
            found = {one[key] for one in listed.json().get("items", ())}
            assert found == seen, (asked, member)  # noqa: S101
