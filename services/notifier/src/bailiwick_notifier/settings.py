"""What notifier needs to be told beyond what every service does: where mail goes out, and in whose name."""

from typing import Annotated

from pydantic import Field, SecretStr, field_validator

from bailiwick_kit.settings import NOT_GIVEN, For, ServiceSettings
from bailiwick_notifier.mail.message import Undeliverable, domain_of


class Settings(ServiceSettings):
    """The settings of notifier."""

    smtp_url: Annotated[SecretStr, For("worker")] = NOT_GIVEN
    """The mail server: `smtp://user:password@host:port`; `smtps://` for TLS from the start,
    `smtp+starttls://` to require STARTTLS."""
    mail_from: Annotated[str, For("worker")] = Field(
        default="", pattern=r"^[^\r\n<>]*<[^\s<>@]+@[^\s<>@]+>$"
    )
    """The sender of mails: `Bailiwick <orders@example.com>`."""
    mail_deadline: float = Field(default=30, gt=0, le=300)
    """Seconds that delivering a mail may take; a worker's claim on the mail lasts four times that."""
    mail_retry_after: float = Field(default=60, gt=0, le=3600)
    """Seconds after which a mail that was put off is tried again; doubled each time, up to two hours."""
    public_url: str | None = None
    """The base address of a web site of yours that shows an order at `/orders/<id>`: mails link to it.

    Absent: mails have no links. The gateway has no such page."""
    broker_management_url: SecretStr | None = None
    """The broker's management API, `http://user:password@host:port`, as a user tagged administrator. Only
    the command `subscribers` uses it: give it to nothing else."""

    @field_validator("mail_from")
    @classmethod
    def _mail_can_come_from_there(cls, value: str) -> str:
        # Found out later, it would cost every mail: each would have failed for good.
        try:
            domain_of(value)
        except Undeliverable as error:
            raise ValueError(str(error)) from None
        return value
