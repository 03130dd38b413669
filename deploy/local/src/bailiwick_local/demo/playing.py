"""Plays the story, and ends with how to go on from there."""

from __future__ import annotations

import httpx2

from bailiwick_local import telling
from bailiwick_local.demo.checking import Checks, StoryEndsError
from bailiwick_local.demo.letters import Letters
from bailiwick_local.demo.person import SignInError, at_gateway, signed_in
from bailiwick_local.demo.story import Story
from bailiwick_local.stacks import Stack, sign_ins


def play(stack: Stack) -> bool:
    """Play the story through the gateway; say whether every check passed."""
    known, checks = sign_ins(stack.places), Checks()
    letters = Letters(None if stack.mail_goes_out else stack.mail)
    try:
        with at_gateway(stack.origin) as gateway:
            people = [signed_in(gateway, one) for one in known]
            Story(people, checks, letters).tell()
    except SignInError as error:
        checks.broken(str(error))
    except httpx2.HTTPError as error:
        checks.broken(f"The gateway did not answer: {error}")
    except StoryEndsError:
        telling.report("   The story cannot go on from here.")
    _close(stack.origin, known, checks)
    return not checks.wrong


def _close(url: str, known: list[dict[str, str]], checks: Checks) -> None:
    telling.report(
        "\nSign in as any of them. The passwords are this installation's own; the web shop's"
    )
    telling.report("are a client id and its secret.\n")
    columns = ("name", "role", "email", "password")
    telling.table(columns, [[one[column] for column in columns] for one in known])
    telling.report(f"\nEverything is still running, at {url}")
    telling.report("  ./bailiwick mail     the mail that was sent")
    telling.report("  ./bailiwick status   what runs, and these sign-ins again")
    telling.report("  ./bailiwick down     stop it; the data stay")
    if checks.wrong:
        telling.report(f"\n{len(checks.wrong)} checks failed:")
        for one in checks.wrong:
            telling.report(f"  ✗ {one}")
    else:
        telling.report(f"\nAll {checks.right} checks passed.")
