"""What identity needs to be told beyond what every service does: keys, and how to hash passwords."""

from pathlib import Path

from pydantic import Field

from bailiwick_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    """The settings of identity. The floors are OWASP's for argon2id: 19 MiB and two rounds."""

    signing_keys: Path
    """A file with a JWKS of private ES256 keys: the first signs, all are published."""
    password_time_cost: int = Field(default=3, ge=2, le=20)
    password_memory_kib: int = Field(default=65536, ge=19456, le=1048576)
    password_parallelism: int = Field(default=4, ge=1, le=16)
    passwords_at_once: int = Field(default=2, ge=1, le=64)
    """How many passwords are hashed at the same time."""
    failed_sign_ins_per_address: int = Field(default=100, ge=10)
    """How many failures within 15 minutes an address is allowed, whatever the accounts (S4)."""
