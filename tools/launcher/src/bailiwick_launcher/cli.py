"""The commands of `./bailiwick`."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bailiwick_csv_import.target import ImportStoppedError
from bailiwick_launcher import checks
from bailiwick_launcher.console import report, table
from bailiwick_launcher.data_folder import CHECKOUT, of_the_checkout
from bailiwick_launcher.processes import StackError
from bailiwick_launcher.servers import providers
from bailiwick_launcher.services import SERVICES
from bailiwick_launcher.stacks import Stack, choosing

app = typer.Typer(
    help="Bailiwick on one machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_PASS_ON: Any = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@contextmanager
def _telling() -> Iterator[None]:
    """Turn what went wrong with the stack into a sentence and exit code 1."""
    try:
        yield
    except (StackError, ImportStoppedError) as error:
        Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(str(error))
        raise typer.Exit(1) from None


def _stack() -> Stack:
    return choosing.known(of_the_checkout(), report)


def _running() -> Stack:
    stack = _stack()
    if absent := stack.absent():
        raise StackError(_not_up(absent))
    return stack


def _not_up(absent: Sequence[str]) -> str:
    return f"The stack is not up ({', '.join(absent)} not running). Start it with: ./bailiwick up"


def _call(module: str, function: str, *arguments: object, **options: object) -> Any:
    """Call what only some commands need, and what takes long to load."""
    return getattr(importlib.import_module(module), function)(*arguments, **options)


@app.command()
def demo() -> None:
    """Start everything, load the sample company, and play a short story through the API."""
    with _telling():
        stack = choosing.begin(of_the_checkout(), report)
        stack.up()
        _call("bailiwick_launcher.demo", "load", stack)
        passed = _call("bailiwick_launcher.demo", "play", stack)
    raise typer.Exit(0 if passed else 1)


@app.command()
def up(
    *, empty: Annotated[bool, typer.Option("--empty", help="Without the sample company.")] = False
) -> None:
    """Start everything; load the sample company where there is none."""
    with _telling():
        stack = choosing.begin(of_the_checkout(), report)
        stack.up()
        # Who began without it, to import a company of their own, is not given it at the next start.
        wants_it = stack.places.kept.choice("sample", lambda: "no" if empty else "yes") == "yes"
        if wants_it and not empty:
            _call("bailiwick_launcher.demo", "load", stack)
        report(f"\nup at {stack.origin}, documentation at {stack.origin}/docs/")


@app.command()
def down() -> None:
    """Stop everything; the data stay."""
    with _telling():
        ended = _stack().down()
        report(f"stopped {', '.join(ended)}" if ended else "nothing was running")


@app.command()
def status(*, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Show what runs where, and the sample company's sign-ins."""
    with _telling():
        stack = _stack()
        told = stack.status()
    if as_json:
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    if not told["up"]:
        report(_not_up(stack.absent()))
    else:
        report(f"gateway  {told['gateway']}\n")
    services = [
        [s["name"], str(s["pid"] or "-"), s["address"], s["health"]] for s in told["services"]
    ]
    table(["service", "pid", "address", "health"], services)
    if told["servers"]:
        report("")
        running = {True: "running", False: "not running"}
        servers = [[s["name"], s["version"], running[s["running"]]] for s in told["servers"]]
        table(["server", "version", "state"], servers)
    if told["sign_ins"]:
        report("")
        columns = ["name", "role", "email", "password"]
        table(columns, [[str(one.get(c, "")) for c in columns] for one in told["sign_ins"]])


@app.command()
def logs(
    name: Annotated[str, typer.Argument(metavar="SERVICE", help="A service or server.")],
    lines: Annotated[int, typer.Option("--lines", "-n")] = 200,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f")] = False,
) -> None:
    """Show the end of a service's or server's log."""
    with _telling():
        command = _stack().log_command(name, lines, follow=follow)
    sys.stdout.flush()
    os.execvp(command[0], command)  # noqa: S606


@app.command()
def mail(
    number: Annotated[int | None, typer.Argument(metavar="NUMBER", help="One message.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write its HTML here.")] = None,
    last: Annotated[int, typer.Option(min=1, help="How many to list, the latest.")] = 20,
) -> None:
    """List the mail that the stack has sent, or show one message as text."""
    with _telling():
        mailbox = _stack().mail
        if number is None and html:
            raise StackError("Say which message: ./bailiwick mail NUMBER --html FILE")
        if number is None:
            _call("bailiwick_launcher.mail_listing", "list_messages", mailbox, last)
        elif html:
            _call("bailiwick_launcher.mail_listing", "write_html", mailbox, number, html)
        else:
            _call("bailiwick_launcher.mail_listing", "show", mailbox, number)


@app.command("import")
def import_(
    directory: Annotated[Path, typer.Argument(metavar="DIR", exists=True, file_okay=False)],
    mapping: Annotated[Path, typer.Option(exists=True, dir_okay=False, metavar="FILE")],
    *,
    update: Annotated[
        bool,
        typer.Option("--update", help="Take over rows that have changed since the last import."),
    ] = False,
) -> None:
    """Import a company from CSV files, by a mapping; nothing is loaded while one row is wrong."""
    with _telling():
        code = _call(
            "bailiwick_csv_import.importing", "run", _running(), directory, mapping, update=update
        )
    raise typer.Exit(code)


@app.command(context_settings=_PASS_ON)
def test(context: typer.Context) -> None:
    """Run the tests, two at a time; arguments are pytest's."""
    arguments = list(context.args)
    if not any(argument.startswith(("-n", "--numprocesses")) for argument in arguments):
        arguments = ["-n", "2", *arguments]
    with _telling():
        providers.prepare(None, report)
    sys.stdout.flush()
    os.chdir(CHECKOUT)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *arguments])  # noqa: S606


@app.command()
def check() -> None:
    """Check format, lint, types, import rules, policy and contracts."""
    with _telling():
        passed = checks.run(report)
    raise typer.Exit(0 if passed else 1)


@app.command()
def contracts() -> None:
    """Rewrite what is made from code: schemas, API documents, reference pages, the chart's policy."""
    makers = (
        "bailiwick_contracts.generate",
        "bailiwick_docs.openapi",
        "bailiwick_docs.pages",
        "bailiwick_policy.chart",
    )
    for module in makers:
        command = [sys.executable, "-m", module]
        code = subprocess.run(command, cwd=CHECKOUT, check=False).returncode
        if code:
            raise typer.Exit(code)


@app.command()
def bench(parts: Annotated[list[str] | None, typer.Argument(metavar="PART …")] = None) -> None:
    """Measure the goals that are ratios, side by side in one run; or some parts of it."""
    with _telling():
        providers.prepare(None, report)
    command = [sys.executable, "tests/bench", *(parts or [])]
    raise typer.Exit(subprocess.run(command, cwd=CHECKOUT, check=False).returncode)


@app.command(context_settings=_PASS_ON)
def service(context: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME")]) -> None:
    """Run a service's own command (dead-letters, republish …) in the running stack; input is passed on."""
    with _telling():
        if name not in SERVICES:
            raise StackError(f"There is no service {name}. Services: {', '.join(SERVICES)}.")
        text = sys.stdin.read() if _has_input(context.args) else ""
        done = _running().run_service(name, *context.args, text=text)
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    raise typer.Exit(done.returncode)


def _has_input(arguments: Sequence[str]) -> bool:
    """Return whether a service's command reads standard input; an endless one would hang all others."""
    is_asked_for = any(one.startswith("--") and one.endswith("-stdin") for one in arguments)
    return is_asked_for or arguments[:1] in (["import"], ["verify"])
