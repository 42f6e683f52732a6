"""bench/run: reads its options, goes through the plan, and writes the report."""
import argparse
import os
import pathlib
import shutil
import signal
import sys
import time
import traceback

from . import chart, data_peers, jobs, live, live_peers, machine, report, stores
from .peers import BENCH, Site
from .processes import Processes
from .programs import PROGRAMS
from .rounds import Rounds, Series
from .tutorial import Tutorial
from .workloads import WORKLOADS, Stage

FULL_LIMIT, QUICK_LIMIT = 24.5 * 60, 2.8 * 60  # seconds
CONNECTIONS = 10000
SPARE_FILES = 1000


class Findings:
    """All that the report needs: how it was measured, the peers, [Result] of the waits and the others."""

    def __init__(self, quick, disturbance, allow_disturbed, peers):
        self.quick, self.disturbance, self.allow_disturbed, self.peers = quick, disturbance, allow_disturbed, peers
        self.waits, self.results, self.notes, self.seconds = [], [], [], 0


class Bench:
    """What a workload works with."""

    def __init__(self, quick, peers, processes, stage, rounds):
        self.quick, self.peers, self.processes, self.stage, self.rounds = quick, peers, processes, stage, rounds


def _options(arguments):
    parser = argparse.ArgumentParser(
        prog="bench/run", description="Measures moonloop against what one would use instead, and writes results.md "
        "and results.svg. Run it on a machine that does nothing else. bench/README.md explains it.")
    parser.add_argument("--quick", action="store_true",
                        help="a few workloads with short rounds: under 3 minutes instead of under 25")
    parser.add_argument("--out", metavar="FOLDER", type=pathlib.Path,
                        help="where the report goes; else bench/, and build/bench/quick/ with --quick")
    parser.add_argument("--only", metavar="KEYS", help="these workloads, with commas; --list shows them")
    parser.add_argument("--peers", metavar="NAMES", help="these peers, with commas")
    parser.add_argument("--moonloop", metavar="FILE", type=pathlib.Path,
                        default=BENCH.parent / "build" / "release" / "moonloop", help="build/release/moonloop")
    parser.add_argument("--npm", metavar="FOLDER", type=pathlib.Path,
                        default=os.environ.get("BENCH_NPM") or BENCH / "peers",
                        help="the folder whose node_modules has Bun, Deno, Fastify and its drivers: $BENCH_NPM, else bench/peers")
    parser.add_argument("--disturbance", metavar="CPUS", type=float, default=0.1,
                        help="a round during which others use more than that is run again (0.1 of one core)")
    parser.add_argument("--allow-disturbed", action="store_true",
                        help="prints figures of disturbed rounds all the same, marked as such")
    parser.add_argument("--list", action="store_true", help="shows the workloads and the peers, and what is missing")
    return parser.parse_args(arguments)


def _plan(only, quick, site):
    plan = [Tutorial(site), *WORKLOADS, *live.WORKLOADS, *jobs.WORKLOADS, *PROGRAMS]
    if only:
        keys = only.split(",")
        unknown = set(keys) - {item.key for item in plan}
        if unknown:
            raise SystemExit(f"bench/run: no such workload: {', '.join(sorted(unknown))}; there are "
                             f"{', '.join(item.key for item in plan)}")
        plan = [item for item in plan if item.key in keys]
    return [item for item in plan if item.settings(quick)]


def _list(plan, peers):
    for item in plan:
        print(f"{item.key:12} {getattr(item, 'title', '')}")
    for peer in peers:
        print(f"{peer.name:12} {peer.missing or peer.version}")
    for store in ("postgres", "redis"):
        print(f"{store:12} {stores.missing(store) or stores.version(store)}")


def _log(line):
    print(line, flush=True)


def _run(plan, peers, options, findings, site, scratch, began):
    """Goes through the plan within its time, which has `began`, in time.monotonic's seconds."""
    limit = QUICK_LIMIT if options.quick else FULL_LIMIT
    present = [peer for peer in peers if not peer.missing]
    rounds = Rounds(options.disturbance, began + limit, lambda line: _log(f"  {line}"))
    with Processes(scratch) as processes, stores.Stores(processes, machine.cpus()[1]) as servers:
        bench = Bench(options.quick, present, processes, Stage(processes, site, servers), rounds)
        for i, item in enumerate(plan):
            spare = sum(later.estimate(present, options.quick) for later in plan[i:])
            spent = time.monotonic() - began
            _log(f"{spent:5.0f} s  {item.key} ({spare:.0f} s to go)")
            if spent + item.estimate(present, options.quick) > limit:
                findings.notes.append(f"not measured, as the time was over: {item.key}")
                continue
            try:
                results = item.run(bench, spare)
            except Exception as problem:  # whatever it is, the other workloads are measured
                traceback.print_exc()
                findings.notes.append(f"not measured: {item.key}: {problem!r}")
                continue
            if isinstance(item, Tutorial):
                findings.waits = results
            else:
                _add_missing(results, item, peers)
                findings.results += results
    findings.seconds = time.monotonic() - began


def _add_missing(results, item, peers):
    """A missing server has its line in the table, too."""
    for result in results:
        for peer in peers:
            could = peer.missing and peer in item.servers(peers)
            if could and peer.name not in result.series:
                result.series[peer.name] = Series("missing")


def _write(findings, folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.md").write_text(report.markdown(findings))
    (folder / "results.svg").write_text(chart.svg(findings))
    _log(f"written: {folder / 'results.md'}, {folder / 'results.svg'}")


def main(arguments):
    """Runs the benchmark; gives the exit status."""
    began = time.monotonic()
    options = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    if not options.moonloop.exists():
        return f"bench/run: there is no {options.moonloop}: scripts/build.sh makes it"
    scratch = BENCH.parent / "build" / "bench"
    scratch.mkdir(parents=True, exist_ok=True)
    site = Site(options.moonloop.resolve(), options.npm.resolve(), scratch)
    peers = site.peers(options.peers.split(",") if options.peers else None, {**data_peers.FINDERS, **live_peers.FINDERS, **jobs.FINDERS})
    plan = _plan(options.only, options.quick, site)
    if options.list:
        _list(plan, peers)
        return 0
    if any(item in WORKLOADS for item in plan) and not shutil.which("wrk"):
        return "bench/run: wrk, which makes the load, is missing: apt-get install wrk"
    findings = Findings(options.quick, options.disturbance, options.allow_disturbed, peers)
    if not machine.allow_files(CONNECTIONS + SPARE_FILES):
        plan = [item for item in plan if getattr(item, "connections", 0) < CONNECTIONS]
        findings.notes.append("the rows with 10,000 connections were left out: the limit of open files is below "
                              f"{CONNECTIONS + SPARE_FILES}")
    for store in dict.fromkeys(item.store for item in plan if getattr(item, "store", None)):
        reason = stores.missing(store)
        findings.notes.append(reason or stores.version(store))
        if reason:
            plan = [item for item in plan if getattr(item, "store", None) != store]
    for item in [item for item in plan if isinstance(item, live.Live)]:
        reason = item.prepare(site)
        if reason:
            findings.notes.append(f"{item.key} was left out: {reason}")
            plan.remove(item)
    out = options.out or (scratch / "quick" if options.quick else BENCH)
    _run(plan, peers, options, findings, site, scratch, began)
    _write(findings, out)
    return 0
