"""deploy/databases: the script for operators makes what the stack makes on one machine (D12)."""

from __future__ import annotations

import asyncio
import subprocess
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from bailiwick_launcher.data_folder import CHECKOUT
from bailiwick_launcher.databases import ROLES, create_database
from bailiwick_launcher.processes import found
from bailiwick_launcher.servers import install
from bailiwick_testkit.servers.real import Postgres

PREPARE = CHECKOUT / "deploy" / "databases" / "prepare"
FIRST = "Sesame-1"


def psql_folder() -> Path:
    program = found("psql", "/usr/lib/postgresql/*/bin")
    if program is None:  # the server is elsewhere or in a container
        install.ensure(["postgres"], lambda _: None)
        program = found("psql", "/usr/lib/postgresql/*/bin")
    assert program is not None
    return Path(program).parent


@dataclass(frozen=True)
class Wanted:
    """A service that exists for a test alone, with its addresses in a folder."""

    service: str
    folder: Path
    admin: str

    def address(self, role: str, password: str = FIRST) -> str:
        parts = urlsplit(self.admin)
        user = f"{self.service}_{role}:{password}"
        return f"postgresql+asyncpg://{user}@{parts.hostname}:{parts.port}/{self.service}"

    def write(self, role: str, address: str) -> None:
        (self.folder / f"{self.service}_database_{role}_url").write_text(f"{address}\n")

    def prepare(self, admin: str = "") -> subprocess.CompletedProcess[str]:
        parts = urlsplit(admin or self.admin)
        environment = {
            "PATH": f"{psql_folder()}:/usr/bin:/bin",
            "PGHOST": str(parts.hostname),
            "PGPORT": str(parts.port),
            "PGUSER": str(parts.username),
            "PGPASSWORD": str(parts.password),
        }
        command = [str(PREPARE), str(self.folder)]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    async def signs_in(self, role: str, password: str = FIRST) -> bool:
        address = self.address(role, password).replace("+asyncpg", "")
        try:
            connection = await asyncpg.connect(address)
        except asyncpg.InvalidPasswordError:
            return False
        await connection.close()
        return True


@pytest.fixture
async def wanted(postgres: Postgres, tmp_path: Path) -> AsyncIterator[Wanted]:
    made = Wanted(f"planted_{uuid.uuid4().hex[:8]}", tmp_path, postgres.url)
    for role in ROLES:
        made.write(role, made.address(role))
    yield made
    admin = await asyncpg.connect(postgres.url)
    await admin.execute(f'DROP DATABASE IF EXISTS "{made.service}" WITH (FORCE)')
    for role in (*ROLES, "admin"):
        await admin.execute(f"DROP ROLE IF EXISTS {made.service}_{role}")
    await admin.close()


async def facts(admin_dsn: str, service: str) -> dict[str, object]:
    """Return all that there is to tell the two ways apart by, the service's name taken out."""
    within = await asyncpg.connect(urlsplit(admin_dsn)._replace(path=f"/{service}").geturl())
    try:
        roles = await within.fetch(
            "SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication,"
            " rolbypassrls, rolconnlimit, rolvaliduntil FROM pg_roles WHERE starts_with(rolname, $1)",
            service,
        )
        database = await within.fetchrow(
            "SELECT datdba::regrole::text, datacl::text, pg_encoding_to_char(encoding), datcollate"
            " FROM pg_database WHERE datname = current_database()"
        )
        public = await within.fetchval(
            "SELECT nspacl::text FROM pg_namespace WHERE nspname = 'public'"
        )
        extensions = await within.fetch("SELECT extname FROM pg_extension ORDER BY extname")
    finally:
        await within.close()
    assert len(roles) == len(ROLES)
    told = repr((sorted(map(tuple, roles)), tuple(database), public, list(map(tuple, extensions))))
    return {"facts": told.replace(service, "service")}


async def test_script_makes_what_the_stack_makes(wanted: Wanted, postgres: Postgres) -> None:
    done = await asyncio.to_thread(wanted.prepare)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{wanted.service}: {wanted.service}, for")
    beside = f"{wanted.service}x"
    await create_database(postgres.url, beside, beside, "secret")
    try:
        made = await facts(postgres.url, beside)
    finally:
        admin = await asyncpg.connect(postgres.url)
        await admin.execute(f'DROP DATABASE "{beside}"')
        for role in ROLES:
            await admin.execute(f"DROP ROLE {beside}_{role}")
        await admin.close()
    assert await facts(postgres.url, wanted.service) == made


async def test_repeated_it_changes_passwords_that_are_others_now_and_nothing_else(
    wanted: Wanted,
) -> None:
    assert (await asyncio.to_thread(wanted.prepare)).returncode == 0
    before = await facts(wanted.admin, wanted.service)
    assert all([await wanted.signs_in(role) for role in ROLES])
    wanted.write("api", wanted.address("api", "Sesame-2"))
    assert (await asyncio.to_thread(wanted.prepare)).returncode == 0
    assert await facts(wanted.admin, wanted.service) == before
    assert await wanted.signs_in("api", "Sesame-2")
    assert not await wanted.signs_in("api")
    assert await wanted.signs_in("worker")


async def test_role_that_could_do_more_before_cannot_any_longer(wanted: Wanted) -> None:
    admin = await asyncpg.connect(wanted.admin)
    await admin.execute(f"CREATE ROLE {wanted.service}_api SUPERUSER BYPASSRLS CREATEROLE")
    assert (await asyncio.to_thread(wanted.prepare)).returncode == 0
    mighty = await admin.fetchval(
        "SELECT rolsuper OR rolbypassrls OR rolcreaterole FROM pg_roles WHERE rolname = $1",
        f"{wanted.service}_api",
    )
    await admin.close()
    assert mighty is False


async def test_who_may_create_roles_and_databases_need_not_be_a_superuser(wanted: Wanted) -> None:
    name = f"{wanted.service}_admin"
    admin = await asyncpg.connect(wanted.admin)
    await admin.execute(f"CREATE ROLE {name} LOGIN CREATEROLE CREATEDB PASSWORD 'Sesame-3'")
    await admin.close()
    parts = urlsplit(wanted.admin)
    theirs = f"postgresql://{name}:Sesame-3@{parts.hostname}:{parts.port}/postgres"
    for _ in range(2):
        done = await asyncio.to_thread(wanted.prepare, theirs)
        assert (done.returncode, done.stderr) == (0, "")
    assert all([await wanted.signs_in(role) for role in ROLES])


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("postgres:5432", "is no postgresql+asyncpg://user:password@host:port/database"),
        ("postgresql+asyncpg://a:b%40c@h:1/d", "use a password that needs no %-escapes"),
    ],
)
def test_address_that_cannot_be_used_is_named_without_what_is_in_it(
    wanted: Wanted, address: str, said: str
) -> None:
    wanted.write("worker", address)
    done = wanted.prepare()
    assert done.returncode != 0
    assert f"{wanted.service}_database_worker_url" in done.stderr
    assert said in done.stderr
    assert "b%40c" not in done.stderr


def test_folder_without_addresses_is_a_mistake(wanted: Wanted) -> None:
    for file in wanted.folder.iterdir():
        file.unlink()
    assert wanted.prepare().returncode != 0
