#!/bin/bash
# Builds the fuzzers as OSS-Fuzz and ClusterFuzzLite want it (google.github.io/oss-fuzz): with $CC, $CXX, $CFLAGS and
# $LIB_FUZZING_ENGINE, into $OUT: each fuzzer, its seeds as NAME_seed_corpus.zip, its dictionary, and in $OUT/lib the
# libraries that it loads. $WORK is for the build. Their base image runs it after scripts/setup.sh; at home:
#
#   CC=clang CXX=clang++ CFLAGS='-g -O1 -fsanitize=address,fuzzer-no-link' LIB_FUZZING_ENGINE=-fsanitize=fuzzer \
#     OUT=/tmp/out WORK=/tmp/work scripts/fuzz/oss-fuzz.sh
#
# FUZZERS="json_fuzz cron_fuzz" builds those alone.
set -euo pipefail
cd "$(dirname "$0")/../.."

for name in CC CXX LIB_FUZZING_ENGINE OUT; do
  [ -n "${!name:-}" ] || {
    echo "scripts/fuzz/oss-fuzz.sh: \$$name is not set (see the head of the file)" >&2
    exit 2
  }
done
work=${WORK:-build}/oss-fuzz
mkdir -p "$work" "$OUT/lib"
read -r -a fuzzers <<<"${FUZZERS:-fuzzers}"

# CMake takes $CC, $CXX, $CFLAGS and $CXXFLAGS itself.
# Old tags: the libraries of libraries are looked for there, too.
# shellcheck disable=SC2016 # $ORIGIN is for the loader
cmake -S . -B "$work" -Wno-dev -DCMAKE_BUILD_TYPE=None -DMOONLOOP_FUZZ=ON -DMOONLOOP_DOCS=OFF \
  -DMOONLOOP_FUZZ_ENGINE="$LIB_FUZZING_ENGINE" -DCMAKE_INSTALL_RPATH='$ORIGIN/lib' \
  -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON -DCMAKE_EXE_LINKER_FLAGS=-Wl,--disable-new-dtags >"$work/log" || {
  cat "$work/log" >&2
  exit 1
}
cmake --build "$work" -j "$(nproc)" --target "${fuzzers[@]}" >>"$work/log" 2>&1 || {
  tail -n 50 "$work/log" >&2
  exit 1
}

# Where the fuzzers run, there is only a C library.
copy_needed() {
  ldd "$1" | awk '$3 ~ /^\// && $3 !~ /\/lib(c|m|pthread|dl|rt)\.so/ { print $3 }' |
    xargs -r cp -L -t "$OUT/lib/"
}
# These are loaded when they are needed.
for library in libpcre2-8.so.0 libcrypto.so.3 libssl.so.3 libnghttp2.so.14 libsqlite3.so.0 libpq.so.5; do
  path=$(ldconfig -p | awk -v name="$library" '$1 == name && !n++ { print $NF }')
  [ -n "$path" ] || continue
  cp -L "$path" "$OUT/lib/"
  copy_needed "$path"
done
for fuzzer in "$work"/*_fuzz; do
  name=${fuzzer##*/}
  cp "$fuzzer" "$OUT/"
  copy_needed "$fuzzer"
  seeds=spec/fuzz/corpus/${name%_fuzz} dict=spec/fuzz/${name%_fuzz}.dict
  (cd "$seeds" && python3 -m zipfile -c "$OUT/${name}_seed_corpus.zip" ./*)
  [ ! -e "$dict" ] || cp "$dict" "$OUT/$name.dict"
done
echo "scripts/fuzz/oss-fuzz.sh: $(find "$OUT" -maxdepth 1 -name '*_fuzz' | wc -l) fuzzers in $OUT"
