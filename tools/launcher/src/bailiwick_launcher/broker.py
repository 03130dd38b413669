"""The broker's accounts: one for each service and one for migrations, beside the administrator (ADR 26).

Here they are made by the management API. Elsewhere whoever runs the broker imports
deploy/broker/definitions.json, into which deploy/make-secrets puts the passwords' hashes.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from bailiwick_kit.bus.broker_accounts import MIGRATIONS, definitions, password_hash
from bailiwick_kit.bus.broker_management import Management
from bailiwick_launcher.services import SERVICES

ACCOUNTS = (*SERVICES, MIGRATIONS)


def urls(admin_url: str) -> Mapping[str, str]:
    """Return each account's address of the broker and virtual host that the administrator's names."""
    parts = urlsplit(admin_url)
    host = parts.netloc.rpartition("@")[2]
    known = unquote(parts.password or "")
    return {
        account: parts._replace(netloc=f"{account}:{_password(known, account)}@{host}").geturl()
        for account in ACCOUNTS
    }


def _password(known: str, account: str) -> str:
    """Derive it, so that everybody who knows the administrator agrees on it, and nobody else can."""
    return hmac.new(known.encode(), f"broker {account}".encode(), hashlib.sha256).hexdigest()[:40]


async def create_accounts(admin_url: str, management_url: str) -> None:
    """Make the accounts with their permissions, or give them back; harmless when repeated.

    Raises:
        ManagementError: the broker refuses, or does not answer.
    """
    hashes = {
        account: password_hash(str(urlsplit(url).password))
        for account, url in urls(admin_url).items()
    }
    async with Management(management_url, admin_url) as management:
        await management.import_definitions(definitions(hashes, management.virtual_host))
