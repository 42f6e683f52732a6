#!/bin/sh
# Sets up and builds: scripts/build.sh [release|debug|asan|tsan [TARGET]]. The result is
# build/PRESET/moonloop; the target `specs` is that and what the specs need beside it. Says one line;
# what the compiler says is shown where it fails, and is in build/PRESET/build.log.
set -eu
cd "$(dirname "$0")/.."

usage='usage: scripts/build.sh [release|debug|asan|tsan [TARGET]]'
wrong() {
  printf '%s\n' "scripts/build.sh: $1" "$usage" >&2
  exit 2
}
preset=${1:-release} target=${2:-all}
case $preset in
release | debug | asan | tsan) ;;
-h | --help)
  echo "$usage"
  exit 0
  ;;
*) wrong "there is no build called '$preset'" ;;
esac
[ $# -le 2 ] || wrong "one build and one target, please; '$3' is too many"

scripts/setup.sh
if [ -e "build/$preset/moonloop" ]; then note=''; else note=' (a minute or two the first time)'; fi
echo "moonloop: building build/$preset/moonloop$note"
mkdir -p "build/$preset"
log=build/$preset/build.log
quietly() {
  "$@" >"$log" 2>&1 || {
    grep -Ev '^\[ *[0-9]+%\]|^-- ' "$log" >&2 || true
    echo "moonloop: the build failed (all of it: $log)" >&2
    exit 1
  }
}
quietly cmake --preset "$preset" -Wno-dev "-DMOONLOOP_DOCS=${MOONLOOP_DOCS:-ON}"
quietly cmake --build --preset "$preset" --target "$target" -j "$(nproc 2>/dev/null || echo 2)"
