"""Hands mails to a server by SMTP: one connection and one recipient a mail, one deadline, no retries.

Of aiosmtplib only `send_message` is called: its `mail`, `rcpt` and `sendmail` can be made to say more
than they were asked to (PYSEC-2026-2338).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit

import aiosmtplib
from aiosmtplib.response import SMTPResponse
from opentelemetry.trace import SpanKind
from typing_extensions import override

from bailiwick_kit.clock import Clock, SystemClock
from bailiwick_kit.telemetry import trace
from bailiwick_notifier.mail.message import Envelope, envelope, is_safe
from bailiwick_notifier.mail.message import Mail as Mail
from bailiwick_notifier.mail.message import Undeliverable as Undeliverable

_PORTS = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}
_OF_SIGNING_IN = frozenset({530, 534, 535, 538})
"""It wants us to sign in, or otherwise (RFC 4954): a fault of the settings, whatever the mail."""
_OF_THE_MAIL = (
    aiosmtplib.SMTPSenderRefused,
    aiosmtplib.SMTPRecipientRefused,
    aiosmtplib.SMTPDataError,
)
"""What refuses a mail, where anything else refuses us."""
_GOODBYE = 2.0
"""Seconds that a server gets to say goodbye, where the deadline is no shorter."""


class PutOff(Exception):  # noqa: N818 - a no, like a refusal
    """A mail that has not been accepted, as far as we know; a later attempt may succeed.

    `may_have_arrived`: all of it was handed over and nothing was heard since. Sending it again may make
    two of it, which the same message id tells to be one.
    """

    def __init__(self, why: str, *, may_have_arrived: bool) -> None:
        super().__init__(why)
        self.may_have_arrived = may_have_arrived


class Mailer:
    """Hands mails over to one server.

    `url`: smtp://, smtp+starttls:// (insists on TLS) or smtps:// (TLS from the start), with user and
    password where the server wants them, percent-encoded. Certificates are verified, by `trust` where given.
    """

    def __init__(
        self,
        url: str,
        *,
        deadline: float = 30,
        clock: Clock | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        parts = urlsplit(url)
        extra = parts.path.strip("/") or parts.query or parts.fragment
        if parts.scheme not in _PORTS or not parts.hostname or extra:
            raise ValueError("The address of the mail server is smtp://user:password@host:port")
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        if not is_safe(user + password):
            raise ValueError("User and password for mail have no control characters")
        self._host, self._port = parts.hostname, parts.port or _PORTS[parts.scheme]
        self._user, self._password = user or None, password or None
        self._scheme, self._deadline = parts.scheme, deadline
        self._clock = clock or SystemClock()
        self._trust = trust
        if trust is None and parts.scheme != "smtp":
            self._trust = ssl.create_default_context()

    async def send(self, mail: Mail) -> None:
        """Hand it over; it has been accepted when this returns.

        Raises:
            Undeliverable: it never will be.
            PutOff: it was not, or nobody knows.
        """
        formed = envelope(mail, self._clock.now())
        with trace.span("hand over mail", SpanKind.CLIENT):
            await self._hand_over(formed)

    async def _hand_over(self, formed: Envelope) -> None:
        session = self._session(formed.sender.rpartition("@")[2])
        try:
            async with asyncio.timeout(self._deadline):
                await session.deliver(formed)
        except Exception as error:  # noqa: BLE001 - a server may say and do anything
            # Without its words: they may name people.
            raise _verdict(error, session) from None
        else:
            trace.note("outcome", "sent")
            await session.part(min(_GOODBYE, self._deadline))
        finally:
            session.cut()

    def _session(self, our_name: str) -> _Session:
        return _Session(
            hostname=self._host,
            port=self._port,
            username=self._user,
            password=self._password,
            local_hostname=our_name,  # else the machine's name is looked up, which may take minutes
            timeout=None,  # the deadline is over everything
            use_tls=self._scheme == "smtps",
            start_tls=self._scheme == "smtp+starttls",
            tls_context=self._trust,
        )


class _Session(aiosmtplib.SMTP):
    """One connection for one mail; it knows how far the mail has come."""

    is_handed_over = False
    """The last byte has been written, and only the server knows what became of it."""

    async def deliver(self, formed: Envelope) -> None:
        """Connect, and hand over."""
        await self.connect()
        try:
            await self.send_message(
                formed.message, sender=formed.sender, recipients=[formed.recipient]
            )
        except aiosmtplib.SMTPDataError as error:
            if not (self.is_handed_over and 200 <= error.code < 300):  # noqa: PLR2004 - any 2xx is a yes
                raise

    async def part(self, patience: float) -> None:
        """Say goodbye. The mail has been accepted, however that goes: it has a time of its own."""
        with suppress(Exception):
            async with asyncio.timeout(patience):
                await self.quit()

    @override
    async def data(self, message: str | bytes, /, *, timeout: Any = None) -> SMTPResponse:
        """Watch the mail being written: before that it cannot have arrived."""
        protocol = self.protocol
        if protocol is None:
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        protocol.write = self._watched(protocol.write)  # type: ignore[assignment] # there is no hook
        return await super().data(message, timeout=timeout)

    def _watched(self, write: Callable[[bytes], None]) -> Callable[[bytes], None]:
        def watched(data: bytes) -> None:
            write(data)
            self.is_handed_over = self.is_handed_over or data != b"DATA\r\n"

        return watched

    @override
    async def rset(self, *, timeout: Any = None) -> SMTPResponse:
        """Do nothing: no other mail follows, and a server that hangs now would hide its refusal."""
        return SMTPResponse(250, "")

    def cut(self) -> None:
        """End the connection at once: nothing more of the mail goes out."""
        transport: Any = self.transport
        if transport is not None:  # of any kind: uvloop's own are no WriteTransport
            # One that TLS has ended already raises this on some versions of Python (3.11.2 does).
            with suppress(AttributeError):
                transport.abort()
        self.close()


def _verdict(error: Exception, session: _Session) -> Undeliverable | PutOff:
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        error = error.recipients[0]
    if isinstance(error, aiosmtplib.SMTPNotSupported):
        return Undeliverable("the server takes no address in these letters")
    code = error.code if isinstance(error, aiosmtplib.SMTPResponseException) else 0
    if not 400 <= code < 600:  # noqa: PLR2004 - neither a 4xx nor a 5xx is no answer
        return PutOff(type(error).__name__, may_have_arrived=session.is_handed_over)
    why = f"the server answered {code} ({type(error).__name__})"
    if isinstance(error, _OF_THE_MAIL) and code >= 500 and code not in _OF_SIGNING_IN:  # noqa: PLR2004 - a 5xx
        return Undeliverable(why)
    return PutOff(why, may_have_arrived=False)
