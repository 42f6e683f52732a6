#!/bin/bash
# How long /plaintext takes while one connection hammers a route that computes: whole, and with
# slice = 0.002, on the same single-threaded server. The server is pinned to CPU 0, wrk to CPU 1.
# Usage: bench/hog.sh [ROUNDS [SECONDS [N]]]     N: of fib(N), which is what the route computes
set -e -o pipefail
cd "$(dirname "$0")/.."
rounds=${1:-3} seconds=${2:-5} n=${3:-28}
binary=build/release/moonloop
log=$(mktemp)
taskset -c 0 $binary serve bench/hog_app.lua --port 0 --block-limit 0 >"$log" &
server=$!
trap 'kill $server; rm -f "$log"' EXIT
for _ in $(seq 100); do
  url=$(grep -o 'http://[0-9.:]*' "$log") && break
  sleep 0.05
done

drive() { taskset -c 1 wrk -t1 --timeout 20s --latency "$@"; }

report() { # report LABEL < wrk's output
  awk -v label="$1" '/50%|99%/ { p[$1] = $2 } /Latency  / { max = $4 } /Requests\/sec/ { rps = $2 }
    END { printf "%-24s %9.0f requests/s   p50 %-9s p99 %-9s max %s\n", label, rps, p["50%"], p["99%"], max }'
}

for _ in $(seq "$rounds"); do
  drive -c1 -d2s "$url/hog?n=$n" | report "hog alone"
  drive -c8 -d"${seconds}s" "$url/plaintext" | report "quiet"
  for route in sliced hog; do
    drive -c1 -d"$((seconds + 2))s" "$url/$route?n=$n" >"$log.hog" &
    hog=$!
    sleep 1
    drive -c8 -d"${seconds}s" "$url/plaintext" | report "beside /$route"
    wait $hog
    report "  /$route itself" <"$log.hog"
  done
done
rm -f "$log.hog"
