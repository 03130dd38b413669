"""Plays the story, and ends with how to go on from there."""

from __future__ import annotations

import httpx2

from bailiwick_launcher import console
from bailiwick_launcher.demo.checking import Checks, StoryEndsError
from bailiwick_launcher.demo.letters import Letters
from bailiwick_launcher.demo.person import SignInError, at_gateway, signed_in
from bailiwick_launcher.demo.story import Story
from bailiwick_launcher.stacks import Stack, sign_ins


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
        console.report("   The story cannot go on from here.")
    _close(stack.origin, known, checks)
    return not checks.wrong


def _close(url: str, known: list[dict[str, str]], checks: Checks) -> None:
    console.report(
        "\nSign in as any of them. The passwords are this installation's own; the web shop's"
    )
    console.report("are a client id and its secret.\n")
    columns = ("name", "role", "email", "password")
    console.table(columns, [[one[column] for column in columns] for one in known])
    console.report(f"\nEverything is still running, at {url}")
    console.report("  ./bailiwick mail     the mail that was sent")
    console.report("  ./bailiwick status   what runs, and these sign-ins again")
    console.report("  ./bailiwick down     stop it; the data stay")
    if checks.wrong:
        console.report(f"\n{len(checks.wrong)} checks failed:")
        for one in checks.wrong:
            console.report(f"  ✗ {one}")
    else:
        console.report(f"\nAll {checks.right} checks passed.")
