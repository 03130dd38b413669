-- The database of one service with its three roles (D12): the owner migrates; the other two own nothing, and row
-- security holds them. Repeating it changes nothing. `prepare` runs it, and gives the variables:
--   database, owner, api, worker: names; on standard input each role's password, twice, in this order.
-- Who runs it is a superuser, or may create roles and databases.
\set ON_ERROR_STOP on
\set QUIET on
\o /dev/null

-- Two that do this at once would meet in pg_authid.
SELECT pg_advisory_lock(4117);
SELECT format('CREATE ROLE %I', role)
  FROM unnest(ARRAY[:'owner', :'api', :'worker']) AS role
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) \gexec
SELECT rolsuper AS is_super FROM pg_roles WHERE rolname = current_user \gset
\if :is_super
  SELECT format('ALTER ROLE %I NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOREPLICATION', role)
    FROM unnest(ARRAY[:'owner', :'api', :'worker']) AS role \gexec
\else
  -- Who is no superuser can make neither roles that may so much nor, without being one of its owner's, the database.
  GRANT :"owner" TO CURRENT_USER;
\endif
SELECT format('ALTER ROLE %I LOGIN', role) FROM unnest(ARRAY[:'owner', :'api', :'worker']) AS role \gexec
-- Hashed here: the password itself is in no statement, and so in no log.
\password :owner
\password :api
\password :worker

SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0', :'database', :'owner')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO :"api", :"worker";

\connect :"database"
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS btree_gist;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT CREATE, USAGE ON SCHEMA public TO :"owner";
