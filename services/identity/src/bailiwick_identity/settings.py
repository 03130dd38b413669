"""What identity needs to be told beyond what every service does: keys, and how to hash passwords."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr

from bailiwick_kit.settings import NOT_GIVEN, For, ServiceSettings


class Settings(ServiceSettings):
    """The settings of identity. The floors are OWASP's for argon2id: 19 MiB and two rounds."""

    database_worker_url: Annotated[SecretStr, For("api", "worker", "migrate")] = NOT_GIVEN
    """The database as the role that relays; the change feed that others pull from reads with it too."""
    door_secret: Annotated[SecretStr, For("api")] = NOT_GIVEN
    """The secret for calls between services, the same in all: 16 characters or more. Also signs positions.
    identity's worker opens no change feed."""
    signing_keys: Annotated[Path, For("api")] = Path()
    """A file with a JWKS of private ES256 keys: the first signs, all are published. To change them:
    [rotating keys](runbook/rotating-keys.md)."""
    password_time_cost: int = Field(default=3, ge=2, le=20)
    """Rounds of argon2id when hashing a password."""
    password_memory_kib: int = Field(default=65536, ge=19456, le=1048576)
    """KiB of memory that hashing one password takes."""
    password_parallelism: int = Field(default=4, ge=1, le=16)
    """Lanes, and threads, of hashing one password."""
    passwords_at_once: int = Field(default=2, ge=1, le=64)
    """How many passwords are hashed at the same time, each with its own memory; others wait."""
    # S4: nobody tries passwords of many accounts from one address.
    failed_sign_ins_per_address: int = Field(default=100, ge=10)
    """Failed sign-ins of an address within 15 minutes, over all accounts, before it is slowed down."""
