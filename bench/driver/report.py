"""The Markdown: what was measured where, the comparison of the three ways to wait, and the table."""
from . import machine
from .metrics import COLUMNS
from .results import Figure
from .tutorial import REQUESTS, WAYS


def _cell(figure):
    if figure.refusal:
        return figure.refusal
    if not figure.ratios:
        return figure.text
    middle, lowest, highest = (_ratio(value) for value in figure.ratios)
    spread = f" ({lowest}–{highest})" if figure.rounds > 1 else ""
    return f"{figure.text} · **{middle}**{spread}"


def _ratio(value):
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def _row(cells):
    return "| " + " | ".join(cells) + " |\n"


def _head(titles):
    return _row(titles) + "|" + "---|" * len(titles) + "\n"


def _waits(results, allow_disturbed):
    names = list(results[0].series)
    text = f"## {REQUESTS} requests at once to a route that waits 100 ms\n\n"
    text += "Seconds until the last answer, and the ratio to moonloop as one process.\n\n"
    text += _head(["the route", *names])
    for result, way in zip(results, WAYS):
        cells = [_cell(Figure(result, name, result.headline, allow_disturbed)) for name in names]
        text += _row([f"{result.title}: {way.words}", *cells])
    return text + "\n"


def _table(results, allow_disturbed):
    text = "## Servers, tasks and the executor\n\n" + _head(["", "", *(column.title for column in COLUMNS)])
    for result in results:
        title = f"**{result.title}**"
        for name in result.series:
            cells = []
            for column in result.columns:
                cells.append(_cell(Figure(result, name, column, allow_disturbed)) if column else "")
            if result.series[name].note:  # said once
                first = next(i for i, cell in enumerate(cells) if cell)
                cells = [cell if i == first else "" for i, cell in enumerate(cells)]
            text += _row([title, name, *cells])
            title = ""
    return text + "\n"


def markdown(findings):
    """The whole of results.md; `findings` is a main.Findings."""
    mode = "the quick mode" if findings.quick else "the full mode"
    text = f"""# What moonloop costs beside its peers

{machine.today()}, {machine.describe()}; `bench/run`, {mode}, {findings.seconds / 60:.0f} minutes.

"""
    text += "![the ratios as a chart](results.svg)\n\n"
    if findings.waits:
        text += _waits(findings.waits, findings.allow_disturbed)
    if findings.results:
        text += _table(findings.results, findings.allow_disturbed)
    text += f"""Figures are medians over rounds in which the servers take turns. After the dot stands, in bold, the ratio to
moonloop's figure of the same round, with the lowest and the highest of the rounds: for CPU, times and memory above 1 is
more than moonloop needs, for requests/s below 1 is less than moonloop does. A server has one core (both beside a hog,
and in the first table), its load another. CPU is user and system time of all the server's processes; memory is what they
hold under the load, shared pages counted once. "disturbed": other programs, or other machines on the same hardware,
took more than {findings.disturbance:g} of a core during a round, however often it was tried.
[README.md](README.md) says what each row does.

## Versions

"""
    for peer in findings.peers:
        text += f"- {peer.name}: {peer.missing or peer.version}\n"
    for note in findings.notes:
        text += f"- {note}\n"
    return text
