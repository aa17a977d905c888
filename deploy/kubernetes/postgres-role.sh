#!/bin/sh
# Makes the database of the control planes and the role that they log in as, where they are not there yet.
# The superuser runs it on the server; SLUICE_PASSWORD is the role's password.
#
# The role owns this database and can do nothing else. Owning it is what migrating needs: control planes
# make and change their tables by themselves when a newer version of them starts.
set -eu
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username=postgres --dbname=postgres <<'SQL'
SELECT count(*) = 0 AS missing FROM pg_roles WHERE rolname = 'sluice' \gset
\if :missing
\getenv password SLUICE_PASSWORD
CREATE ROLE sluice LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'password';
CREATE DATABASE sluice OWNER sluice;
REVOKE ALL ON DATABASE sluice FROM PUBLIC;
\endif
SQL
