"""Whom mails come from is judged when the worker starts: later it would cost every mail."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr, ValidationError

from bailiwick_launcher.databases import DatabaseUrls
from bailiwick_notifier.domain.delivery import Dispatch
from bailiwick_notifier.mail.message import Mail, domain_of, envelope
from bailiwick_notifier.settings import Settings
from bailiwick_testkit.services.application import settings_for

NOW = datetime(2026, 1, 15, tzinfo=UTC)


def settings(mail_from: str) -> Any:
    urls = DatabaseUrls("x", *["postgresql+asyncpg://127.0.0.1:9/x"] * 3)
    smtp_url = SecretStr("smtp://127.0.0.1:9")
    return settings_for(Settings, urls, smtp_url=smtp_url, mail_from=mail_from)


@pytest.mark.parametrize(
    "mail_from",
    [
        "Bailiwick <a,b@mail.example>",
        "Bailiwick <orders@mail_room.example>",
        "Bailiwick <orders@[127.0.0.1]>",
        "Baili\x0bwick <orders@mail.example>",
        "orders@mail.example",
    ],
)
def test_a_sender_from_whom_no_mail_can_come_is_told_when_starting(mail_from: str) -> None:
    with pytest.raises(ValidationError) as refused:
        settings(mail_from)
    assert [fault["loc"] for fault in refused.value.errors()] == [("mail_from",)]


@pytest.mark.parametrize(
    ("mail_from", "domain"),
    [
        ("Bailiwick <orders@mail.example>", "mail.example"),
        ('"Libros, S.A." <orders@Mail.example>', "mail.example"),
        ("Bücher <orders@bücher.example>", "xn--bcher-kva.example"),
    ],
)
def test_mails_are_numbered_in_the_senders_domain_in_ascii(mail_from: str, domain: str) -> None:
    assert domain_of(settings(mail_from).mail_from) == domain
    dispatch = Dispatch(UUID(int=1), UUID(int=2), UUID(int=3), False, 0, None, NOW)
    number = dispatch.message_id(domain_of(mail_from))
    mail = Mail(number, mail_from, "ana@people.example", None, "subject", "text", "<p>html</p>")
    assert envelope(mail, NOW).message["Message-ID"] == f"<{UUID(int=2)}@{domain}>"
