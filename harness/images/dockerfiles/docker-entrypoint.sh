#!/bin/sh
# Starts PostgreSQL with the variables of the official image: makes the database on the first start, then runs the command.
set -eu

if [ "${1:-postgres}" != postgres ]; then
    exec "$@"
fi

if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" /run/postgresql
    chown -R postgres "$PGDATA" /run/postgresql
    chmod 700 "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    user=${POSTGRES_USER:-postgres}
    database=${POSTGRES_DB:-$user}
    method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
    if [ -z "${POSTGRES_PASSWORD:-}" ] && [ "$method" != trust ]; then
        echo "set POSTGRES_PASSWORD, or POSTGRES_HOST_AUTH_METHOD=trust" >&2
        exit 1
    fi
    # A file that only this user reads: arguments are seen by everybody.
    secret=$(mktemp)
    printf '%s\n' "${POSTGRES_PASSWORD:-unused}" > "$secret"
    initdb --username="$user" --pwfile="$secret" --no-sync --encoding=UTF8 --locale=C.UTF-8 > /dev/null
    rm "$secret"
    printf 'host all all all %s\n' "$method" >> "$PGDATA/pg_hba.conf"
    if [ "$database" != postgres ]; then
        printf 'CREATE DATABASE "%s";\n' "$database" | postgres --single -j -D "$PGDATA" postgres > /dev/null
    fi
fi

exec "$@" -c listen_addresses='*'
