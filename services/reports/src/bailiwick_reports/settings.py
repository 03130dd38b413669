"""What reports needs to be told: what every service does, but for what pages are signed with."""

from typing import Annotated

from pydantic import SecretStr

from bailiwick_kit.settings import NOT_GIVEN, For, ServiceSettings


class Settings(ServiceSettings):
    """The settings of reports."""

    cursor_secret: Annotated[SecretStr, For()] = NOT_GIVEN
    """Not used: reports come whole, without pages."""
