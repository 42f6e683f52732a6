#!/bin/sh
# Sets up and builds: scripts/build.sh [release|debug|asan|tsan]. The result is
# build/PRESET/moonloop.
set -eu
cd "$(dirname "$0")/.."
preset=${1:-release}
scripts/setup.sh
cmake --preset "$preset" -Wno-dev >/dev/null
cmake --build --preset "$preset" -j "$(nproc 2>/dev/null || echo 2)"
