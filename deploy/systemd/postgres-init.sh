#!/bin/sh
# Makes the data directory $1 of a Postgres server, where it is not there yet.
set -eu
test -s "$1/PG_VERSION" || exec initdb --pgdata="$1" --username=postgres --auth=peer --encoding=UTF8 --locale=C.UTF-8
