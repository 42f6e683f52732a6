#!/bin/bash
# Which lines of the host the fuzzers reach: scripts/fuzz/coverage.sh. Builds them in build/fuzz-coverage with clang's
# coverage of source code, gives each the inputs of spec/fuzz/corpus and build/corpus, and prints a table of the files
# of host/ that they enter, the readers' sum, and that of all of host/. Readers, marked with an r, are the files whose
# headers the fuzzers in C include, and those that share their name. build/fuzz-coverage/report has it line by line.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=build/fuzz-coverage
llvm=$(clang --version | sed -n 's/.*clang version \([0-9]*\).*/\1/p;T;q')
tool() { command -v "$1-$llvm" || command -v "$1"; }
profdata=$(tool llvm-profdata) cov=$(tool llvm-cov) || {
  echo "scripts/fuzz/coverage.sh: llvm-profdata and llvm-cov are needed (the package llvm)" >&2
  exit 2
}

mkdir -p $build
{
  cmake -S . -B $build -Wno-dev -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=None -DMOONLOOP_FUZZ=ON \
    -DMOONLOOP_FUZZ_COVERAGE=ON -DMOONLOOP_DOCS=OFF && cmake --build $build -j "$(nproc)" --target fuzzers
} >$build/log 2>&1 || {
  tail -n 50 $build/log >&2
  exit 1
}
rm -rf $build/raw
objects=()
for fuzzer in "$build"/*_fuzz; do
  name=${fuzzer##*/}
  name=${name%_fuzz}
  corpora=("spec/fuzz/corpus/$name")
  [ ! -d "build/corpus/$name" ] || corpora+=("build/corpus/$name")
  LLVM_PROFILE_FILE=$build/raw/$name.profraw "$fuzzer" -runs=0 "${corpora[@]}" >$build/log 2>&1 || {
    tail -n 50 $build/log >&2
    exit 1
  }
  objects+=(${objects[0]:+-object} "$fuzzer") # the first is the program, the others are more of it
done
$profdata merge -sparse -o $build/all.profdata $build/raw/*.profraw
$cov show "${objects[@]}" host -instr-profile=$build/all.profdata -format=html -output-dir=$build/report >/dev/null
$cov export "${objects[@]}" host -instr-profile=$build/all.profdata -summary-only >$build/summary.json
python3 - $build/summary.json <<'PY'
import glob, json, os, re, sys

# Not what the fuzzers are about: what they stand on.
BELOW = re.compile("core/|base/(buffer|container_of|utf8)|net/(byte_stream|dial)|http/server/http_server")
named = set()
for path in glob.glob("spec/fuzz/*_fuzz.c"):
    named.update(re.findall(r'#include "(\w+/[\w/]+)\.[ch]"', open(path).read()))
named = {name for name in named if not BELOW.match(name)}


def is_reader(name):
    stem = name[len("host/"):].rsplit(".", 1)[0]
    return any(stem == one or stem.startswith(one + "_") for one in named)


files = json.load(open(sys.argv[1]))["data"][0]["files"]
read = covered = lines = total = 0
of_readers = [0, 0]
for f in sorted(files, key=lambda f: f["filename"]):
    name = os.path.relpath(f["filename"])
    if not name.startswith("host/"):
        continue
    count = f["summary"]["lines"]
    total += count["count"]
    covered += count["covered"]
    if is_reader(name):
        of_readers[0] += count["covered"]
        of_readers[1] += count["count"]
    if f["summary"]["functions"]["covered"] == 0:
        continue  # no fuzzer is about this one
    lines += count["count"]
    read += count["covered"]
    print("%5.1f %%  %4d of %4d  %s %s"
          % (count["percent"], count["covered"], count["count"], "r" if is_reader(name) else " ", name))
print("%.1f %% of the %d lines of readers" % (100 * of_readers[0] / of_readers[1], of_readers[1]))
print("%.1f %% of the %d lines of files that a fuzzer enters, %.1f %% of all %d of host/"
      % (100 * read / lines, lines, 100 * covered / total, total))
PY
