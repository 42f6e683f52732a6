"""The rows on jobs: how many that do nothing are run, and how long one that is pushed takes until it starts."""
import shutil
import subprocess

from . import machine, metrics
from .peers import BENCH, PEERS, Peer
from .processes import Failed
from .programs import Program
from .results import Result

JOBS = PEERS / "jobs"
PATIENCE = 120  # seconds for one program
UNITS = {"/s": 1, "ms": 1e-3}
KEYS = {"rate": metrics.RATE.key, "p50": metrics.P50.key, "p99": metrics.P99.key}


class Jobs(Program):
    """What the programs print: the rate of 10,000 no-ops, and p50 and p99 of 100 pushes, one after the other."""

    def __init__(self):
        super().__init__("jobs", [], pinned=True, seconds=12, rounds=2)
        self.title = "jobs: no-ops; a push until its start"

    def settings(self, quick):
        """The number of rounds; the quick mode leaves it out."""
        return 0 if quick else super().settings(quick)

    def run(self, bench, spare):
        """One Result: the time of one job, and jobs a second in the column of requests."""
        each = metrics.Metric("each", self.title, "s")
        commands = {peer.name: peer.programs[self.key] for peer in self.servers(bench.peers)}
        stores = bench.stage.stores
        found = bench.rounds.run(list(commands), self.settings(bench.quick),
                                 lambda name: self._measure(bench.processes, stores, name, commands[name]), spare)
        return [Result(self.title, each, [each, metrics.RATE, metrics.P50, metrics.P99, None], found)]

    def _measure(self, processes, stores, name, command):
        environment = {**stores.start("postgres"), **stores.start("redis"), "JOBS": "10000"}
        program = processes.start(f"{self.key}-{name}", command, {machine.cpus()[0]}, env=environment,
                                  output=subprocess.PIPE)
        values = {}
        for line in processes.finish(program, PATIENCE).splitlines():
            fields = line.split("\t")
            if len(fields) != 3 or fields[2] not in UNITS or fields[0] not in KEYS:
                raise Failed(f"it printed {line[:100]!r}")
            values[KEYS[fields[0]]] = float(fields[1]) * UNITS[fields[2]]
        return {**values, "each": 1 / values[metrics.RATE.key]}


WORKLOADS = [Jobs()]


def _npm(title, package, program, site, *others):
    node, version = shutil.which("node") or shutil.which("nodejs"), site.npm_version(package)
    missing = None
    if not node or not version or None in [site.npm_version(name) for name in others]:
        missing = f"not found: apt-get install nodejs npm; npm install --prefix bench/peers {' '.join([package, *others])}"
    return Peer(title, missing, f"{package} {version} (npm)", programs={
        "jobs": ["env", f"NODE_PATH={site.npm / 'node_modules'}", "NODE_ENV=production", node, JOBS / program]})


def on_sqlite(site):
    """moonloop, on an SQLite file."""
    return Peer("moonloop+SQLite", version="the same, with its jobs in an SQLite file", programs={
        "jobs": ["env", "-u", "DATABASE_URL", site.moonloop, "run", "--block-limit", "0", BENCH / "jobs.lua", "common"]})


FINDERS = {
    "moonloop+sqlite": on_sqlite,
    "graphile-worker": lambda site: _npm("graphile-worker", "graphile-worker", "graphile.cjs", site, "pg"),
    "pg-boss": lambda site: _npm("pg-boss", "pg-boss", "pgboss.cjs", site),
    "bullmq": lambda site: _npm("BullMQ", "bullmq", "bullmq.cjs", site, "ioredis"),
}
