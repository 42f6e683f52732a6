#!/bin/sh
# Makes a release of the commit that is checked out, in FOLDER (build/release-VERSION):
#
#   scripts/package/release.sh [--snapshot] [--once] [FOLDER]
#
# The source as a tarball, the program as another, the Debian packages, the list of what is in the program
# (SBOM, CycloneDX), and SHA256SUMS of all. It is built twice, in two folders and without ccache, and both
# have to be the same. --once builds once. --snapshot leaves the checks of version, CHANGELOG.md and tag out.
# doc/releasing.md is the recipe.
set -eu
cd "$(dirname "$0")/../.."

wrong() {
  printf 'release.sh: %s\n' "$1" >&2
  exit 1
}
snapshot='' times=2
while [ $# -gt 0 ]; do
  case $1 in
  --snapshot) snapshot=yes ;;
  --once) times=1 ;;
  -*) wrong "there is no option $1" ;;
  *) break ;;
  esac
  shift
done

version=$(sed -n 's/^project(moonloop VERSION \([0-9.]*\) .*/\1/p' CMakeLists.txt)
[ -n "$version" ] || wrong "CMakeLists.txt has no version"
out=${1:-build/release-$version}

if [ -z "$snapshot" ]; then
  [ -z "$(git status --porcelain)" ] || wrong "there are changes that are not committed"
  grep -Eq "^## $version, [0-9]{4}-[0-9]{2}-[0-9]{2}\$" CHANGELOG.md ||
    wrong "CHANGELOG.md has no section '## $version, YEAR-MONTH-DAY'"
  [ "$(git rev-parse -q --verify "v$version^{commit}")" = "$(git rev-parse HEAD)" ] ||
    wrong "the tag v$version is not this commit: git tag -s v$version"
fi

scripts/setup.sh
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH CCACHE_DISABLE=1 LC_ALL=C TZ=UTC
umask 022
mkdir -p "$out"
out=$(cd "$out" && pwd)
deps=$PWD/.deps
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

name=moonloop-$version
git archive --format=tar --prefix="$name/" HEAD | gzip -9n >"$work/$name.tar.gz"

# build FOLDER RESULTS: from the tarball, as others will.
build() (
  mkdir -p "$1" "$2"
  tar -xzf "$work/$name.tar.gz" -C "$1"
  cd "$1/$name"
  cp -r "$deps" .deps
  {
    CFLAGS="-ffile-prefix-map=$PWD=." cmake --preset release -Wno-dev -DMOONLOOP_PACKAGE=ON
    cmake --build --preset release -j "$(nproc)"
    (cd build/release && cpack)
  } >"$1/log" 2>&1 || {
    tail -n 30 "$1/log" >&2
    wrong "the build failed"
  }
  machine=$(uname -m)
  mkdir "$1/$name-linux-$machine"
  strip -o "$1/$name-linux-$machine/moonloop" build/release/moonloop
  cp LICENSE CHANGELOG.md "$1/$name-linux-$machine"
  tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -C "$1" \
    -cf - "$name-linux-$machine" | gzip -9n >"$2/$name-linux-$machine.tar.gz"
  build/release/moonloop run --block-limit 0 scripts/package/sbom.lua build/release >"$2/$name.cdx.json"
  cp build/release/*.deb "$work/$name.tar.gz" "$2"
  cd "$2" && sha256sum -- * >SHA256SUMS
)

build "$work/a" "$work/results"
if [ "$times" = 2 ]; then
  build "$work/another/folder" "$work/again"
  cmp "$work/results/SHA256SUMS" "$work/again/SHA256SUMS" || {
    diff "$work/results/SHA256SUMS" "$work/again/SHA256SUMS" >&2 || true
    [ -z "${KEEP:-}" ] || cp -r "$work" "$KEEP"
    wrong "two builds are not the same"
  }
fi
rm -f "$out"/*
cp "$work/results"/* "$out"
cat "$out/SHA256SUMS"
