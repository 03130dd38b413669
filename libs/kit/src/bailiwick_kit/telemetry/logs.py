"""Logs: facts with keys, one line each, JSON unless a person is watching.

Nothing that a caller sent can start a new line or colour a terminal (S19). Blanked, whoever logs them,
are keys that hold secrets or personal data, what an address (URL) says of user and password, mail
addresses, and the values that the database and pydantic show of what they refuse (S22).
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any

import structlog
from structlog.typing import Processor

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PRIVATE = frozenset(
    {
        "access_token", "authorization", "body", "client_secret", "contacts", "cookie", "dsn", "email",
        "headers", "name", "note", "password", "phone", "query", "refresh_token", "search", "secret",
        "tax_id", "text", "token", "username",
    }
)  # fmt: skip
_OURS = frozenset({"exception", "stack"})
BLANK = "[blanked]"
_ROW_BEGINS = "DETAIL:"
_ROW_ENDS = ("HINT:", "[SQL", "The above exception was", "During handling of the above")
_IN_A_GROUP = " |+-"
"""What stands before the lines of an exception that is part of a group."""
_SHOWN = re.compile(
    r"(invalid input for query argument \$\d+: ).*"
    r"|(\binput_value=).*(?=, input_type=\w+\])"
    r"|('input': ).*"
    r"|(DETAIL:).*"
)
"""What asyncpg shows of what it cannot send, and pydantic of what it refuses: itself, and by FastAPI. And
PostgreSQL's row where an exception is told in one line, as asyncio tells of a task."""
_WORD = re.compile(r"\S+")
_MAIL_ADDRESS = re.compile(r"[^\s@'\"<>(),;:=\[\]/]{1,64}@[^\s@'\"<>(),;:=\[\]/]{1,255}")


def blank_private(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Blank the values of keys that hold secrets or personal data, and addresses in all others."""
    for key, value in event.items():
        if not key.startswith("_"):  # structlog's own
            event[key] = BLANK if key in _PRIVATE else _blanked(value)
    return event


def _blanked(value: Any) -> Any:
    match value:
        case str():
            return without_addresses(value)
        case None | bool() | int() | float():
            return value
        case dict():
            return {k: BLANK if k in _PRIVATE else _blanked(v) for k, v in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_blanked(one) for one in value]
        case _:
            return without_addresses(str(value))


def without_addresses(text: str) -> str:
    """Return a text without the users and passwords of its URLs, and without its mail addresses."""
    if "@" not in text:
        return text
    return _WORD.sub(_without_address, text)


def _without_address(found: re.Match[str]) -> str:
    """Blank user and password of a URL, up to its last @ because both may hold one; or mail addresses.

    Not by one pattern: that would try from each of a text's many "://" to its end.
    """
    word = found[0]
    begins, ends = word.find("://"), word.rfind("@")
    if not 0 <= begins < ends:
        return _MAIL_ADDRESS.sub(BLANK, word)
    return f"{_MAIL_ADDRESS.sub(BLANK, word[:begins])}://{BLANK}{word[ends:]}"


def blank_rows(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Blank what is said of rows and values in the text of an exception.

    uvicorn tells of what ends a service's start in the event itself, stack and all.
    """
    for key in ("exception", "event"):
        if isinstance(text := event.get(key), str) and "\n" in text:
            event[key] = without_values(text)
    return event


def without_values(text: str) -> str:
    """Return what an exception says without what it shows of rows, values and addresses.

    PostgreSQL's DETAIL shows the row that it refuses, over several lines where its text has them;
    asyncpg shows the argument that it cannot send, pydantic the value that it does not take.
    """
    kept: list[str] = []
    in_row = False
    for line in text.split("\n"):
        bare = line.lstrip(_IN_A_GROUP)
        if bare.startswith(_ROW_BEGINS):
            in_row = True
            kept.append(f"{line.removesuffix(bare)}{_ROW_BEGINS} {BLANK}")
        in_row = in_row and not bare.startswith(_ROW_ENDS)
        if not in_row:
            kept.append(_SHOWN.sub(rf"\1\2\3\4{BLANK}", line))
    return without_addresses("\n".join(kept))


def escape_control(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Write control characters as escapes; stack traces keep their lines."""
    for key, value in event.items():
        if key not in _OURS:
            event[key] = _escaped(value)
    return event


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", value)
    if value is None or isinstance(value, bool | int | float):
        return value
    return _escaped(repr(value) if isinstance(value, list | tuple | dict | set) else str(value))


def set_up(service: str, *, console: bool | None = None) -> None:
    """Set up structlog and the standard library's logging for a process.

    `console` None means: if standard error is a terminal. uvicorn's own access log is silenced,
    since it shows query values; `kit.web.middleware` writes that line.
    """
    pretty = sys.stderr.isatty() if console is None else console
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        blank_rows,
        blank_private,
    ]
    if pretty:
        shared.append(escape_control)  # JSON escapes by itself
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(service, shared, pretty=pretty))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = name != "uvicorn.access"
    sys.excepthook = _log_end


def _log_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Log what ends the process: Python itself would print it as it is, with all that it shows."""
    if issubclass(kind, KeyboardInterrupt):
        return
    structlog.get_logger(__name__).critical("process.failed", exc_info=(kind, error, trace))


def _formatter(
    service: str, shared: list[Processor], *, pretty: bool
) -> structlog.stdlib.ProcessorFormatter:
    def named(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
        return {"service": service, **event}

    last: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        named,
        structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer(),
    ]
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=last)
