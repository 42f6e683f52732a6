#!/bin/bash
# Runs the fuzzers of build/fuzz one after the other: scripts/fuzz/run.sh [SECONDS [NAME...]], e.g. run.sh 3600 json cron.
# SECONDS is for each (10); without names, all of them. What they find goes to build/fuzz, and what they learn to
# build/corpus, where the next run begins. Prints for each the executions, the CPU seconds and the corpus, and at its end
# what was found, each with its input. FUZZ_SEED=N begins with the same random numbers each time.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
seconds=${1:-10}
[ $# = 0 ] || shift
names=("$@")
if [ $# = 0 ]; then
  mapfile -t names < <(find build/fuzz -maxdepth 1 -name '*_fuzz' -printf '%f\n' | sed 's/_fuzz$//' | sort)
fi

# digest NAME: what its fuzzer found, in a few lines: the reason, the first frames of ours, the input in base64.
digest() {
  echo "${1}_fuzz:"
  grep -aE 'ERROR: |runtime error: |SUMMARY: |^fuzz: |ALARM: |Base64: ' "build/corpus/$1.log" | cut -c1-1000 | head -n 8
  grep -aE '^ +#[0-9]+ .*/(host|bindings|spec)/' "build/corpus/$1.log" | head -n 4
}

found=()
for name in "${names[@]}"; do
  fuzzer=build/fuzz/${name}_fuzz corpus=build/corpus/$name dict=spec/fuzz/$name.dict
  [ -x "$fuzzer" ] || {
    echo "scripts/fuzz/run.sh: there is no $fuzzer: build it (CONTRIBUTING.md), or see spec/fuzz for the names" >&2
    exit 2
  }
  mkdir -p "$corpus"
  [ -e "$dict" ] || dict=
  TIMEFORMAT=%U
  # 25 seconds for an input, as OSS-Fuzz has it: a machine that does other things, too, is slow at times.
  options=(-max_total_time="$seconds" -timeout=25 -print_final_stats=1 -artifact_prefix=build/fuzz/
    ${dict:+-dict="$dict"} ${FUZZ_SEED:+-seed="$FUZZ_SEED"})
  if cpu=$({ time "$fuzzer" "${options[@]}" "$corpus" "spec/fuzz/corpus/$name" >"$corpus.log" 2>&1; } 2>&1); then
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$corpus.log")
    echo "${name}_fuzz: $runs runs in $cpu CPU seconds, $(find "$corpus" -type f | wc -l) inputs"
  else
    tail -n 100 "$corpus.log"
    echo "${name}_fuzz: found something after $cpu CPU seconds (above, and in $corpus.log)"
    found+=("$name")
  fi
done
for name in "${found[@]+"${found[@]}"}"; do digest "$name"; done
[ "${#found[@]}" = 0 ]
