#!/bin/bash
# Slow clients keep nobody from being served: spec/soak/slow.sh [SECONDS [CONNECTIONS [BUILD]]]
#
# slowhttptest holds CONNECTIONS (1,000) to a server of spec/soak/app.lua: heads that never end, bodies
# that come byte by byte, and responses that are hardly read; SECONDS (8) of each. Meanwhile every
# request of spec/soak/load.lua has to succeed, and not many fewer of them a second than without slow
# clients; afterwards no task is left.
set -u
cd "$(dirname "$0")/../.." || exit 1
seconds=${1:-8} connections=${2:-1000} build=${3:-build/release}
command -v slowhttptest >/dev/null || {
  echo "slowhttptest is missing (apt install slowhttptest)" >&2
  exit 1
}

work=$(mktemp -d)
server='' port='' failed=0
trap '[ -z "$server" ] || kill -TERM "$server"; wait; rm -rf "$work"' EXIT

"$build/moonloop" serve spec/soak/app.lua --port 0 --header-timeout 5 --body-timeout 5 --write-timeout 5 \
  --drain 1 >"$work/out" &
server=$!
for ((i = 0; i < 100; i++)); do
  sleep 0.1
  port=$(sed -n 's/.*:\([0-9]*\) (.*/\1/p' "$work/out")
  [ -z "$port" ] || break
done

load() { # load SECONDS: sets `rate`, requests a second
  local right status
  "$build/moonloop" spec/soak/load.lua "$port" "$1" strict >"$work/load"
  status=$?
  cat "$work/load"
  right=$(sed -n 's/^\([0-9]*\) right.*/\1/p' "$work/load")
  rate=$((${right:-0} / $1))
  return $status
}

slow() { # slow NAME PATH OPTIONS...
  local name=$1 url=http://127.0.0.1:$port$2 memory rate beside
  shift 2
  slowhttptest "$@" -c "$connections" -r "$connections" -l "$seconds" -u "$url" >"$work/slow" 2>&1 &
  local clients=$!
  sleep 1
  echo "$name: $(ss -Htn state established "sport = :$port" | wc -l) connections"
  load "$((seconds - 3))" || {
    echo "FAILED: requests beside $name"
    failed=1
  }
  beside=$rate
  memory=$(sed -n 's/^VmRSS: *//p' "/proc/$server/status")
  echo "  the server has $memory of memory"
  kill "$clients" 2>/dev/null
  wait "$clients"
  # Other programs may have the processor meanwhile: then it is no better without the slow clients.
  # Who is starved by them comes to a hundredth.
  if [ "$beside" -lt "$((alone / 10))" ] && load 3 && [ "$beside" -lt "$((rate / 10))" ]; then
    echo "FAILED: $beside requests a second beside $name, $rate alone"
    failed=1
  fi
  for ((i = 0; i < 60; i++)); do
    [ "$(curl -s "http://127.0.0.1:$port/left" | sed 's/,.*//')" != '1 tasks' ] || return
    sleep 0.5
  done
  echo "FAILED: tasks are left after $name"
  failed=1
}

echo 'no slow clients'
load 3 || failed=1
alone=$rate
slow 'slow heads' /plain -H -i 1
slow 'slow bodies' /chunks -B -i 1 -s 100000 -x 2
slow 'slow readers' /stream -X -w 1 -y 512 -n 1 -z 5
exit "$failed"
