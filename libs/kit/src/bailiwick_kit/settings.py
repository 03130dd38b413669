"""A service's settings from the environment: the one contract between services and whoever runs them.

A setting that only some processes need is asked of those alone, so that the HTTP process need not be given
the owner of the database (D12). Secrets may come from files: `BAILIWICK_DOOR_SECRET_FILE=/run/secrets/door`
in place of `BAILIWICK_DOOR_SECRET`. No message and no repr ever shows a value.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeAlias, get_args
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

from bailiwick_kit.probe import DEFAULT

PREFIX = "BAILIWICK_"
_HOST_AND_PORT = r"^(\[[0-9a-fA-F:]+\]|[^\[\]:]+):\d{1,5}$"


Process: TypeAlias = Literal["api", "worker", "migrate"]
"""What a service runs as. Operators' commands run with the settings of the one that they belong to."""
NOT_GIVEN: Final = SecretStr("")
"""A secret that this process was not given."""


class For:
    """Marks a setting that only these processes need; to the others it may be left blank."""

    def __init__(self, *processes: Process) -> None:
        self.processes = frozenset(processes)


class SettingsError(Exception):
    """The environment lacks settings, or has wrong ones; the message names each variable."""


class _Files(PydanticBaseSettingsSource):
    """Reads `<NAME>_FILE` for every setting that is a secret."""

    @override
    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(_variable(field_name) + "_FILE")
        if not path or not _is_secret(field):
            return None, field_name, False
        try:
            text = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            message = f"{_variable(field_name)}_FILE cannot be read: {type(error).__name__}"
            raise SettingsError(message) from None
        if not text:
            raise SettingsError(f"{_variable(field_name)}_FILE is empty")
        return text, field_name, False

    @override
    def __call__(self) -> dict[str, Any]:
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}


def _split(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def _is_secret(field: FieldInfo) -> bool:
    return field.annotation in (SecretStr, SecretStr | None)


def _variable(field_name: str) -> str:
    return PREFIX + field_name.upper()


class ServiceSettings(BaseSettings):
    """What every service needs; a service subclasses it for what only it needs."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        validate_default=False,  # blank is what a process was not given
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    database_owner_url: Annotated[SecretStr, For("migrate")] = NOT_GIVEN
    """The service's database as the role that owns it: `postgresql+asyncpg://user:password@host:port/name`."""
    database_api_url: Annotated[SecretStr, For("api", "migrate")] = NOT_GIVEN
    """The same as the role that serves requests: it owns nothing, and sees one organization at a time.

    A pooler in between must pool sessions, not transactions. `migrate` reads only the role's name."""
    database_worker_url: Annotated[SecretStr, For("worker", "migrate")] = NOT_GIVEN
    """The same as the role that relays and consumes events; the change feeds of identity and customers read
    with it.

    `migrate` reads only the role's name."""
    broker_url: Annotated[SecretStr, For("worker", "migrate")] = NOT_GIVEN
    """RabbitMQ: `amqp://user:password@host:port/vhost`, or `amqps://…`."""
    policy_url: Annotated[str, For("api", "worker")] = ""
    """Where this service's own OPA listens: `unix:///path` or `http://host:port`."""
    policy_revision: str | None = None
    """The bundle revision that decisions must come from: with any other, 503 and not ready. Absent: any."""
    policy_deadline: float = Field(default=2.0, gt=0, le=5)
    """Seconds that policy has to answer; after that the request is refused with 503.

    Once it has given no answer at all, 0.25 until it gives one."""
    listen: Annotated[str, For("api")] = Field(default="", pattern=_HOST_AND_PORT)
    """`host:port` to listen on for requests; without TLS, so let only the gateway reach it."""
    operations_listen: str = Field(default=DEFAULT, pattern=_HOST_AND_PORT)
    """`host:port` of `/live`, `/ready`, `/started` and `/metrics`, for API and worker alike."""
    drain_delay: float = Field(default=0, ge=0, le=5)
    """Seconds that a service goes on serving after SIGTERM, no longer ready, until routers avoid it."""
    version: str = "unknown"
    """The version that is running, as in the image's tag; shown in the metrics, without any other effect."""
    identity_url: Annotated[str, For("api", "worker")] = ""
    """Where identity is, `http://host:port`, for its public keys and its change feed; not the gateway."""
    customers_url: Annotated[str, For("api", "worker")] = ""
    """Where customers is, `http://host:port`, for its change feed; not the gateway."""
    door_secret: Annotated[SecretStr, For("api", "worker")] = NOT_GIVEN
    """The secret for calls between services, the same in all: 16 characters or more. Also signs positions."""
    cursor_secret: Annotated[SecretStr, For("api")] = NOT_GIVEN
    """The key that signs the cursors of pages, the same in all processes of a service: at least 16
    characters."""
    issuer: Annotated[str, For("api")] = ""
    """The issuer (`iss`) of access tokens: the gateway's address as clients use it, the same in all
    services. Changing it invalidates all tokens."""

    @field_validator("door_secret", "cursor_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < 16:  # noqa: PLR2004
            msg = "use at least 16 characters"
            raise ValueError(msg)
        return value

    @field_validator("database_owner_url", "database_api_url", "database_worker_url", "broker_url")
    @classmethod
    def _unambiguous(cls, value: SecretStr) -> SecretStr:
        # A password with a bare / would be cut there, and its beginning told as a port that is none.
        try:
            parts = urlsplit(value.get_secret_value())
            is_clear = parts.port != 0 and "@" not in parts.path + parts.query + parts.fragment
        except ValueError:
            is_clear = False
        if not is_clear:
            msg = "percent-encode user and password: a / is %2F"
            raise ValueError(msg)
        return value

    @field_validator("identity_url", "customers_url", "issuer")
    @classmethod
    def _without_trailing_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on for requests."""
        return _split(self.listen)

    @property
    def operations_address(self) -> tuple[str, int]:
        """Host and port to listen on for whoever runs the service."""
        return _split(self.operations_listen)

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
    def load(cls, *processes: Process) -> Self:
        """Read the environment for a process that is all of these.

        Raises:
            SettingsError: naming every variable that is missing or wrong, without its value.
        """
        wrong = {name: "is missing" for name in cls.model_fields if cls._lacks(name, processes)}
        try:
            settings = cls()
        except ValidationError as error:
            for fault in error.errors(include_input=False, include_context=False):
                what = "is missing" if fault["type"] == "missing" else fault["msg"]
                wrong[str(fault["loc"][0])] = what
        else:
            if not wrong:
                return settings
        lines = [f"  {_variable(name)}: {what}" for name, what in wrong.items()]
        raise SettingsError("\n".join(["Set these variables:", *lines]))

    @classmethod
    def needed_by(cls, name: str) -> frozenset[Process]:
        """Return the processes that cannot do without a setting."""
        field = cls.model_fields[name]
        told = [mark.processes for mark in field.metadata if isinstance(mark, For)]
        if told:
            return told[-1]
        return frozenset(get_args(Process)) if field.is_required() else frozenset()

    @classmethod
    def _lacks(cls, name: str, processes: Collection[Process]) -> bool:
        is_given = os.environ.get(_variable(name))
        if _is_secret(cls.model_fields[name]):  # nothing else is read from a file
            is_given = is_given or os.environ.get(_variable(name) + "_FILE")
        return not is_given and not cls.needed_by(name).isdisjoint(processes)
