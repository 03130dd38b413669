"""Loads the sample company where there is none: the files as an import, the web shop through the API."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from bailiwick_alameda import company
from bailiwick_csv_import import importing
from bailiwick_launcher.demo.person import SignInError, at_gateway, signed_in
from bailiwick_launcher.processes import StackError
from bailiwick_launcher.stacks import Stack, sign_ins_file

_WHAT_THEY_ARE = {
    "Owner": "brand manager",
    "Head of sales": "sales manager",
    "Sales office": "sales administrator",
    "Representative": "sales representative",
    "Agent": "SELLER only",
    "Order desk": "sales assistant",
    "Pricing": "custom member (prices)",
}


def load(stack: Stack) -> None:
    """Load the sample company, unless that was done before.

    Broken off, it is taken up where it was: an import changes nothing the second time.

    Raises:
        StackError: it cannot be loaded; what was wrong is printed.
    """
    if sign_ins_file(stack.places).exists():
        return
    stack.report("\nloading the sample company (once)")
    people = [
        {
            "name": one["name"],
            "role": _WHAT_THEY_ARE[one["title"]],
            "email": one["email"],
            "password": _password(stack, one["email"]),
            "grant_type": "password",
        }
        for one in company.people()
    ]
    folder = stack.places.folder("sample")
    today = datetime.now(UTC).astimezone(ZoneInfo(company.TIME_ZONE)).date()
    for name, text in company.files(today, lambda email: _password(stack, email)).items():
        stack.places.write(folder / name, text)
    if importing.run(stack, folder, company.MAPPING):
        raise StackError("The sample company could not be loaded: see above.")
    shop = _web_shop(stack.origin, people[0])
    stack.places.write(
        sign_ins_file(stack.places), json.dumps([*people, shop], indent=2, ensure_ascii=False)
    )


def _password(stack: Stack, email: str) -> str:
    """Give the password of somebody made up: this installation's own, and the same at every asking."""
    secret = stack.places.kept.secret("sample").encode()
    letters = base64.b32encode(hmac.digest(secret, email.encode(), hashlib.sha256)).decode().lower()
    return "-".join(letters[start : start + 4] for start in range(0, 20, 4))


def _web_shop(gateway: str, manager: dict[str, str]) -> dict[str, Any]:
    """Make the service account with which the wholesaler's web shop orders for its buyers."""
    name = f"{company.NAME} web shop"
    with at_gateway(gateway) as http:
        try:
            made = signed_in(http, manager).post("/v1/service-accounts", {"name": name})
        except SignInError as error:
            hint = "Is this database from another installation? Its passwords are kept there."
            raise StackError(f"{error}\n{hint}") from None
    if made.status != 201:  # noqa: PLR2004 - created
        raise StackError(f"The web shop could not be made: {made}")
    return {
        "name": name,
        "role": "storefront",
        "email": made["client_id"],
        "password": made["client_secret"],
        "grant_type": "client_credentials",
    }
