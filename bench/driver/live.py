"""The rows on WebSockets, by bench/ws_load.c, and on HTTP/2, by h2load."""
import json
import os
import re
import select
import shutil
import subprocess
import time

from . import machine, metrics
from .check import EXPECTED
from .peers import BENCH, succeeds
from .processes import START_SECONDS, Failed
from .workloads import Workload

PATIENCE = 60  # seconds that a load may take beyond its time
SIZE = 64  # bytes of a message


class Live(Workload):
    """A row for the peers that have this protocol."""

    protocol = None

    def servers(self, peers):
        """Those of the peers that speak it."""
        return [peer for peer in peers if self.protocol in peer.protocols]

    def serve(self, peer):
        """The function that gives a peer's command."""
        return peer.protocols[self.protocol]

    def prepare(self, site):
        """Gets the load ready; gives what it lacks on this machine, or None."""
        raise NotImplementedError


class Sockets(Live):
    """WebSockets of /echo or /all that send as ws_load.c says for `way`; with "idle" they send nothing, and
    what counts is the memory of one."""

    protocol = "ws"

    def __init__(self, key, title, way, connections, rounds, seconds, warm=0, quick=None):
        path = "/all" if way == "publish" else "/echo"
        super().__init__(key, title, path, connections, rounds, seconds, warm, quick=quick)
        self._way = way
        if way == "idle":
            self.headline = metrics.MEMORY
            self.columns = [None] * (len(metrics.COLUMNS) - 1) + [metrics.MEMORY]

    def prepare(self, site):
        """Builds it."""
        self._load = site.scratch / "ws_load"
        built = succeeds("cc", "-O2", "-o", self._load, BENCH / "ws_load.c")
        return None if built else "bench/ws_load.c cannot be built: apt-get install gcc libc6-dev"

    def estimate(self, peers, quick):
        """Connecting takes a while, and a publication more than its second where the server is slow."""
        opening = self.connections / 4000 * self.settings(quick)[0]
        return super().estimate(peers, quick) + len(self.servers(peers)) * opening

    def prove(self, stage, server):
        """One message has to come back, or to reach everybody."""
        stage.processes.wait_for(server.process, server.port)
        load = self._open(stage, server, 2, 0)
        self._begin(load)
        self._finish(stage, load, 0)

    def _open(self, stage, server, connections, seconds):
        """The load with its connections open."""
        way = "echo" if self._way == "idle" else self._way
        load = stage.processes.start(
            f"ws-load-{server.port}", [self._load, server.port, self.path, connections, SIZE, seconds, way],
            [stage.load_cpu], output=subprocess.PIPE, input=subprocess.PIPE)
        ready, _, _ = select.select([load.stdout], [], [], PATIENCE)
        if not ready or os.read(load.stdout.fileno(), 3) != b"up\n":
            problem = stage.processes.last_words(load) if ready else f"took more than {PATIENCE} s"
            stage.processes.stop(load)
            raise Failed(f"{self.path}, while {connections} connect: {problem}")
        return load

    @staticmethod
    def _begin(load):
        load.stdin.write(b"\n")
        load.stdin.flush()

    @staticmethod
    def _finish(stage, load, seconds):
        """What the load found."""
        text = stage.processes.finish(load, seconds + PATIENCE)
        messages, took, p50, p99 = map(float, text.split())
        return {"messages": messages, "rps": messages / took, "p50": p50, "p99": p99}

    def measure(self, stage, server, seconds):
        """One round; a message that came counts as a request."""
        pids = stage.pids(server)
        if self._way == "idle":
            return self._memory(stage, server, pids)
        load = self._open(stage, server, self.connections, seconds)
        before = machine.cpu_seconds(pids)
        self._begin(load)
        time.sleep(seconds * 0.7)
        memory = machine.memory(pids)
        found = self._finish(stage, load, seconds)
        cpu = machine.cpu_seconds(pids) - before
        return {metrics.CPU.key: cpu / found["messages"], "rps": found["rps"], "p50": found["p50"],
                "p99": found["p99"], "memory": memory}

    def _memory(self, stage, server, pids):
        before = machine.memory(pids)
        load = self._open(stage, server, self.connections, 0)
        time.sleep(1)  # whatever follows a handshake is over
        memory = machine.memory(pids)
        stage.processes.stop(load)
        return {"memory": (memory - before) / self.connections}


def _means(got, expected):
    """Is this the expected body, or JSON of the same value?"""
    try:
        return (json.loads(got) if isinstance(expected, dict) else got) == expected
    except ValueError:
        return False


class Http2(Live):
    """GETs on 8 connections of HTTP/2 in clear, with so many streams open on each."""

    protocol = "http2"

    def __init__(self, key, title, path, streams, quick=None):
        super().__init__(key, title, path, 8, 3, 1, warm=1, quick=quick)
        self._streams = streams
        self.columns = [metrics.CPU, metrics.RATE, None, None, metrics.MEMORY]

    def prepare(self, site):
        """Looks for h2load, and nghttp to look at an answer."""
        there = shutil.which("h2load") and shutil.which("nghttp")
        return None if there else "h2load and nghttp are missing: apt-get install nghttp2-client"

    def prove(self, stage, server):
        """Asks until there is an answer."""
        stop = time.monotonic() + START_SECONDS
        url = f"http://127.0.0.1:{server.port}{self.path}"
        while True:
            stage.pids(server)
            got = subprocess.run(["nghttp", "--no-push", url], stdin=subprocess.DEVNULL, capture_output=True,
                                 timeout=START_SECONDS).stdout
            if got:
                break
            if time.monotonic() > stop:
                raise Failed(f"{self.path} did not answer in {START_SECONDS} s")
            time.sleep(0.05)
        if not _means(got, EXPECTED[self.path][2]):
            raise Failed(f"{self.path} answers {got[:100]!r}")

    def measure(self, stage, server, seconds):
        """One round."""
        pids = stage.pids(server)
        before = machine.cpu_seconds(pids)
        load = stage.processes.start(
            f"h2load-{server.port}", ["h2load", "-t1", "-c", self.connections, "-m", self._streams, "-D", seconds,
                                      f"http://127.0.0.1:{server.port}{self.path}"],
            [stage.load_cpu], output=subprocess.PIPE)
        time.sleep(seconds * 0.7)
        memory = machine.memory(pids)
        text = stage.processes.finish(load, seconds + PATIENCE)
        done = re.search(r"requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", text)
        rate = re.search(r"finished in .*, ([\d.]+) req/s", text)
        if not done or not rate or int(done[1]) == 0 or any(int(done[i]) for i in (2, 3, 4)):
            raise Failed(done[0] if done else "h2load said nothing")
        return {metrics.CPU.key: (machine.cpu_seconds(pids) - before) / int(done[1]), "rps": float(rate[1]),
                "memory": memory}


WORKLOADS = [
    Sockets("ws-echo", "WebSocket: 64 bytes sent back, 64 connections", "echo", 64, 3, 1, warm=1, quick=(1, 1, 0)),
    Sockets("ws-idle", "WebSocket: memory of an idle one, of 10,000", "idle", 10000, 1, 1),
    Sockets("ws-publish1000", "WebSocket: a message to 1,000, each delivery", "publish", 1000, 3, 1, warm=1),
    Sockets("ws-publish10000", "WebSocket: a message to 10,000, each delivery", "publish", 10000, 3, 1),
    Http2("h2-plaintext", "HTTP/2: plaintext, one stream a connection", "/plaintext", 1, quick=(1, 1, 0)),
    Http2("h2-plaintext100", "HTTP/2: plaintext, 100 streams a connection", "/plaintext", 100),
    Http2("h2-json100", "HTTP/2: JSON, 100 streams a connection", "/json", 100),
]
