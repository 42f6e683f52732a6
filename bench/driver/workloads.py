"""The loads that servers are put under, one after the other."""
import pathlib
import time

from . import load, machine, metrics
from .check import check
from .peers import Place
from .processes import Failed, free_port
from .results import Result
from .rounds import Series

WRK = pathlib.Path(__file__).resolve().parent.parent / "wrk"
OVERHEAD = 0.4  # seconds of a round beside its load
STARTING = 4  # seconds until all servers answer


class Workload:
    """One kind of load: `connections` that ask for `path` for `seconds`, in `rounds`.

    `warm` seconds come before the first round. With `hog`, a path, one more connection asks for that
    all the time, and what counts is the p99 of the others. With `both`, the server has both cores. `quick`
    is (rounds, seconds, warm) of the quick mode, or None when it leaves this out. `only` names the servers,
    or is None for all. With `tls`, the servers speak it; `handshakes`, "full" or "resumed", makes new connections
    one after the other, each with one request. `store` is "postgres" or "redis" where the answers come from there.
    """

    def __init__(self, key, title, path, connections, rounds, seconds, warm=0, script=None, hog=None, both=False,
                 quick=None, only=None, store=None, tls=False, handshakes=None):
        self.key, self.title, self.path, self.connections = key, title, path, connections
        self.rounds, self.seconds, self.warm, self.quick = rounds, seconds, warm, quick
        self.script, self.hog, self.both, self.only, self.store = script and WRK / script, hog, both, only, store
        self.tls, self.handshakes = tls, handshakes and Handshakes(handshakes)
        self.headline = metrics.P99 if both else metrics.CPU
        self.columns = [None, *metrics.COLUMNS[1:]] if both else metrics.COLUMNS
        if handshakes:
            self.columns = [metrics.CPU, metrics.RATE, None, None, metrics.MEMORY]

    def settings(self, quick):
        """(rounds, seconds, warm), or None when the quick mode leaves it out."""
        return self.quick if quick else (self.rounds, self.seconds, self.warm)

    def servers(self, peers):
        """Those of the peers that are measured under this load."""
        if self.store:
            return [peer for peer in peers if self.store in peer.stores]
        return [peer for peer in peers if peer.serve and (self.only is None or peer.name in self.only)
                and (peer.rows is None or self.key in peer.rows)]

    def serve(self, peer):
        """The function that gives a peer's command, or a text: why it has none."""
        return peer.stores[self.store] if self.store else peer.serve

    def prove(self, stage, server):
        """Failed when the server that is up does not answer as it must."""
        stage.processes.wait_for(server.process, server.port, self.tls)
        for path in (self.path, self.hog):
            if path:
                check(server.port, path, stage.stores, self.tls)

    def warm_up(self, stage, server, seconds):
        """Puts the server under the load for so long. What fails now will fail when it is measured."""
        try:
            self.measure(stage, server, seconds)
        except Failed:
            pass

    def measure(self, stage, server, seconds):
        """One round: {metric: value}."""
        return stage.measure(server, self, seconds)

    def estimate(self, peers, quick):
        """Seconds that it takes when nothing is repeated."""
        rounds, seconds, warm = self.settings(quick)
        extra = OVERHEAD + (0.5 if self.hog else 0) + (1 if self.connections > 1000 else 0)
        return STARTING + len(self.servers(peers)) * (warm + rounds * (seconds + extra))

    def run(self, bench, spare):
        """[Result]: the servers are all up meanwhile and take turns."""
        count, seconds, warm = self.settings(bench.quick)
        stage = bench.stage
        if self.handshakes:
            self.handshakes.program = stage.tls_load()
        if self.store:
            stage.stores.start(self.store)
        servers, notes = stage.start_servers(self.servers(bench.peers), self)
        try:
            if warm:
                for server in servers.values():
                    self.warm_up(stage, server, warm)
            found = bench.rounds.run(list(servers), count,
                                     lambda name: self.measure(stage, servers[name], seconds), spare)
        finally:
            stage.stop_servers(servers)
        found.update({name: Series(note) for name, note in notes.items()})
        return [Result(self.title, self.headline, self.columns, found)]


class Handshakes:
    """New TLS connections as a load: their `kind`, and the `program` that makes them."""

    def __init__(self, kind):
        self.kind, self.program = kind, None


class Server:
    """A peer that is up."""

    def __init__(self, process, port):
        self.process, self.port = process, port


class Stage:
    """Servers on one CPU, or both, and their load on the other."""

    def __init__(self, processes, site, stores):
        self.processes, self._site, self.stores = processes, site, stores
        self._server_cpu, self.load_cpu = machine.cpus()
        self._upstream = None

    def upstream(self):
        """The URL of what /fanout asks, which moonloop serves beside the load."""
        if not self._upstream:
            port = free_port()
            upstream = self._site.moonloop
            process = self.processes.start(
                "upstream", [upstream, "serve", WRK.parent / "upstream.lua", "--port", port], [self.load_cpu])
            self.processes.wait_for(process, port)
            self._upstream = f"http://127.0.0.1:{port}"
        return self._upstream

    def tls_load(self):
        """The program that makes new TLS connections. Failed when it cannot be built."""
        program = self._site.tls_load()
        if not program:
            raise Failed("bench/tls_load.c cannot be built: apt-get install libssl-dev")
        return program

    def _certificate(self):
        pair = self._site.certificate()
        if not pair:
            raise Failed("there is no certificate: apt-get install openssl")
        return pair

    def start_servers(self, peers, workload):
        """Starts them all, and lets each prove itself: ({name: Server}, {name: note})."""
        cpus = {self._server_cpu, self.load_cpu} if workload.both else {self._server_cpu}
        upstream = self.upstream() if workload.path == "/fanout" else "http://127.0.0.1:9"
        tls = self._certificate() if workload.tls else None
        servers, notes = {}, {}
        for peer in peers:
            port = free_port()
            serve = workload.serve(peer)
            known = self.stores.environment(workload.store) if workload.store else {}
            if isinstance(serve, str):
                notes[peer.name] = serve
                continue
            command, env = serve(Place(port, len(cpus), upstream, known.get("REDIS_SOCKET"), tls))
            if tls:
                env = {**env, "TLS_CERT": str(tls[0]), "TLS_KEY": str(tls[1])}
            env = {**env, **known, "PORT": str(port), "UPSTREAM": upstream}
            process = self.processes.start(f"{workload.key}-{peer.name}", command, cpus, env)
            servers[peer.name] = Server(process, port)
        for name, server in list(servers.items()):
            try:
                workload.prove(self, server)
            except Failed as problem:
                notes[name] = f"failed: {problem}"
                self.processes.stop(servers.pop(name).process)
        return servers, notes

    def stop_servers(self, servers):
        """Ends them."""
        for server in servers.values():
            self.processes.stop(server.process)

    def measure(self, server, workload, seconds):
        """One round: {metric: value}."""
        hog = None
        if workload.hog:
            hog = load.start_wrk(self.processes, self.load_cpu, server.port, workload, seconds + 5,
                                 path=workload.hog, connections=1)
            time.sleep(0.3)  # it is computing then
        try:
            return self._measure(server, workload, seconds)
        finally:
            if hog:
                self.processes.stop(hog)

    def pids(self, server):
        """The server's processes; Failed when it has ended."""
        if server.process.poll() is not None:
            raise Failed(f"the server has ended: {self.processes.last_words(server.process)}")
        return machine.tree(server.process.pid)

    def _measure(self, server, workload, seconds):
        pids = self.pids(server)
        before = machine.cpu_seconds(pids)
        wrk = load.start_wrk(self.processes, self.load_cpu, server.port, workload, seconds)
        time.sleep(seconds * 0.7)
        memory = machine.memory(pids)
        found = load.read_wrk(self.processes, wrk, seconds)
        values = {**{key: found[key] for key in ("rps", "p50", "p99") if key in found}, "memory": memory}
        if not workload.both:  # most of the CPU would be the hog's
            values[metrics.CPU.key] = (machine.cpu_seconds(pids) - before) / found["requests"]
        return values


def _stored(key, title, path, store, rounds=2, quick=None):
    """A row that TechEmpower has."""
    return Workload(key, title, path, 64, rounds, 1, warm=1, quick=quick, store=store)


FIB = "fib?n=30"
WITH_OFFLOAD = ["moonloop", "Node", "Fastify", "Bun", "Deno", "FastAPI", "Go"]


WITH_TLS = ["moonloop", "nginx+Lua", "Node", "Bun", "Go"]


def _secure(key, title, path, connections, **more):
    """A row over TLS."""
    return Workload(key, title, path, connections, 3, 1, warm=1, only=WITH_TLS, tls=True, **more)


def _beside(key, title, hog=None, only=None):
    """/plaintext on both cores, beside a hog."""
    return Workload(key, title, "/plaintext", 8, 3, 1, hog=hog, both=True, only=only)


WORKLOADS = [
    Workload("plaintext", "plaintext", "/plaintext", 64, 5, 1, warm=1, quick=(2, 1, 1)),
    Workload("json", "JSON", "/json", 64, 5, 1, warm=1),
    Workload("query", "path and query", "/users/42?q=hello", 64, 3, 1, warm=1),
    Workload("post", "POST of 100 integers", "/sum", 64, 3, 1, warm=1, script="sum.lua"),
    Workload("order", "validated POST of an order of 1.4 kB", "/order", 64, 3, 1, warm=1, script="order.lua",
             only=["moonloop", "Fastify", "Elysia", "FastAPI"]),
    Workload("order-plain", "the same POST, decoded and not validated", "/order/plain", 64, 3, 1, warm=1,
             script="order.lua", only=["moonloop"]),
    Workload("fanout", "fan-out: 3 requests to an upstream that takes 20 ms", "/fanout", 256, 3, 1, warm=1),
    Workload("sleep100", "wait of 100 ms, 100 connections", "/sleep", 100, 3, 1),
    Workload("sleep1000", "wait of 100 ms, 1,000 connections", "/sleep", 1000, 3, 1, quick=(2, 1, 0)),
    Workload("sleep10000", "wait of 100 ms, 10,000 connections", "/sleep", 10000, 3, 3),
    Workload("upload", "upload of 10 MB", "/upload", 2, 3, 1, warm=1, script="upload.lua"),
    Workload("download", "10 MB streamed down", "/download", 2, 3, 1, warm=1),
    _secure("tls", "plaintext over TLS, kept connections", "/plaintext", 64),
    _secure("tls-full", "new TLS connections, full handshakes", "/plaintext", 1, handshakes="full", quick=(1, 1, 0)),
    _secure("tls-resumed", "new TLS connections, resumed", "/plaintext", 1, handshakes="resumed"),
    _secure("tls-download", "10 MB streamed down over TLS", "/download", 2),
    _beside("hog", "plaintext beside a hog: handler computes fib(30)", "/" + FIB),
    _beside("hog-offload", "plaintext beside a hog that is offloaded", "/offload/" + FIB, WITH_OFFLOAD),
    _beside("hog-slice", "plaintext beside a hog in slices of 2 ms", "/sliced/" + FIB, ["moonloop"]),
    _beside("no-hog", "plaintext without the hog, to compare", only=["moonloop"]),
    _stored("db", "PostgreSQL: a row", "/db", "postgres", rounds=3),
    _stored("queries", "PostgreSQL: 20 queries", "/queries?n=20", "postgres"),
    _stored("fortunes", "PostgreSQL: fortunes", "/fortunes", "postgres", rounds=3, quick=(1, 1, 0)),
    _stored("updates", "PostgreSQL: 20 rows read and updated", "/updates?n=20", "postgres"),
    _stored("cached", "Redis: 20 cached rows", "/cached?n=20", "redis"),
]
