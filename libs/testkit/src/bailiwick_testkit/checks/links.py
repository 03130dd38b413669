"""Links that people are shown, and whether the gateway answers them."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from bailiwick_gateway import handbook
from bailiwick_gateway.routes import ROUTES
from bailiwick_notifier.mail_templates.pages import Setting


def leads_somewhere(address: str) -> bool:
    """Return whether the gateway has the path of an address: a service's, or a page of the handbook."""
    path = urlsplit(address).path
    is_routed = any(re.match(route.pattern, path) for route in ROUTES)
    return is_routed or any(leaf.path == path for leaf in handbook.leaves())


def order_link(public_url: str) -> str:
    """Return the link to an order in a mail, for the base address that notifier is told."""
    nothing: Any = None
    setting = Setting(nothing, nothing, "", "", public_url)
    order: Any = SimpleNamespace(order_id="0193")
    return str(setting.link(order))
