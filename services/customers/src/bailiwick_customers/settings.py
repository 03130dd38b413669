"""What customers needs to be told: what every service does, and its change feed's database role."""

from typing import Annotated

from pydantic import SecretStr

from bailiwick_kit.settings import NOT_GIVEN, For, ServiceSettings


class Settings(ServiceSettings):
    """The settings of customers."""

    database_worker_url: Annotated[SecretStr, For("api", "worker", "migrate")] = NOT_GIVEN
    """The database as the role that relays and consumes; the change feed reads with it too."""
