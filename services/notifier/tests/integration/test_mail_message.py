"""What a mail looks like on the wire, and what never gets there (T13, S18)."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace
from datetime import UTC, datetime
from email.generator import BytesGenerator
from email.header import decode_header, make_header
from email.headerregistry import AddressHeader
from email.message import EmailMessage
from email.utils import parseaddr
from io import BytesIO
from typing import Any, cast

import pytest

from bailiwick_notifier.mail.message import envelope
from bailiwick_notifier.mail.sending import Mail, Mailer, Undeliverable
from bailiwick_testkit.fakes.smtp_server import MailServer, mail_server

MAIL = Mail(
    message_id="<0190.a7@bailiwick.example>",
    sender="Bailiwick <orders@bailiwick.example>",
    recipient="ana@example.com",
    recipient_name="Ana",
    subject="New order",
    text="An order came in.\n",
    html="<p>An order came in.</p>\n",
)
AT = datetime(2026, 1, 15, 12, tzinfo=UTC)
NAMES = [
    "Ana",
    "Ελένη Παπαδοπούλου",
    "Íñigo Muñoz",
    'Bob "the Boss" O\'Brien',
    "Solà, Puig & Fills, S.L. (Girona)",
    "Solutions, Inc.",
    "back\\slash",
    "Zoë 🦊👩‍👩‍👧",
    "=?utf-8?q?Mia=0D=0ABcc:_x=40evil.example?=",
    "x@evil.example",
    "山田太郎",
    'attacker@evil.example, "Boss" and a name so long that it has to be folded somewhere, really',
    "Ñandú, «Ltd.» " * 14,
]
ATTACKS: list[tuple[str, dict[str, Any]]] = [
    ("carriage return and line feed in the subject", {"subject": "New\r\nBcc: x@evil.example"}),
    ("line feed in the subject", {"subject": "New\nBcc: x@evil.example"}),
    ("carriage return in the subject", {"subject": "New\rBcc: x@evil.example"}),
    ("NUL in the subject", {"subject": "New\x00order"}),
    ("line separator in the subject", {"subject": "New\u2028Bcc: x@evil.example"}),
    ("paragraph separator in the name", {"recipient_name": "Ana\u2029Bcc: x@evil.example"}),
    ("next line in the name", {"recipient_name": "Ana\u0085Bcc: x@evil.example"}),
    ("line feed in the name", {"recipient_name": 'Ana"\n<x@evil.example>, "'}),
    ("line feed in the recipient", {"recipient": "ana@example.com\nRCPT TO:<x@evil.example>"}),
    ("a command in the recipient", {"recipient": "ana@example.com>\r\nDATA\r\n"}),
    ("two recipients", {"recipient": "ana@example.com, x@evil.example"}),
    ("parameters after the recipient", {"recipient": "ana@example.com> NOTIFY=NEVER"}),
    ("line feed in the sender", {"sender": "Bailiwick\nBcc: x@evil.example <o@b.example>"}),
    ("line feed in a header", {"headers": {"Reply-To": "a@b.example\r\nBcc: x@evil.example"}}),
    ("line feed in a header's name", {"headers": {"X-A: b\nBcc": "x@evil.example"}}),
    ("blind copy as a header", {"headers": {"Bcc": "x@evil.example"}}),
    ("another recipient as a header", {"headers": {"Resent-To": "x@evil.example"}}),
    ("line feed in the message id", {"message_id": "<a@b>\r\nBcc: x@evil.example"}),
    ("lone surrogate in the subject", {"subject": "New \ud800"}),
    ("lone surrogate in the text", {"text": "New \ud800"}),
    ("no address at all", {"recipient": "ana"}),
    ("empty label in the domain", {"recipient": "ana@example..com"}),
    ("quoted local part", {"recipient": '"ana x"@example.com'}),
]


def written(mail: Mail) -> bytes:
    file = BytesIO()
    BytesGenerator(file).flatten(envelope(mail, AT).message)
    return file.getvalue()


def read(mail: Mail) -> EmailMessage:
    return email.message_from_bytes(written(mail), policy=email.policy.default)


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert found
    return cast("str", found.get_content())


def test_mail_has_both_parts_and_says_that_a_machine_wrote_it() -> None:
    message = read(MAIL)
    assert message.get_content_type() == "multipart/alternative"
    assert [one.get_content_type() for one in message.iter_parts()] == ["text/plain", "text/html"]
    assert part(message, "plain") == MAIL.text
    assert part(message, "html") == MAIL.html
    assert message["Message-ID"] == MAIL.message_id
    assert message["Date"] == "Thu, 15 Jan 2026 12:00:00 +0000"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["From"] == "Bailiwick <orders@bailiwick.example>"


@pytest.mark.parametrize("name", NAMES)
def test_name_arrives_as_it_is_and_names_one_address(name: str) -> None:
    message = read(
        replace(MAIL, recipient_name=name, sender=f"{name.replace('<', '')} <o@b.example>")
    )
    assert [one.addr_spec for one in cast("AddressHeader", message["To"]).addresses] == [
        "ana@example.com"
    ]
    # Python 3.11's newer parser keeps the space between two encoded words, which belongs to neither.
    raw = email.message_from_bytes(written(replace(MAIL, recipient_name=name)))["To"]
    shown, address = parseaddr(raw.replace("\n", ""))
    assert str(make_header(decode_header(shown))) == name.strip()
    assert address == "ana@example.com"
    assert [one.addr_spec for one in cast("AddressHeader", message["From"]).addresses] == [
        "o@b.example"
    ]
    assert {key for key in message if key.lower() == "bcc"} == set()


@pytest.mark.parametrize("subject", [*NAMES, "Café Olé: 95,40\u202f€", "a" * 2000, "é" * 400])
def test_subject_arrives_as_it_is_on_lines_that_are_short_enough(subject: str) -> None:
    mail = replace(MAIL, subject=subject)
    assert max(map(len, written(mail).split(b"\n"))) <= 998
    assert str(read(mail)["Subject"]).split() == subject.split()


@pytest.mark.parametrize(
    "text", ["From Ana\n.\n..\n", "ñ 🦊 " * 300, "a=b\n" * 3, "x" * 3000, "\r\na\rb"]
)
def test_text_arrives_as_it_is(text: str) -> None:
    mail = replace(MAIL, text=text, html=f"<p>{text}</p>")
    assert written(mail).isascii()
    assert max(map(len, written(mail).split(b"\n"))) <= 998
    expected = text.replace("\r\n", "\n").replace("\r", "\n")
    assert part(read(mail), "plain").removesuffix("\n") == expected.removesuffix("\n")


def test_domain_in_other_letters_goes_out_in_ascii() -> None:
    formed = envelope(replace(MAIL, recipient="ana@straße.example"), AT)
    assert formed.recipient == "ana@xn--strae-oqa.example"  # not strasse.example, which is another


def test_further_headers_are_carried() -> None:
    unsubscribe = f"<https://bailiwick.example/{'a' * 120}>"
    message = read(replace(MAIL, headers={"List-Unsubscribe": unsubscribe, "X-Ort": "Köln"}))
    assert message["List-Unsubscribe"].strip() == unsubscribe
    assert message["X-Ort"] == "Köln"


@pytest.mark.parametrize(
    "wrong", [wrong for _, wrong in ATTACKS], ids=[name for name, _ in ATTACKS]
)
async def test_attack_is_refused_and_nothing_reaches_the_server(wrong: dict[str, Any]) -> None:
    server: MailServer
    async with mail_server() as server:
        with pytest.raises(Undeliverable) as refused:
            await Mailer(server.url).send(replace(MAIL, **wrong))
        assert not server.connections
    assert "evil" not in str(refused.value)
