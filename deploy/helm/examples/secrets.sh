#!/usr/bin/env bash
# Makes every Secret that the chart names, and those that postgresql.yaml and rabbitmq.yaml ask for, with passwords
# made here. Where one of them is there already, it makes none. Needs kubectl, OpenSSL and the whole checkout.
#
#   SMTP_URL=smtp+starttls://user:password@mail.example.com:587 examples/secrets.sh NAMESPACE [FOLDER]
#
# FOLDER keeps what is made, one file for each secret, as databases/prepare reads it: for servers of your own.
# Without it nothing is kept but the Secrets. What is in the folder already is used as it is.
# POSTGRES and RABBITMQ say where the servers are, if not those of the examples.
set -euo pipefail
namespace=${1:?say in which namespace}
: "${SMTP_URL:?say where mail goes: smtp://user:password@host:port}"
export SMTP_URL POSTGRES=${POSTGRES:-bailiwick-postgres-rw.$namespace.svc:5432}
export RABBITMQ=${RABBITMQ:-bailiwick-rabbitmq.$namespace.svc:5672}
services="identity customers orders reports notifier" roles="owner api worker"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
folder=${2:-$work/secrets}
"$(dirname "${BASH_SOURCE[0]}")/../../make-secrets" "$folder"

names=$(kubectl --namespace "$namespace" get secrets --output name)
there=$(grep -E '^secret/bailiwick-(database|role|broker|rabbitmq|services|signing-keys|mail)' <<<"$names" || true)
if [ -n "$there" ]; then
  printf 'There already, so none is made:\n%s\n' "$there" >&2
  exit 1
fi

# make NAME KEY=FILE …: from files, so that no secret is among the arguments of a program.
make() {
  local name=$1 type=$2
  shift 2
  kubectl --namespace "$namespace" create secret generic "bailiwick-$name" --type "$type" "${@/#/--from-file=}"
}

# The sign-in within an address: user, or password.
user() { sed -E 's|^[a-z+]+://([^:]+):.*|\1|' "$1" | tr -d '\n'; }
password() { sed -E 's|^[a-z+]+://[^:]+:([^@]+)@.*|\1|' "$1" | tr -d '\n'; }

for service in $services; do
  address=$folder/${service}_database
  make "database-$service" Opaque owner-url="${address}_owner_url" api-url="${address}_api_url" worker-url="${address}_worker_url"
  for role in $roles; do
    user "${address}_${role}_url" > "$work/username"
    password "${address}_${role}_url" > "$work/password"
    make "role-$service-$role" kubernetes.io/basic-auth "username=$work/username" "password=$work/password"
    # With it, a changed password becomes the role's.
    kubectl --namespace "$namespace" label secret "bailiwick-role-$service-$role" cnpg.io/reload=true
  done
done

declare -a accounts
for account in $services migrations; do accounts+=("$account-url=$folder/${account}_broker_url"); done
# `url` and `management-url`, the administrator's, are for people: no pod is given them.
make broker Opaque "${accounts[@]}" "url=$folder/broker_url" "management-url=$folder/broker_management_url"
make rabbitmq-definitions Opaque "definitions.json=$folder/rabbitmq_definitions.json"
user "$folder/broker_url" > "$work/username"
password "$folder/broker_url" > "$work/password"
printf '%s' "${RABBITMQ%:*}" > "$work/host"
printf '%s' "${RABBITMQ##*:}" > "$work/port"
printf rabbitmq | tee "$work/provider" > "$work/type"
head -n 2 "$folder/rabbitmq.conf" > "$work/default_user.conf"
make rabbitmq-user Opaque "default_user.conf=$work/default_user.conf" "username=$work/username" \
  "password=$work/password" "host=$work/host" "port=$work/port" "provider=$work/provider" "type=$work/type"

make services Opaque "door-secret=$folder/door_secret" "cursor-secret=$folder/cursor_secret"
make signing-keys Opaque "signing-keys.json=$folder/signing_keys.json"
make mail Opaque "url=$folder/smtp_url"
