#!/bin/sh
# Sets up, builds and passes the tests. Arguments go to `moonloop test`: files, folders, and
# busted's options.
set -eu
cd "$(dirname "$0")/.."
scripts/setup.sh --test
scripts/build.sh release specs
exec build/release/moonloop test "$@"
