#!/bin/sh
# Sets up, builds and passes the tests. Arguments go to `moonloop test`: files, folders, and
# busted's options.
set -eu
cd "$(dirname "$0")/.."
scripts/build.sh
exec build/release/moonloop test "$@"
