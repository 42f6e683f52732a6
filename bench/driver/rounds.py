"""Interleaved rounds: the servers take turns, and a round that was disturbed is run again."""
import statistics
import time

from .machine import Watch
from .processes import Failed

ATTEMPTS = 3  # for each round
PAUSE = 0.5  # seconds between two of them


class Sample:
    """What one round gave: `values` by metric, and what disturbed it, or None."""

    def __init__(self, values, disturbance):
        self.values, self.disturbance = values, disturbance


class Series:
    """The rounds of one server in one workload: samples in order; `note` says why there are none."""

    def __init__(self, note=None):
        self.samples, self.note = [], note

    def has(self, metric):
        """Was this measured at all?"""
        return not self.note and any(metric in sample.values for sample in self.samples)

    def disturbed(self):
        """Was a round disturbed, however often it was tried?"""
        return any(sample.disturbance for sample in self.samples)

    def median(self, metric):
        """The median of the rounds."""
        return statistics.median(sample.values[metric] for sample in self.samples)

    def ratios(self, metric, base):
        """The ratios to the same rounds of another series: their median, lowest and highest."""
        pairs = zip(self.samples, base.samples)
        each = [ours.values[metric] / theirs.values[metric] for ours, theirs in pairs]
        return statistics.median(each), min(each), max(each)


class Rounds:
    """How rounds are run and judged."""

    def __init__(self, limit, deadline, log):
        """`limit`, in CPUs, is what others may use or steal; `deadline` is when time is over, in
        time.monotonic's seconds; `log` takes a line."""
        self._limit, self._deadline, self._log = limit, deadline, log

    def _judge(self, watch):
        if watch.foreign > self._limit:
            return f"others used {watch.foreign:.2f} CPUs"
        if watch.steal > self._limit:
            return f"{watch.steal:.2f} CPUs were stolen"
        return None

    def _round(self, name, measure, spare):
        """A sample without disturbance, or the last one after all attempts; Failed when that failed."""
        for attempt in range(1, ATTEMPTS + 1):
            sample, failure = None, None
            with Watch() as watch:
                try:
                    values = measure(name)
                except Failed as problem:
                    failure = problem
            if not failure:
                sample = Sample(values, self._judge(watch))
                if not sample.disturbance:
                    return sample
            self._log(f"{name}: {failure or sample.disturbance}")
            if attempt == ATTEMPTS or time.monotonic() + spare > self._deadline:
                break
            time.sleep(PAUSE)
        if failure:
            raise failure
        return sample

    def run(self, names, count, measure, spare=0):
        """`count` rounds of measure(name) -> {metric: value} for each name in turn: {name: Series}.

        `spare` seconds before the deadline nothing is repeated any more: what is still to come needs
        them. After the deadline nothing is begun. A name that fails is out, and its series says why.
        """
        found = {name: Series() for name in names}
        for _ in range(count):
            for name, series in found.items():
                if series.note:
                    continue
                if time.monotonic() > self._deadline:
                    series.note = None if series.samples else "the time was over"
                    continue
                try:
                    series.samples.append(self._round(name, measure, spare))
                except Failed as problem:
                    series.note = f"failed: {problem}"
        return found
