"""What an action returns that writes: what was written as its writer may see it, and its versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, Self, TypeVar
from uuid import UUID


class Versioned(Protocol):
    """What is shown of an entity says which version it is."""

    @property
    def version(self) -> int:
        """The entity's version."""
        ...


SeenT = TypeVar("SeenT", bound=Versioned)


@dataclass(frozen=True)
class Written(Generic[SeenT]):
    """What an action wrote, as its writer sees it, and every (id, version) that a reader may wait for.

    `effective_at` is set where the act takes something from somebody a moment from now: its call
    answers when that instant has passed (D18).
    """

    entity_id: UUID
    seen: SeenT
    positions: Sequence[tuple[UUID, int]]
    effective_at: datetime | None = None

    @classmethod
    def one(cls, entity_id: UUID, seen: SeenT) -> Self:
        """Return that this version of the entity was written, and nothing else."""
        return cls(entity_id, seen, [(entity_id, seen.version)])


@dataclass(frozen=True)
class Repeated:
    """What an earlier request with the same key wrote. This one wrote nothing (D23)."""

    entity_id: UUID
