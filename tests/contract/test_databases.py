"""Each service's database as its migrations leave it: who owns what, who sees what (D4, D12)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from bailiwick_kit.database import migrations
from bailiwick_launcher.databases import DatabaseUrls
from bailiwick_testkit.checkout import CHECKOUT, SERVICES
from bailiwick_testkit.checks import introspection
from bailiwick_testkit.checks.tenancy import WITHOUT_ORGANIZATION
from bailiwick_testkit.servers.real import Postgres

MARKS_OF_ALEMBIC = "alembic_version"
WITHOUT = {"identity": {"inbox"}, "reports": {"outbox", "audit"}, "notifier": {"outbox"}}
"""identity hears nobody; reports and notifier tell nobody anything; nobody does anything in reports."""


@dataclass(frozen=True)
class Migrated:
    """A service's migrated database, open as the superuser: it sees what there is."""

    service: str
    urls: DatabaseUrls
    connection: asyncpg.Connection

    async def ask(self, query: str, *arguments: object) -> list[Any]:
        return list(await self.connection.fetch(query, *arguments))

    @property
    def working(self) -> list[str]:
        return [f"{self.service}_api", f"{self.service}_worker"]


@pytest.fixture(scope="module", params=SERVICES)
async def migrated(request: pytest.FixtureRequest, postgres: Postgres) -> AsyncIterator[Migrated]:
    service = str(request.param)
    urls = await postgres.fresh_database(service)
    dsn = urlsplit(postgres.url)._replace(path=f"/{urls.name}").geturl()
    connection = await asyncpg.connect(dsn)
    yield Migrated(service, urls, connection)
    await connection.close()
    await postgres.drop(urls)


async def test_server_is_above_the_version_that_leaks_past_row_security(
    postgres: Postgres,
) -> None:
    connection = await asyncpg.connect(postgres.url)
    version = int(await connection.fetchval("SHOW server_version_num"))
    await connection.close()
    floors = {15: 150014, 16: 160010, 17: 170006}  # CVE-2025-8713
    assert version >= floors.get(version // 10_000, 150014), f"PostgreSQL {version}: update it"


async def test_code_and_migrations_agree(migrated: Migrated) -> None:
    folder = Path("services", migrated.service, "src", f"bailiwick_{migrated.service}")
    migrations_of = CHECKOUT / folder / "store" / "migrations"
    await asyncio.to_thread(migrations.check, migrations_of, migrated.urls.owner)


async def test_tables_are_those_of_the_code(migrated: Migrated) -> None:
    rows = await migrated.ask("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    found = {row["tablename"] for row in rows} - {MARKS_OF_ALEMBIC}
    assert found == introspection.tables(migrated.service).keys()


async def tables_without_row_security(migrated: Migrated) -> set[str]:
    rows = await migrated.ask(
        "SELECT relname, relrowsecurity AND relforcerowsecurity AS isolates FROM pg_class"
        " WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
    )
    return {row["relname"] for row in rows if not row["isolates"]}


async def keys_that_begin_otherwise(migrated: Migrated) -> set[tuple[str, str]]:
    rows = await migrated.ask(
        "SELECT t.relname AS name, i.relname AS index, a.attname AS first FROM pg_index x"
        " JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid"
        " LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.indkey[0]"
        " WHERE (x.indisunique OR x.indisexclusion) AND t.relnamespace = 'public'::regnamespace"
    )
    return {(row["name"], row["index"]) for row in rows if row["first"] != "org_id"}


async def test_every_table_isolates_its_organizations_even_from_its_owner(
    migrated: Migrated,
) -> None:
    assert await tables_without_row_security(migrated) == WITHOUT_ORGANIZATION[migrated.service] | {
        MARKS_OF_ALEMBIC
    }, "call isolate(table) in the migration, or name the table in bailiwick_testkit.checks.tenancy"


async def test_policies_go_by_the_session_s_organization(migrated: Migrated) -> None:
    rows = await migrated.ask(
        "SELECT tablename, qual FROM pg_policies WHERE policyname = 'one_organization'"
        " AND roles = '{public}' AND cmd = 'ALL' AND permissive = 'PERMISSIVE'"
    )
    isolated = (
        introspection.tables(migrated.service).keys() - WITHOUT_ORGANIZATION[migrated.service]
    )
    assert {row["tablename"] for row in rows} == isolated
    assert {row["qual"] for row in rows} == {
        "(org_id = (NULLIF(current_setting('app.org'::text, true), ''::text))::uuid)"
    }


async def test_wider_policies_are_never_the_api_s(migrated: Migrated) -> None:
    rows = await migrated.ask(
        "SELECT tablename, policyname, roles::text[] AS roles FROM pg_policies"
        " WHERE policyname <> 'one_organization'"
    )
    allowed = {f"{migrated.service}_worker", f"{migrated.service}_owner"}
    wide = [row for row in rows if not set(row["roles"]) <= allowed]
    assert not wide, f"the API's role sees one organization at a time: {wide}"


async def test_every_unique_index_begins_with_the_organization(migrated: Migrated) -> None:
    allowed = WITHOUT_ORGANIZATION[migrated.service] | {MARKS_OF_ALEMBIC}
    wrong = {key for key in await keys_that_begin_otherwise(migrated) if key[0] not in allowed}
    assert not wrong, f"a clash would tell one tenant of another: {wrong}"


async def test_a_table_that_keeps_nobody_apart_is_found(postgres: Postgres) -> None:
    urls = await postgres.fresh_database("customers", migrated=False)
    connection = await asyncpg.connect(urls.owner.replace("+asyncpg", ""))
    await connection.execute("CREATE TABLE planted (org_id uuid, code text, PRIMARY KEY (code))")
    planted = Migrated("customers", urls, connection)
    assert await tables_without_row_security(planted) == {"planted"}
    assert await keys_that_begin_otherwise(planted) == {("planted", "planted_pkey")}
    # Without FORCE its owner, and whatever runs as its owner, would still see everything.
    await connection.execute("ALTER TABLE planted ENABLE ROW LEVEL SECURITY")
    assert await tables_without_row_security(planted) == {"planted"}
    await connection.close()
    await postgres.drop(urls)


async def test_working_roles_own_nothing_and_are_held_by_row_security(migrated: Migrated) -> None:
    roles = await migrated.ask(
        "SELECT rolname, rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication"
        " AS mighty FROM pg_roles WHERE rolname = ANY($1)",
        migrated.working,
    )
    assert {role["rolname"]: role["mighty"] for role in roles} == dict.fromkeys(
        migrated.working, False
    )
    owned = await migrated.ask(
        "SELECT objid::regclass AS what FROM pg_shdepend WHERE deptype = 'o'"
        " AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))"
        " AND refobjid IN (SELECT oid FROM pg_roles WHERE rolname = ANY($1))",
        migrated.working,
    )
    assert not owned, f"{owned}: tables belong to the role that migrates"
    memberships = await migrated.ask(
        "SELECT roleid::regrole FROM pg_auth_members WHERE member IN"
        " (SELECT oid FROM pg_roles WHERE rolname = ANY($1))",
        migrated.working,
    )
    assert not memberships, "a working role is a member of no other"


async def test_working_roles_may_not_get_around_row_security(migrated: Migrated) -> None:
    """TRUNCATE, REFERENCES and TRIGGER look past policies; CREATE makes what its maker owns."""
    rows = await migrated.ask(
        "SELECT r.name, c.relname, p.privilege FROM unnest($1::text[]) AS r(name)"
        " CROSS JOIN pg_class c CROSS JOIN unnest(ARRAY['TRUNCATE', 'REFERENCES', 'TRIGGER'])"
        " AS p(privilege) WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace"
        " AND has_table_privilege(r.name, c.oid, p.privilege)",
        migrated.working,
    )
    assert not rows, rows
    for role in migrated.working:
        [row] = await migrated.ask(
            "SELECT has_schema_privilege($1, 'public', 'CREATE')"
            " OR has_database_privilege($1, current_database(), 'CREATE, TEMPORARY') AS creates",
            role,
        )
        assert not row["creates"], f"{role} may make tables of its own"


@pytest.mark.parametrize(
    ("table", "role", "may"),
    [
        ("outbox", "api", {"INSERT"}),
        ("outbox", "worker", {"SELECT", "INSERT", "UPDATE", "DELETE"}),
        ("inbox", "api", set()),
        ("audit", "api", {"INSERT"}),
        ("audit", "worker", {"INSERT"}),
        (MARKS_OF_ALEMBIC, "api", set()),
        (MARKS_OF_ALEMBIC, "worker", set()),
    ],
)
async def test_rights_on_tables_that_are_no_tenant_s(
    migrated: Migrated, table: str, role: str, may: set[str]
) -> None:
    if table not in introspection.tables(migrated.service) and table != MARKS_OF_ALEMBIC:
        assert table in WITHOUT[migrated.service]
        return
    rows = await migrated.ask(
        "SELECT p FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p"
        " WHERE has_table_privilege($1, $2, p)",
        f"{migrated.service}_{role}",
        table,
    )
    assert {row["p"] for row in rows} == may


async def test_nothing_is_granted_to_everybody(migrated: Migrated) -> None:
    tables = await migrated.ask(
        "SELECT table_name FROM information_schema.role_table_grants"
        " WHERE grantee = 'PUBLIC' AND table_schema = 'public'"
    )
    assert not tables
    [row] = await migrated.ask(
        "SELECT count(*) AS open FROM pg_database, aclexplode(datacl) AS a"
        " WHERE datname = current_database() AND a.grantee = 0"
    )
    assert row["open"] == 0, "REVOKE ALL ON DATABASE … FROM PUBLIC"


async def test_one_function_at_most_runs_as_its_owner(migrated: Migrated) -> None:
    rows = await migrated.ask(
        "SELECT proname, proconfig, proacl::text AS rights FROM pg_proc"
        " WHERE prosecdef AND pronamespace = 'public'::regnamespace"
    )
    assert len(rows) == (1 if migrated.service == "identity" else 0), "D4: signing in, and no other"
    for row in rows:
        path = [one for one in row["proconfig"] or () if one.startswith("search_path=")]
        assert path, f"{row['proname']}: SET search_path, or a caller brings tables of their own"
        assert "{=X" not in row["rights"], f"{row['proname']}: REVOKE ALL … FROM PUBLIC"
