"""The database of a service: three roles, of which two own nothing, and who may connect (D12)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

import asyncpg

ROLES = ("owner", "api", "worker")


@dataclass(frozen=True)
class DatabaseUrls:
    """One database, by the role that opens it; as SQLAlchemy wants its addresses."""

    name: str
    owner: str = field(repr=False)
    api: str = field(repr=False)
    worker: str = field(repr=False)


def urls(admin_dsn: str, service: str, database: str, secret: str) -> DatabaseUrls:
    """Give the addresses of a service's database on the server that the superuser's DSN names."""
    parts = urlsplit(admin_dsn)
    where = f"{parts.hostname}:{parts.port or 5432}/{database}"
    by_role = {
        role: f"postgresql+asyncpg://{service}_{role}:{_password(admin_dsn, service, role, secret)}"
        for role in ROLES
    }
    return DatabaseUrls(database, *(f"{by_role[role]}@{where}" for role in ROLES))


def _password(admin_dsn: str, service: str, role: str, secret: str) -> str:
    """Derive it, so that everybody who knows the superuser agrees on it, and nobody else can."""
    known = unquote(urlsplit(admin_dsn).password or "") or secret
    return hmac.new(known.encode(), f"{service}_{role}".encode(), hashlib.sha256).hexdigest()[:40]


def _verifier(password: str) -> str:
    """Give what PostgreSQL keeps of a password (RFC 5803): a statement may be shown and logged, whole.

    For plain ASCII passwords alone, which no preparation changes.
    """
    salt, rounds = secrets.token_bytes(16), 4096
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, rounds)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    parts = (salt, stored, hmac.digest(salted, b"Server Key", "sha256"))
    shown = [base64.b64encode(part).decode() for part in parts]
    return f"SCRAM-SHA-256${rounds}:{shown[0]}${shown[1]}:{shown[2]}"


async def create_roles(admin: asyncpg.Connection, dsn: str, service: str, secret: str) -> None:
    """Make the service's roles, or give them back their passwords; harmless when repeated."""
    # Two runs that do this at once would meet in pg_authid.
    await admin.execute("SELECT pg_advisory_lock(4117)")
    for role in ROLES:
        name, password = f"{service}_{role}", _password(dsn, service, role, secret)
        if not await admin.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", name):
            await admin.execute(f"CREATE ROLE {name}")
        await admin.execute(
            f"ALTER ROLE {name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS"
            f" PASSWORD '{_verifier(password)}'"
        )
    await admin.execute("SELECT pg_advisory_unlock(4117)")


async def create_database(admin_dsn: str, service: str, database: str, secret: str) -> DatabaseUrls:
    """Make a service's database with its roles where it is missing, and give its addresses."""
    admin = await asyncpg.connect(admin_dsn)
    try:
        await create_roles(admin, admin_dsn, service, secret)
        if not await admin.fetchval("SELECT true FROM pg_database WHERE datname = $1", database):
            await admin.execute(
                f'CREATE DATABASE "{database}" OWNER {service}_owner TEMPLATE template0'
            )
        await _let_in(admin, service, database)
    finally:
        await admin.close()
    await _prepare(_within(admin_dsn, database), service)
    return urls(admin_dsn, service, database, secret)


async def copy_database(
    admin_dsn: str, service: str, database: str, secret: str, template: str
) -> DatabaseUrls:
    """Make a copy of a service's database that `create_database` made, and give its addresses.

    Its pages go through the log: copying files, as dropping a database, would wait for checkpoints of all
    databases.
    """
    admin = await asyncpg.connect(admin_dsn)
    try:
        await admin.execute(
            f'CREATE DATABASE "{database}" OWNER {service}_owner TEMPLATE "{template}"'
        )
        await _let_in(admin, service, database)
    finally:
        await admin.close()
    return urls(admin_dsn, service, database, secret)


async def _let_in(admin: asyncpg.Connection, service: str, database: str) -> None:
    await admin.execute(
        f'REVOKE ALL ON DATABASE "{database}" FROM PUBLIC;'
        f' GRANT CONNECT ON DATABASE "{database}" TO {service}_api, {service}_worker'
    )


async def _prepare(dsn: str, service: str) -> None:
    """Let the owner alone make things in the database; the extension is trusted, but ours to add."""
    admin = await asyncpg.connect(dsn)
    try:
        await admin.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
        await admin.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        await admin.execute(f"GRANT CREATE, USAGE ON SCHEMA public TO {service}_owner")
    finally:
        await admin.close()


async def drop_database(admin_dsn: str, database: str) -> None:
    """Drop a database, whoever is connected to it."""
    admin = await asyncpg.connect(admin_dsn)
    try:
        await admin.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
    finally:
        await admin.close()


def _within(dsn: str, database: str) -> str:
    parts = urlsplit(dsn)
    return parts._replace(path=f"/{quote(database)}").geturl()
