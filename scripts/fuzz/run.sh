#!/bin/bash
# Runs the fuzzers of build/fuzz one after the other: scripts/fuzz/run.sh [SECONDS [NAME...]], e.g. run.sh 3600 json cron.
# SECONDS is for each (10); without names, all of them. What they find goes to build/fuzz, and what they learn to
# build/corpus, where the next run begins. Prints for each the executions, the CPU seconds and the corpus.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
seconds=${1:-10}
[ $# = 0 ] || shift
names=("$@")
if [ $# = 0 ]; then
  mapfile -t names < <(find build/fuzz -maxdepth 1 -name '*_fuzz' -printf '%f\n' | sed 's/_fuzz$//' | sort)
fi

status=0
for name in "${names[@]}"; do
  fuzzer=build/fuzz/${name}_fuzz corpus=build/corpus/$name dict=spec/fuzz/$name.dict
  [ -x "$fuzzer" ] || {
    echo "scripts/fuzz/run.sh: there is no $fuzzer: build it (CONTRIBUTING.md), or see spec/fuzz for the names" >&2
    exit 2
  }
  mkdir -p "$corpus"
  [ -e "$dict" ] || dict=
  TIMEFORMAT=%U
  if cpu=$({ time "$fuzzer" ${dict:+-dict="$dict"} -max_total_time="$seconds" -timeout=10 -print_final_stats=1 \
    -artifact_prefix=build/fuzz/ "$corpus" "spec/fuzz/corpus/$name" >"$corpus.log" 2>&1; } 2>&1); then
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$corpus.log")
    echo "${name}_fuzz: $runs runs in $cpu CPU seconds, $(find "$corpus" -type f | wc -l) inputs"
  else
    tail -n 100 "$corpus.log"
    echo "${name}_fuzz: found something after $cpu CPU seconds (above, and in $corpus.log)"
    status=1
  fi
done
exit $status
