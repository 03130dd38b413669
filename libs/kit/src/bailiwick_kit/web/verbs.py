"""Verbs that take no words: `…/confirm` says it all, so a body with something in it was meant otherwise.

Nothing or `{}` passes. Anything else is judged in the turn of a body: after 401, 403, 404, 428 and 412.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from fastapi import Depends
from typing_extensions import override

from bailiwick_kit.web.bodies import SentBody, json_body
from bailiwick_kit.web.etags import Expected, IfMatch
from bailiwick_kit.web.fields import Model
from bailiwick_kit.web.submitted import Submitted


class Nothing(Model):
    """A body without members."""


NoBody: TypeAlias = Annotated[SentBody[Nothing], json_body(Nothing, optional=True)]
"""A route's parameter: `body: NoBody`; its action reads it when it is the input's turn."""


@dataclass(frozen=True)
class ExpectedAlone(Expected):
    """Which version the caller means to change, and nothing else that they say."""

    body: Submitted[Any]

    @override
    def check(self, version: int) -> None:
        """Make sure that the caller means this version, and says no more.

        Raises:
            PreconditionRequired, Stale: as `Expected` has it.
            Malformed, Invalid, HTTPException: there is a body with something in it.
        """
        super().check(version)
        self.body.read()


async def _alone(expected: IfMatch, body: NoBody) -> Expected:
    return ExpectedAlone(expected.header, body)


IfMatchAlone: TypeAlias = Annotated[Expected, Depends(_alone)]
"""A route's parameter in place of `IfMatch`, for a verb without a body."""
