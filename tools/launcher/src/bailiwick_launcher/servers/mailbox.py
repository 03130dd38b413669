"""Where the stack's mail goes: a mailbox of our own that keeps it, or a mail server that was named."""

from __future__ import annotations

import os
from functools import partial
from importlib.metadata import version

from bailiwick_launcher.data_folder import DataFolder
from bailiwick_launcher.processes import Process
from bailiwick_launcher.servers import Elsewhere, Server, kept_port, probes
from bailiwick_launcher.services import Interpreter, code_print

VARIABLE = "BAILIWICK_SMTP_URL"
FROM_VARIABLE = "BAILIWICK_MAIL_FROM"
_FROM = "Bailiwick <orders@bailiwick.example>"


def sender() -> str:
    """Give whom mail comes from: a real server wants one that it knows."""
    return os.environ.get(FROM_VARIABLE) or _FROM


def provide(places: DataFolder, python: Interpreter | None, *, own: bool = False) -> Server:
    """Give the mailbox, not started yet; without a Python it can be looked at, not started.

    `own`: a given address will not do.
    """
    if (url := os.environ.get(VARIABLE)) and not own:
        return Server("mailbox", url, "given", Elsewhere(VARIABLE), lambda: True)
    port = kept_port(places, "mailbox")
    folder = places.folder("mailbox")
    process = Process("mailbox", places, ())
    if python:
        where = ("--port", str(port), "--folder", str(folder))
        arguments = (python.program, "-m", "bailiwick_mailbox", *where)
        environment = python.environment() | {"BAILIWICK_CODE": code_print()}
        process = Process("mailbox", places, arguments, environment)
    return Server(
        "mailbox",
        f"smtp://127.0.0.1:{port}",
        f"aiosmtpd {version('aiosmtpd')}",
        process,
        partial(probes.smtp, "127.0.0.1", port),
        folder=folder,
    )
