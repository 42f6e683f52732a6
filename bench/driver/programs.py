"""The microbenchmarks: programs that print `name<TAB>value<TAB>unit` for each measure."""
import os
import subprocess

from . import machine
from .metrics import COLUMNS, Metric
from .processes import Failed
from .results import Result

PATIENCE = 30  # seconds for one program
UNITS = {"s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "bytes": 1}


class Program:
    """What the programs of this key print; `measures` is [(name, title, unit of the figure)].

    `pinned` programs have one CPU, the others all. `seconds` is about what one takes; `rounds` are those
    of the full mode, and the quick one has one.
    """

    def __init__(self, key, measures, pinned, seconds, rounds=3):
        self.key, self._pinned, self._seconds, self._rounds = key, pinned, seconds, rounds
        self._metrics = [(title, Metric(name, title, unit)) for name, title, unit in measures]

    def settings(self, quick):
        """The number of rounds."""
        return 1 if quick else self._rounds

    def servers(self, peers):
        """The peers that have such a program."""
        return [peer for peer in peers if self.key in peer.programs]

    def estimate(self, peers, quick):
        """Seconds that it takes when nothing is repeated."""
        return len(self.servers(peers)) * self._seconds * self.settings(quick)

    def run(self, bench, spare):
        """[Result], one for each measure."""
        commands = {peer.name: peer.programs[self.key] for peer in self.servers(bench.peers)}
        found = bench.rounds.run(list(commands), self.settings(bench.quick),
                                 lambda name: self._once(bench.processes, name, commands[name]), spare)
        return [Result(title, metric, [metric] + [None] * (len(COLUMNS) - 1), found)
                for title, metric in self._metrics]

    def _once(self, processes, name, command):
        cpus = {machine.cpus()[0]} if self._pinned else os.sched_getaffinity(0)
        program = processes.start(f"{self.key}-{name}", command, cpus, output=subprocess.PIPE)
        values = {}
        for line in processes.finish(program, PATIENCE).splitlines():
            fields = line.split("\t")
            if len(fields) != 3 or fields[2] not in UNITS:
                raise Failed(f"it printed {line[:100]!r}")
            values[fields[0]] = float(fields[1]) * UNITS[fields[2]]
        return values


PROGRAMS = [
    Program("executor", [
        ("round_trip", "executor: no-op, there and back", "s"),
        ("at_once", "executor: 20,000 no-ops at once, each", "s"),
        ("numbers", "executor: 131,072 numbers there and back", "s"),
        ("bytes", "executor: 1 MB of bytes there and back", "s"),
        ("sort_alone", "sort of 100,000 numbers, 8 times, one after the other", "s"),
        ("sort_pool", "executor: the same 8 sorts on two workers", "s"),
    ], pinned=False, seconds=3),
    Program("tasks", [
        ("switch", "tasks: switch, among 100 that take turns", "s"),
        ("spawn_await", "tasks: spawn one and wait for it", "s"),
        ("gather", "tasks: gather of 10,000 sleeps of 10 ms", "s"),
        ("sleepers", "tasks: memory of one that sleeps, of 100,000", "B"),
    ], pinned=True, seconds=1.5),
    Program("echo", [
        ("message", "TCP: a message of 1 kB sent back, 64 connections, CPU", "s"),
    ], pinned=False, seconds=2.5),
    Program("process", [
        ("small", "program: /bin/true, started and waited for", "s"),
        ("large", "program: the same, with a heap of 500 MB", "s"),
    ], pinned=False, seconds=3),
    Program("start", [("start", "start of an empty program", "s")], pinned=True, seconds=0.5),
]
