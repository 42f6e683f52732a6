#!/bin/sh
# Sets up, builds and serves the example API: scripts/start.sh [PORT]
set -eu
cd "$(dirname "$0")/.."

usage="usage: scripts/start.sh [PORT]
Installs what is missing, builds, and serves the example API, scripts/examples/app.lua, on PORT (8000;
0: any free one)."
wrong() {
  printf '%s\n%s\n' "scripts/start.sh: $1" "$usage" >&2
  exit 2
}
case ${1:-} in
-h | --help)
  echo "$usage"
  exit 0
  ;;
esac
[ $# -le 1 ] || wrong "one port, please; '$2' is too many"
port=${1-8000}
case $port in
'' | *[!0-9]* | ??????*) wrong "the port must be a number from 0 to 65535, not '$port'" ;;
esac
[ "$port" -le 65535 ] || wrong "the port must be a number from 0 to 65535, not '$port'"

scripts/build.sh

# What the server prints goes through a pipe, so that what to try comes when it listens.
folder=$(mktemp -d)
mkfifo "$folder/output"
{
  exec <"$folder/output"
  rm -r "$folder"
  if read -r line; then
    url=$(expr "$line" : '.*\(http://[^ ]*\)')
    cat <<END
$line

Try it from another terminal (Ctrl-C here stops it):

  curl $url/plaintext
  curl '$url/users/42?q=tea'
  curl --json '{"items": [1, 2, 39]}' $url/sum

END
    cat
  fi
} &
exec build/release/moonloop serve scripts/examples/app.lua --port "$port" >"$folder/output"
