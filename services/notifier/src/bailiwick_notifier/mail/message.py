"""A mail as it goes over the wire: checked, encoded, or refused.

What may end a line is refused before the `email` package sees it (T13, CVE-2026-1299). Headers are
encoded here and left to the old policy: the new one loses the quotes of a long name when it folds it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.charset import QP, Charset
from email.header import Header
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from email.utils import format_datetime
from typing import NamedTuple

import idna

_REFUSED = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control characters, lone surrogates, U+2028 and U+2029."""
_ADDRESS = re.compile(r'[^\s<>()\[\]\\,;:@"]{1,64}@[^\s<>()\[\]\\,;:@"]{1,255}')
_MAILBOX = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]*)>")
_MESSAGE_ID = re.compile(r"[!-;=?A-~]+@[!-;=?A-~]+")
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,60}")
_OURS = re.compile(
    r"(From|To|Cc|Bcc|Sender|Subject|Date|Message-ID|Auto-Submitted|Received|Return-Path"
    r"|MIME-.*|Content-.*|Resent-.*)",
    re.IGNORECASE,
)
_LONGEST = 900
"""Of a line's 998 bytes; a header without a space cannot be folded."""
_QUOTED_PRINTABLE = Charset("utf-8")
_QUOTED_PRINTABLE.body_encoding = QP


class Undeliverable(Exception):  # noqa: N818 - a no, like a refusal
    """A mail that will never arrive: it cannot be formed, or the server refuses it for good.

    The text is ours, with the server's code at most: what a server says may name people.
    """


@dataclass(frozen=True)
class Mail:
    """One mail to one person. `sender` is an address, or a name and an address in angle brackets.

    A mail that is sent again keeps its `message_id`. `headers` are those that are not made here.
    """

    message_id: str
    sender: str
    recipient: str
    recipient_name: str | None
    subject: str
    text: str
    html: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Envelope(NamedTuple):
    """A message, and the two addresses that the server is told."""

    message: Message
    sender: str
    recipient: str


def envelope(mail: Mail, at: datetime) -> Envelope:
    """Form the mail as of this instant.

    Raises:
        Undeliverable: it cannot be formed.
    """
    name, sender = _sender(mail.sender)
    recipient = _address("To", mail.recipient)
    message_id = _safe("Message-ID", mail.message_id).removeprefix("<").removesuffix(">")
    if not _MESSAGE_ID.fullmatch(message_id) or len(message_id) > _LONGEST:
        raise Undeliverable("Message-ID: none")
    message = MIMEMultipart("alternative")
    message["From"] = _mailbox("From", name, sender)
    message["To"] = _mailbox("To", mail.recipient_name or "", recipient)
    message["Subject"] = _encoded("Subject", mail.subject)
    message["Date"] = format_datetime(at)
    message["Message-ID"] = f"<{message_id}>"
    message["Auto-Submitted"] = "auto-generated"
    for header, value in mail.headers.items():
        if not _HEADER_NAME.fullmatch(header) or _OURS.fullmatch(header):
            raise Undeliverable("a header has a name that it may not have")
        message[header] = _encoded(header, value)
    message.attach(_part(mail.text, "plain"))
    message.attach(_part(mail.html, "html"))
    return Envelope(message, sender, recipient)


def domain_of(sender: str) -> str:
    """Return the domain of whom mails come from, in ASCII: they are numbered in its name.

    Raises:
        Undeliverable: no mail can come from there.
    """
    name, address = _sender(sender)
    _mailbox("From", name, address)
    return address.rpartition("@")[2]


def is_safe(text: str) -> bool:
    """Say whether nothing in it can end a line, or is no text at all."""
    return not any(unicodedata.category(character) in _REFUSED for character in text)


def _safe(header: str, text: str) -> str:
    if not is_safe(text):
        raise Undeliverable(f"{header}: a character that no header may have")
    return text.strip(" ")


def _sender(text: str) -> tuple[str, str]:
    """Return name and address of who mails come from."""
    if found := _MAILBOX.fullmatch(text):
        return found["name"].strip(' "'), _address("From", found["address"])
    return "", _address("From", text)


def _address(header: str, text: str) -> str:
    """Return the address, its domain in ASCII; a local part in other letters needs SMTPUTF8."""
    address = _safe(header, text)
    if not _ADDRESS.fullmatch(address):
        raise Undeliverable(f"{header}: not an address")
    local, _, domain = address.rpartition("@")
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode()}"
    except UnicodeError:
        raise Undeliverable(f"{header}: not an address") from None


def _encoded(header: str, value: str) -> str:
    value = _safe(header, value)
    if _is_plain(value) and all(len(word) <= _LONGEST for word in value.split(" ")):
        return value
    return Header(value, "utf-8", header_name=header).encode()


def _is_plain(value: str) -> bool:
    return value.isascii() and "=?" not in value  # what looks encoded would be decoded


def _mailbox(header: str, name: str, address: str) -> str:
    """Return name and address; an address in other letters stays as it is (RFC 6532)."""
    name = _safe(header, name)
    if name and _is_plain(name):
        phrase = '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
    else:
        phrase = Header(name, "utf-8", header_name=header).encode() if name else ""
    return f"{phrase} <{address.encode().decode('ascii', 'surrogateescape')}>".strip()


def _part(text: str, kind: str) -> Message:
    part = MIMENonMultipart("text", kind, charset="utf-8")
    try:
        part.set_payload(text.replace("\r\n", "\n").replace("\r", "\n"), _QUOTED_PRINTABLE)
    except UnicodeError:
        raise Undeliverable("a lone surrogate is not text") from None
    # Else the generator, as if for a file of mails, puts a ">" before such a line.
    part.set_payload(re.sub(r"(?m)^From ", "=46rom ", str(part.get_payload())))
    return part
