"""A mail server for tests: it keeps what it accepts, and does harm at the stage that it is told."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from enum import Enum
from typing import Any, Literal

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from typing_extensions import override

Stage = Literal[
    "connect",
    "hello",
    "starttls",
    "auth",
    "sender",
    "recipient",
    "data",
    "middle",
    "end",
    "goodbye",
]
"""Where an answer is due; `middle`: after the first line of a mail; `end`: after its last."""


class Harm(Enum):
    """What a server may do rather than answer."""

    CUT = "cut"
    HANG = "hang"
    WAIT = "wait"
    """It answers after all, when the test says `go_on`."""


Faults = dict[Stage, "str | Harm"]
"""Stage → the line that is answered there, or the harm that is done."""


@dataclass
class Accepted:
    """A mail that the server took. `is_answered`: it said so; else nobody can know."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    hello: str
    over_tls: bool
    signed_in_as: str | None
    options: tuple[str, ...]
    is_answered: bool = False

    @property
    def message(self) -> EmailMessage:
        """The mail as a reader of mails parses it."""
        return email.message_from_bytes(self.content, policy=email.policy.default)


@dataclass
class MailServer:
    """What it does and what it took.

    `ahead`: what the next connections meet, one each; then it is `faults`. `harmed`: at which stages it
    did otherwise than it should, once a connection.
    """

    port: int = 0
    faults: Faults = field(default_factory=dict)
    ahead: deque[Faults] = field(default_factory=deque)
    harmed: list[Stage] = field(default_factory=list)
    accepted: list[Accepted] = field(default_factory=list)
    connections: int = 0
    open: set[asyncio.BaseTransport] = field(default_factory=set)
    _going_on: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"smtp://127.0.0.1:{self.port}"

    def go_on(self) -> None:
        """Let those answer that wait."""
        self._going_on.set()
        self._going_on.clear()

    async def told_to_go_on(self) -> None:
        """Return when the test says so."""
        await self._going_on.wait()

    async def handle_DATA(self, server: _Connection, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep a mail, unless it is to be refused; aiosmtpd calls this."""
        server.stage = "end"
        refuses = str(server.faults.get("end", "")).startswith(("4", "5"))
        if not refuses:
            user = session.auth_data.login.decode() if session.auth_data else None
            server.taken = Accepted(
                str(envelope.mail_from),
                tuple(str(one) for one in envelope.rcpt_tos),
                bytes(envelope.original_content or b""),
                str(session.host_name),
                session.ssl is not None,
                user,
                tuple(envelope.mail_options),
            )
            self.accepted.append(server.taken)
        return "250 2.0.0 taken"


class _Connection(SMTP):
    """aiosmtpd, whose answers are exchanged on the way out."""

    stage: Stage = "connect"
    taken: Accepted | None = None

    def __init__(self, server: MailServer, **options: Any) -> None:
        super().__init__(server, hostname="mail.test", ident="test", **options)
        self._server = server
        self.faults = dict(server.ahead.popleft() if server.ahead else server.faults)
        self._is_harmed = False

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._server.connections += 1
        self._server.open.add(transport)
        super().connection_made(transport)

    @override
    def connection_lost(self, error: Exception | None) -> None:
        self._server.open -= {one for one in self._server.open if one.is_closing()}
        super().connection_lost(error)

    @override
    def eof_received(self) -> bool | None:
        super().eof_received()
        return False  # who hung up talks no more, though a harm that hangs would keep our end open

    @override
    async def push(self, status: Any) -> None:
        fault = self.faults.get(self.stage, status)
        if self.stage in self.faults and not self._is_harmed:
            self._is_harmed = True
            self._server.harmed.append(self.stage)
        if fault is Harm.CUT:
            _cut(self.transport)
        elif fault is Harm.HANG:
            # Reading on, so that it is noticed when the other side hangs up.
            await self._reader.read(-1)
            await asyncio.Event().wait()
        else:
            if fault is Harm.WAIT:
                del self.faults[self.stage]
                await self._server.told_to_go_on()
                fault = status
            await super().push(fault)
            if self.taken and self.stage == "end" and fault[:1] in ("2", b"2"):
                self.taken.is_answered = True

    async def _at(self, stage: Stage, go: Callable[[str], Awaitable[None]], argument: str) -> None:
        self.stage = stage
        await go(argument)

    @override
    async def smtp_EHLO(self, hostname: str) -> None:
        await self._at("hello", super().smtp_EHLO, hostname)

    @override
    async def smtp_STARTTLS(self, arg: str) -> None:
        await self._at("starttls", super().smtp_STARTTLS, arg)

    @override
    async def smtp_AUTH(self, arg: str) -> None:
        await self._at("auth", super().smtp_AUTH, arg)

    @override
    async def smtp_MAIL(self, arg: str | None) -> None:
        await self._at("sender", super().smtp_MAIL, arg or "")

    @override
    async def smtp_RCPT(self, arg: str | None) -> None:
        await self._at("recipient", super().smtp_RCPT, arg or "")

    @override
    async def smtp_DATA(self, arg: str) -> None:
        if "middle" in self.faults:
            await super().push("354 go on")
            await self._reader.readline()
            self.stage = "middle"
            await self.push("451 no more")
            return
        await self._at("data", super().smtp_DATA, arg)

    @override
    async def smtp_QUIT(self, arg: str) -> None:
        await self._at("goodbye", super().smtp_QUIT, arg)


@asynccontextmanager
async def mail_server(
    *,
    port: int = 0,
    tls: ssl.SSLContext | None = None,
    from_the_start: bool = False,
    users: dict[str, str] | None = None,
    other_letters: bool = True,
    server: MailServer | None = None,
) -> AsyncIterator[MailServer]:
    """Run a server on loopback. `users`: who may sign in; `tls`: by STARTTLS, unless `from_the_start`.

    `server`: one that was down goes on with what it had.
    """
    server = server or MailServer()

    def authenticate(
        _server: Any, _session: Any, _envelope: Any, _how: str, data: Any
    ) -> AuthResult:
        known = isinstance(data, LoginPassword) and (
            (users or {}).get(data.login.decode()) == data.password.decode()
        )
        return AuthResult(success=known, handled=False, auth_data=data)

    def connection() -> _Connection:
        return _Connection(
            server,
            loop=asyncio.get_running_loop(),
            enable_SMTPUTF8=other_letters,
            tls_context=None if from_the_start else tls,
            auth_required=users is not None,
            auth_require_tls=tls is not None and not from_the_start,
            authenticator=authenticate,
        )

    listening = await asyncio.get_running_loop().create_server(
        connection, "127.0.0.1", port, ssl=tls if from_the_start else None
    )
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for transport in server.open:
            _cut(transport)
        await listening.wait_closed()


def _cut(transport: Any) -> None:
    # Of any kind: uvloop's own are no WriteTransport. One that TLS has ended raises on Python 3.11.2.
    with suppress(AttributeError):
        transport.abort()
