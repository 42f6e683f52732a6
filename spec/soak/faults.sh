#!/bin/bash
# Memory, sockets and files fail under load: spec/soak/faults.sh [SECONDS [BUILD]]
#
# A server of spec/soak/app.lua gets requests of every kind while malloc, its sockets or calls about files fail at
# random; then the same with the client's. A request may fail, or be refused, but no answer may be
# wrong; the process may not end; and after the faults every request succeeds, and no task and no
# descriptor is left. SECONDS (1) for each kind of fault. BUILD: the folder of the binary, build/debug
# by default, where every block of Lua's is a malloc of its own that can fail.
set -u
cd "$(dirname "$0")/../.." || exit 1
seconds=${1:-1} build=${2:-build/debug}
command -v fiu-run >/dev/null || {
  echo "fiu-run is missing (apt install fiu-utils)" >&2
  exit 1
}

work=$(mktemp -d)
export TMPDIR=$work # where fiu-run has its pipes
server='' port='' before='' failed=0
trap '[ -z "$server" ] || kill -KILL "$server"; wait; rm -rf "$work"' EXIT

wrong() {
  echo "FAILED: $*"
  failed=1
}

# --- the faults ---

# The rates of spec/support/socket_faults.c: of 256 calls so many fail, and so many are short.
head -c 4096 /dev/zero >"$work/rates"
export SOCKET_FAULTS=$work/rates
sockets() {
  printf '%b' "$(printf '\\x%02x\\x%02x' "$1" "$2")" | dd of="$work/rates" conv=notrunc status=none
}
fail() { # fail NAMES PROBABILITY PID
  local command="enable_random name=$1,probability=$2"
  [ "$2" != 0 ] || command="disable name=$1"
  timeout 5 fiu-ctrl -c "$command" "$3" || wrong "fiu-ctrl does not reach the process"
}
memory() { fail 'libc/mm/*' "$@"; } # memory PROBABILITY PID
files() {                           # files PROBABILITY PID: what libuv itself needs to go on is left alone
  local name
  for name in 'oc/open' 'oc/openat' 'rw/pread*' 'rw/pwrite*' 'sync/*' 'stat/*' 'dir/opendir' 'dir/readdir*'; do
    fail "posix/io/$name" "$@"
  done
}
with_memory_faults() { exec fiu-run -x "$@"; }
with_socket_faults() { LD_PRELOAD="$PWD/$build/spec/socket_faults.so" exec "$@"; }

# --- the server ---

load() { timeout 120 "$build/moonloop" spec/soak/load.lua "$port" "$@"; }

left() { curl -s "http://127.0.0.1:$port/left"; }

start() { # start WITH...
  "$@" "$build/moonloop" serve spec/soak/app.lua --port 0 >"$work/out" 2>"$work/errors" &
  server=$! port=''
  for ((i = 0; i < 100; i++)); do
    sleep 0.1
    port=$(sed -n 's/.*:\([0-9]*\) (.*/\1/p' "$work/out")
    [ -z "$port" ] || break
  done
  load 0.5 strict || wrong "the server before any fault"
  sleep 0.5 # its connections are closed
  before=$(left)
}

recovered() { # recovered NAME: after faults
  kill -0 "$server" 2>/dev/null || {
    tail -n 5 "$work/errors"
    wrong "$1 ended the server"
    exit 1
  }
  load 0.5 strict || wrong "the server after $1"
  local after i
  for ((i = 0; i < 60; i++)); do # tasks that nobody could cancel for want of memory end by themselves
    sleep 0.5
    after=$(left)
    [ "$after" != "$before" ] || break
  done
  [ "$after" = "$before" ] || wrong "after $1 the server has $after, before it had $before"
}

stop() {
  kill -TERM "$server"
  wait "$server"
  local status=$?
  server=''
  [ "$status" = 0 ] || wrong "the server's exit status is $status"
}

# --- the runs ---

start with_memory_faults
for probability in 0.01 0.1 0.5; do
  echo "server: memory fails with probability $probability"
  memory "$probability" "$server"
  load "$seconds" lenient || wrong "answers while memory fails"
  memory 0 "$server"
  recovered "memory faults of probability $probability"
done
stop

start with_memory_faults
for probability in 0.01 0.1 0.5; do
  echo "server: calls about files fail with probability $probability"
  files "$probability" "$server"
  load "$seconds" lenient static || wrong "answers while files fail" # which may be a 404
  files 0 "$server"
  recovered "file faults of probability $probability"
done
stop

start with_socket_faults
for rates in '0 80' '4 0' '60 80'; do
  echo "server: sockets fail and are short ($rates of 256)"
  # shellcheck disable=SC2086 # two numbers
  sockets $rates
  load "$seconds" lenient || wrong "answers while sockets fail"
  sockets 0 0
  recovered "socket faults ($rates of 256)"
done
stop

start command
for rates in '0 80' '10 0'; do
  echo "client: sockets fail and are short ($rates of 256)"
  # shellcheck disable=SC2086
  sockets $rates
  (with_socket_faults "$build/moonloop" spec/soak/load.lua "$port" "$seconds" lenient) ||
    wrong "the client, whose sockets fail"
  sockets 0 0
  recovered "faults of the client"
done
for probability in 0.001 0.02 0.2; do
  echo "client: memory fails with probability $probability"
  with_memory_faults "$build/moonloop" spec/soak/load.lua "$port" "$seconds" lenient \
    >"$work/client" 2>&1 &
  client=$!
  sleep 0.3
  memory "$probability" "$client"
  wait "$client"
  status=$?
  tail -n 1 "$work/client"
  # A script may end with a memory error of its own; it may not crash, nor take a wrong answer.
  [ "$status" -le 1 ] || wrong "memory faults of probability $probability ended the client with $status"
  ! grep '^wrong' "$work/client" || wrong "the client, whose memory fails"
  recovered "faults of the client"
done
stop
exit "$failed"
