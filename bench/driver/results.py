"""What was found, as the report and the chart take it."""


class Result:
    """One workload's figures: its title, the metric that counts most, the columns of the table (a metric
    or None for each of metrics.COLUMNS), and {server's name: Series}."""

    def __init__(self, title, headline, columns, series):
        self.title, self.headline, self.columns, self.series = title, headline, columns, series


class Figure:
    """One cell: the `text` of the value, the number of its `rounds`, and its ratios to moonloop's (median,
    lowest, highest), or None.

    A figure that may not be printed has a `refusal` instead.
    """

    def __init__(self, result, name, metric, allow_disturbed):
        """`allow_disturbed` prints what was disturbed all the same, and says so."""
        self.value = self.text = self.ratios = self.refusal = None
        series, base = result.series[name], result.series.get("moonloop")
        self.rounds = len(series.samples)
        if series.note:
            self.refusal = series.note
        elif not series.has(metric.key):
            self.refusal = "–"
        elif series.disturbed() and not allow_disturbed:
            self.refusal = "disturbed"
        else:
            self.value = series.median(metric.key)
            self.text = metric.text(self.value) + (" (disturbed)" if series.disturbed() else "")
            if name != "moonloop" and base and base.has(metric.key) and (allow_disturbed or not base.disturbed()):
                self.ratios = series.ratios(metric.key, base)
