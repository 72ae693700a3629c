#!/bin/sh
# Run once by the image of PostgreSQL, on an empty volume: a role and a database for each server.
set -eu
for name in prefect mlflow; do
    psql --set ON_ERROR_STOP=1 --set role="$name" --set password="$POSTGRES_PASSWORD" --username postgres <<'SQL'
CREATE ROLE :"role" LOGIN PASSWORD :'password';
CREATE DATABASE :"role" OWNER :"role";
SQL
done
