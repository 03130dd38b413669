"""What a caller sent, not looked at yet. Pure.

Who calls and what they may do is settled before the faults of their input are named (the order of
answers: 403 and 404 before 422), so a route hands the unread body to its action.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Submitted(Protocol[T_co]):
    """A body that is validated when read, not before."""

    def read(self) -> T_co:
        """Return the validated body.

        Raises:
            Malformed: it is not JSON, or not an object.
            Invalid: a field is missing, unknown or wrong; one fault each.
        """
        ...


@dataclass(frozen=True)
class Mapped(Generic[T]):
    """A body that becomes something else when read: a wire model an action's command."""

    source: Submitted[Any]
    into: Callable[[Any], T]

    def read(self) -> T:
        """Return what the validated body stands for."""
        return self.into(self.source.read())
