"""A service's settings from the environment: the one contract between services and whoever runs them.

Secrets may come from files: `BAILIWICK_DOOR_SECRET_FILE=/run/secrets/door` in place of
`BAILIWICK_DOOR_SECRET`. No message and no repr ever shows a value.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

PREFIX = "BAILIWICK_"


class SettingsError(Exception):
    """The environment lacks settings, or has wrong ones; the message names each variable."""


class _Files(PydanticBaseSettingsSource):
    """Reads `<NAME>_FILE` for every setting that is a secret."""

    @override
    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(_variable(field_name) + "_FILE")
        if not path or field.annotation not in (SecretStr, SecretStr | None):
            return None, field_name, False
        try:
            text = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            message = f"{_variable(field_name)}_FILE cannot be read: {type(error).__name__}"
            raise SettingsError(message) from None
        return text, field_name, False

    @override
    def __call__(self) -> dict[str, Any]:
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}


def _variable(field_name: str) -> str:
    return PREFIX + field_name.upper()


class ServiceSettings(BaseSettings):
    """What every service needs; a service subclasses it for what only it needs."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    database_owner_url: SecretStr
    """For migrations alone (D12): postgresql+asyncpg://…"""
    database_api_url: SecretStr
    database_worker_url: SecretStr
    broker_url: SecretStr
    """amqp://…"""
    policy_url: str
    """Where this service's OPA listens: unix:///path or http://host:port."""
    policy_revision: str | None = None
    """The bundle revision that decisions must come from; absent: any one."""
    policy_deadline: float = Field(default=0.25, gt=0, le=5)
    """Seconds after which a question to policy counts as unanswered, and the request as 503."""
    listen: str = Field(pattern=r"^(\[[0-9a-fA-F:]+\]|[^\[\]:]+):\d{1,5}$")
    """host:port."""
    identity_url: str
    customers_url: str
    door_secret: SecretStr
    cursor_secret: SecretStr
    issuer: str
    """Who signs access tokens: their `iss`."""

    @field_validator("door_secret", "cursor_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < 16:  # noqa: PLR2004
            msg = "use at least 16 characters"
            raise ValueError(msg)
        return value

    @field_validator("identity_url", "customers_url", "issuer")
    @classmethod
    def _without_trailing_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @property
    def host(self) -> str:
        """The address to listen on."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port to listen on."""
        return int(self.listen.rpartition(":")[2])

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take arguments first, then the environment, then secret files."""
        return init_settings, env_settings, _Files(settings_cls)

    @classmethod
    def load(cls) -> Self:
        """Read the environment.

        Raises:
            SettingsError: naming every variable that is missing or wrong, without its value.
        """
        try:
            return cls()
        except ValidationError as error:
            lines = [
                f"  {_variable(str(fault['loc'][0]))}: "
                + ("is missing" if fault["type"] == "missing" else fault["msg"])
                for fault in error.errors(include_input=False, include_context=False)
            ]
            raise SettingsError("\n".join(["Set these variables:", *lines])) from None
