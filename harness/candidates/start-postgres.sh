#!/bin/sh
# Runs PostgreSQL in the working directory: start-postgres.sh USER postgres ARGUMENTS. Makes the database on the first start.
set -eu
user=$1
shift

# Debian keeps the programs off PATH.
for folder in /usr/lib/postgresql/*/bin; do
    PATH=$PATH:$folder
done
command -v initdb >/dev/null || {
    echo "PostgreSQL is not installed; install it: apt install postgresql" >&2
    exit 1
}

# PostgreSQL refuses to be root: in a user namespace we are somebody else to ourselves, and still own our files. And it leaves a
# segment of shared memory behind when it is killed: in a namespace of its own that goes with the process. Where the machine lets
# nobody but root make namespaces, others do without.
if [ "$(id -u)" = 0 ]; then
    exec unshare --user --map-user=1000 --map-group=1000 --ipc sh "$0" "$user" "$@"
elif [ -z "${ANACHRON_ALONE:-}" ] && unshare --user --map-current-user --ipc true 2>/dev/null; then
    ANACHRON_ALONE=yes exec unshare --user --map-current-user --ipc sh "$0" "$user" "$@"
fi

export PGDATA="$PWD/postgres"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    rm -rf "$PGDATA" # what a first start left that was killed
    if [ -e postgres.password ]; then
        initdb --username="$user" --pwfile=postgres.password --auth=scram-sha-256 --no-sync --encoding=UTF8 --locale=C.UTF-8 >/dev/null
    else
        initdb --username="$user" --auth=trust --no-sync --encoding=UTF8 --locale=C.UTF-8 >/dev/null
    fi
fi
exec "$@"
