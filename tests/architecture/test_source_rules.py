"""House rules about source code: each finds nothing here, and finds what it forbids when that is planted."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bailiwick_testkit.checkout import CHECKOUT, sources, tree

Finder = Callable[[ast.AST], bool]
EVERYWHERE = ("contracts", "libs", "services", "policy", "gateway", "deploy", "tools", "examples")
OURS = ("contracts", "libs/kit", "libs/access", "services")
NOT_KIT = (
    "contracts",
    "libs/access",
    "services",
    "policy",
    "gateway",
    "deploy",
    "tools",
    "examples",
)
_BROAD = {"Exception", "BaseException"}


def _called(node: ast.AST) -> str:
    """Return the last part of what is called: `select` of `sa.select(…)`; empty for no call."""
    match node:
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)):
            return name
        case _:
            return ""


def _calls(*names: str) -> Finder:
    return lambda node: _called(node) in names


def _says(keyword: str) -> Finder:
    """Find a call that sets a keyword to anything but False."""
    return lambda node: (
        isinstance(node, ast.Call)
        and any(
            one.arg == keyword
            and not (isinstance(one.value, ast.Constant) and one.value.value is False)
            for one in node.keywords
        )
    )


def _builds_sql(node: ast.AST) -> bool:
    match node:
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="sa" | "sqlalchemy"), attr="text")
            | ast.Attribute(attr="exec_driver_sql"),
            args=[statement, *_],
        ):
            return not isinstance(statement, ast.Constant)
        case _:
            return False


def _is_request_state(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(
            value=ast.Name(id="request") | ast.Attribute(attr="request" | "_request"), attr="state"
        ):
            return True
        case _:
            return False


def _swallows(node: ast.AST) -> bool:
    match node:
        case ast.ExceptHandler(type=caught, body=[ast.Pass() | ast.Continue()]):
            return caught is None or bool(_BROAD & _names(caught))
        case _:
            return False


def _suppresses(node: ast.AST) -> bool:
    match node:
        case ast.Call(args=caught) if _called(node) == "suppress":
            return any(_BROAD & _names(one) for one in caught)
        case _:
            return False


def _names(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def _answers_by_leaving(node: ast.AST) -> bool:
    match node:
        case ast.AsyncWith(items=items):
            return any(_called(item.context_expr) == "process" for item in items)
        case _:
            return False


def _imports(*packages: str) -> Finder:
    def finds(node: ast.AST) -> bool:
        match node:
            case ast.Import(names=names):
                return any(one.name.partition(".")[0] in packages for one in names)
            case ast.ImportFrom(module=str(module)):
                return module.partition(".")[0] in packages
            case _:
                return False

    return finds


def _reads_the_clock(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="datetime" | "date"), attr=name)):
            return name in {"now", "utcnow", "today"}
        case _:
            return False


@dataclass(frozen=True)
class Rule:
    """What may not be written where, and what is written in its place."""

    forbids: str
    instead: str
    finds: Finder
    planted: str
    fine: str
    folders: tuple[str, ...] = EVERYWHERE
    allowed: tuple[str, ...] = ()
    """Parts of paths where it is no fault."""

    def faults(self, root: ast.AST, name: object) -> Iterator[str]:
        for node in ast.walk(root):
            if self.finds(node):
                yield f"{name}:{getattr(node, 'lineno', 0)}"


RULES = (
    Rule(
        forbids="select( outside store",
        instead="read through the service's store, which takes what the caller may see",
        finds=_calls("select"),
        planted="rows = sa.select(customers)",
        fine="rows = queries.page(scope)",
        folders=("services", "contracts"),
        allowed=("/store/",),
    ),
    Rule(
        forbids=".commit( outside kit",
        instead="open a unit: kit.database.Database.writing commits on a clean exit",
        finds=_calls("commit"),
        planted="await connection.commit()",
        fine="async with database.writing(org_id): pass",
        folders=NOT_KIT,
    ),
    Rule(
        forbids="SQL put together from strings",
        instead="use SQLAlchemy expressions, or text() of one literal with bound values",
        finds=_builds_sql,
        planted="sa.text(f'SELECT {name}')",
        fine="sa.text('SELECT :name')",
        folders=NOT_KIT,
    ),
    Rule(
        forbids="message.process()",
        instead="acknowledge by hand, after the commit (kit.bus.consumer): process() drops what raises (T2)",
        finds=_answers_by_leaving,
        planted="async def f():\n    async with message.process(): pass",
        fine="await message.ack()",
    ),
    Rule(
        forbids="consuming without acknowledgements",
        instead="leave no_ack alone and acknowledge by hand, after the commit",
        finds=_says("no_ack"),
        planted="queue.consume(f, no_ack=True)",
        fine="queue.consume(f, no_ack=False)",
    ),
    Rule(
        forbids="a prefetch for the whole connection",
        instead="set the prefetch of a channel: quorum queues know no global one",
        finds=_says("global_"),
        planted="channel.set_qos(10, global_=True)",
        fine="channel.set_qos(10)",
    ),
    Rule(
        forbids="swallowing every exception",
        instead="catch what you expect, or log it and let it be counted",
        finds=_swallows,
        planted="try:\n    f()\nexcept (ValueError, Exception):\n    pass",
        fine="try:\n    f()\nexcept ValueError:\n    pass",
    ),
    Rule(
        forbids="suppressing every exception",
        instead="name the exceptions that are expected; kit alone closes what is broken anyway",
        finds=_suppresses,
        planted="with contextlib.suppress(Exception): f()",
        fine="with contextlib.suppress(OSError): f()",
        folders=NOT_KIT,
        allowed=("services/notifier/src/bailiwick_notifier/mail/sending.py",),  # a goodbye
    ),
    Rule(
        forbids="mail libraries",
        instead="send mail with notifier's mail, which lets nothing into a header that ends a line (T13)",
        finds=_imports("aiosmtplib", "smtplib", "email"),
        planted="from email.message import EmailMessage",
        fine="from email_validator import validate_email",
        allowed=(
            "services/notifier/src/bailiwick_notifier/mail/sending.py",
            "services/notifier/src/bailiwick_notifier/mail/message.py",
            "deploy/mailbox/src/bailiwick_mailbox",  # it reads what was sent
        ),
    ),
    Rule(
        forbids="SMTP commands of our own",
        instead="call send_message: the others can be made to say more (PYSEC-2026-2338)",
        finds=_calls("sendmail", "rcpt", "vrfy", "expn", "execute_command"),
        planted="await session.sendmail(sender, recipients, message)",
        fine="await session.send_message(message)",
    ),
    Rule(
        forbids="a second way of reading tokens",
        instead="use kit.tokens.access_tokens, which reads them with joserfc",
        finds=_imports("jwt", "jose", "authlib"),
        planted="import jwt",
        fine="from joserfc import jwt",
    ),
    Rule(
        forbids="text() by its bare name",
        instead="write sa.text(…): the rule about SQL from strings knows it by that name",
        finds=lambda node: (
            isinstance(node, ast.ImportFrom)
            and (node.module or "").startswith("sqlalchemy")
            and any(one.name == "text" for one in node.names)
        ),
        planted="from sqlalchemy import text",
        fine="from sqlalchemy import Text",
        folders=OURS,
    ),
    Rule(
        forbids="HTTP clients other than aiohttp",
        instead="use kit.sibling_http: one deadline, one size limit, no redirects, no retries",
        finds=_imports("httpx", "httpx2", "requests", "urllib3"),
        planted="import httpx",
        fine="import aiohttp",
        folders=OURS,
    ),
    Rule(
        forbids="the state of a request read back unchecked",
        instead="take a ReadContext or a WriteContext: access.context knows its type",
        finds=_is_request_state,
        planted="queries = request.state.queries",
        fine="queries = context.app.queries",
        folders=OURS,
        allowed=("bailiwick_access/context.py",),
    ),
    Rule(
        forbids="work after the answer",
        instead="record an event: BackgroundTasks die with the process",
        finds=_calls("BackgroundTasks", "BackgroundTask", "add_task"),
        planted="tasks.add_task(send)",
        fine="group.create_task(send())",
        folders=OURS,
    ),
    Rule(
        forbids="middleware that cuts context",
        instead="write pure ASGI middleware, as kit.web.middleware",
        finds=lambda node: isinstance(node, ast.Name) and node.id == "BaseHTTPMiddleware",
        planted="class M(BaseHTTPMiddleware): pass",
        fine="class M: pass",
        folders=OURS,
    ),
    Rule(
        forbids="a clock of one's own",
        instead="take `now` from the caller or kit.clock, so that a request has one instant (D7)",
        finds=_reads_the_clock,
        planted="at = datetime.now(UTC)",
        fine="at = clock.now()",
        folders=("contracts", "libs/access", "services"),
    ),
)
"""Where a rule has to be broken, an ADR says why and the rule names the place."""


def _is_in(file: Path, part: str) -> bool:
    return part in f"/{file.as_posix()}"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.forbids)
def test_source_keeps_the_rule(rule: Rule) -> None:
    faults = [
        fault
        for file in sources(*rule.folders)
        if "testkit" not in file.as_posix() and not any(_is_in(file, p) for p in rule.allowed)
        for fault in rule.faults(tree(file), file)
    ]
    assert not faults, f"{rule.forbids}: {rule.instead}\n" + "\n".join(faults)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.forbids)
def test_rule_finds_what_it_forbids(rule: Rule) -> None:
    assert list(rule.faults(ast.parse(rule.planted), "planted"))
    assert not list(rule.faults(ast.parse(rule.fine), "fine"))


def test_rules_look_at_files_that_are_there() -> None:
    assert all((CHECKOUT / folder).is_dir() for rule in RULES for folder in rule.folders)
    assert all(sources(*rule.folders) for rule in RULES)
