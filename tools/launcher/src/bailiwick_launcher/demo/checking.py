"""What each step of the story shows and checks, and what was found instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bailiwick_launcher import console
from bailiwick_launcher.demo.person import Answer


class StoryEndsError(Exception):
    """What the next steps build on failed; the failure has been printed."""


@dataclass
class Checks:
    """Prints the story, and counts the checks that passed and those that failed."""

    steps: int = 0
    right: int = 0
    wrong: list[str] = field(default_factory=list)

    def step(self, what: str) -> None:
        """Begin the next step."""
        self.steps += 1
        console.report(f"\n{self.steps}. {what}")

    def show(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table."""
        console.table(columns, rows, indent=3)

    def say(self, what: str) -> None:
        """Print a line of the story."""
        console.report(f"   {what}")

    def quote(self, text: str) -> None:
        """Print what somebody wrote."""
        console.report("\n".join(f"   │ {line}".rstrip() for line in text.strip().split("\n")))

    def that(self, what: str, *, is_so: bool, instead: object) -> None:
        """Say whether something is as it should be."""
        if is_so:
            self.right += 1
            console.report(f"   ✓ {what}")
        else:
            self.wrong.append(f"step {self.steps}: {what}")
            console.report(f"   ✗ should be: {what}; it is: {instead}")

    def broken(self, what: str) -> None:
        """Say what broke the story off."""
        self.wrong.append(what)
        console.report(f"   ✗ {what}")

    def done(self, what: str, answer: Answer, status: int = 201) -> Answer:
        """Check what the next steps build on.

        Raises:
            StoryEndsError: it failed.
        """
        self.that(what, is_so=answer.status == status, instead=answer)
        if answer.status != status:
            raise StoryEndsError
        return answer
