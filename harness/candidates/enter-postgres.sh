#!/bin/sh
# Starts PostgreSQL in a container by the image's own entry point, with what only its user may read.
set -eu
if [ -e node.key ]; then
    install -o postgres -m 600 node.key postgres.key
fi
if [ -e postgres.password ]; then
    POSTGRES_PASSWORD=$(cat postgres.password)
    export POSTGRES_PASSWORD
fi
exec docker-entrypoint.sh "$@"
