"""What is measured of a workload, and how a figure is written."""


class Metric:
    """`key` in the samples, `title` for people, `unit` s, B or /s."""

    def __init__(self, key, title, unit):
        self.key, self.title, self.unit = key, title, unit

    def text(self, value):
        """The value with its unit, three digits of it."""
        return UNITS[self.unit](value)


def _digits(value):
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _scaled(value, scales):
    for factor, name in scales:
        if value >= factor:
            break
    return f"{_digits(value / factor)} {name}"


UNITS = {
    "s": lambda value: _scaled(value, ((1, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))),
    "B": lambda value: _scaled(value, ((1e6, "MB"), (1e3, "kB"), (1, "B"))),
    "/s": lambda value: _digits(value),
}

CPU = Metric("cpu", "CPU a request, or one operation", "s")
RATE = Metric("rps", "requests/s, or jobs/s", "/s")
P50 = Metric("p50", "p50", "s")
P99 = Metric("p99", "p99", "s")
MEMORY = Metric("memory", "memory", "B")

COLUMNS = [CPU, RATE, P50, P99, MEMORY]
