"""What the gateway lets in, and to whom: the one table. What is not listed does not exist outside."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Route:
    """A path and the service that answers it.

    `/v1/orders` is that path and everything below it; `/v1/auth/` only what is below; a path with
    a file name is that file alone. `/v1/ordersX` is none of them.
    """

    path: str
    service: str

    @property
    def is_file(self) -> bool:
        """Say whether it is a single document."""
        return "." in self.path.rpartition("/")[2]

    @property
    def pattern(self) -> str:
        """Give a regular expression for the paths that it matches, as nginx and Python read it.

        With no `$`: that would match before a line break at the end, too.
        """
        path = self.path.replace(".", r"\.")
        if self.is_file:
            return rf"^{path}(?!.|\n)"
        return f"^{path}" if path.endswith("/") else rf"^{path}(/|(?!.|\n))"


ROUTES = (
    Route("/.well-known/jwks.json", "identity"),
    Route("/v1/auth/", "identity"),
    Route("/v1/me", "identity"),
    Route("/v1/members", "identity"),
    Route("/v1/memberships", "identity"),
    Route("/v1/service-accounts", "identity"),
    Route("/v1/organization", "identity"),
    Route("/v1/customers", "customers"),
    Route("/v1/representatives", "customers"),
    Route("/v1/orders", "orders"),
    Route("/v1/reports", "reports"),
    Route("/v1/notification-preferences", "notifier"),
    Route("/v1/deliveries", "notifier"),
)

SERVICES = tuple(dict.fromkeys(route.service for route in ROUTES))
"""The services that are reached through the gateway, in that order."""
