"""What every tutorial of asynchronous code compares: a route that waits 100 ms, asked 100 times at once."""
import os

from . import load
from .metrics import Metric
from .peers import BENCH, Site
from .processes import Failed, free_port
from .results import Result
from .rounds import Series

REQUESTS = 100
PATIENCE = 60  # seconds for all of them
SECONDS = Metric("seconds", "until the last answer", "s")

class Way:
    """One way to wait: its title, and of each of the two the path and what waits there."""

    def __init__(self, title, ours, our_words, theirs, their_words):
        self.title, self.paths = title, {"moonloop": "/wait/" + ours, "FastAPI": "/wait/" + theirs}
        self.words = f"{our_words}; {their_words}"


WAYS = [
    Way("blocks the loop", "blocking", '`os.execute "sleep 0.1"`', "blocking", "`time.sleep` in `async def`"),
    Way("offloaded", "offloaded", "`offload = true`, a thread for each core, 40 when they block", "offloaded",
        "`time.sleep` in `def`, 40 threads"),
    Way("offloaded, 40 threads each", "pool", "`ml.executor.new{threads = 40}`", "offloaded", "the same"),
    Way("async", "async", "`ml.sleep`", "async", "`asyncio.sleep`"),
]


class Contestant:
    """One column: its name, whose program it is, and the command that serves it on a port, or what it lacks."""

    def __init__(self, name, peer, command=None, missing=None):
        self.name, self.peer, self.command, self.missing = name, peer, command, missing


def contestants(site, peers):
    """moonloop and FastAPI, each as one process and as four."""
    def serve(*options):
        return lambda port: [site.moonloop, "serve", BENCH / "waits.lua", "--port", port, *options]

    fastapi = next((peer for peer in peers if peer.name == "FastAPI"), None)
    absent = fastapi.missing if fastapi else "not asked for"
    return [
        Contestant("moonloop", "moonloop", serve()),
        Contestant("FastAPI", "FastAPI", lambda port: Site.fastapi(port), absent),
        Contestant("moonloop, 4 workers", "moonloop", serve("--workers", 4)),
        Contestant("FastAPI, 4 workers", "FastAPI", lambda port: Site.fastapi(port, 4), absent),
    ]


class Tutorial:
    """The comparison, as a workload that has its own table."""

    key = "waits"

    def __init__(self, site, rounds=2):
        """`rounds` are those of the full mode; the quick one has one."""
        self._site, self._rounds = site, rounds

    def settings(self, quick):
        """The number of rounds."""
        return 1 if quick else self._rounds

    def servers(self, peers):
        """Both of them, in any case: what is missing is noted in the table."""
        return peers

    def estimate(self, peers, quick):
        """Seconds that it takes when nothing is repeated."""
        return 4 + 36 * self.settings(quick)

    def run(self, bench, spare):
        """[Result], one for each way to wait."""
        ports, notes = {}, {}
        processes = []
        everybody = contestants(self._site, bench.peers)
        for one in everybody:
            if one.missing:
                notes[one.name] = one.missing
                continue
            port = free_port()
            process = bench.processes.start(f"waits-{one.name}", one.command(port), os.sched_getaffinity(0))
            processes.append(process)
            try:
                bench.processes.wait_for(process, port)
                ports[one.name] = port
            except Failed as problem:
                notes[one.name] = f"failed: {problem}"
        results = [self._way(bench, way, everybody, ports, notes, spare) for way in WAYS]
        for process in processes:
            bench.processes.stop(process)
        return results

    def _way(self, bench, way, everybody, ports, notes, spare):
        up = {one.name: one for one in everybody if one.name in ports}

        def measure(name):
            return {SECONDS.key: load.burst(ports[name], way.paths[up[name].peer], REQUESTS, PATIENCE)}

        found = bench.rounds.run(list(up), self.settings(bench.quick), measure, spare)
        series = {one.name: found.get(one.name) or Series(notes[one.name]) for one in everybody}
        return Result(way.title, SECONDS, [SECONDS], series)
