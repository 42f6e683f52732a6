"""The SVG: a panel for each row of the table, all on one logarithmic scale of ratios to moonloop.

Colours follow the reader's light or dark theme, and the background is left to the page.
"""
import math
from xml.sax.saxutils import escape

from . import machine
from .results import Figure

WIDTH, COLUMNS, MARGIN, GAP = 1180, 2, 20, 30
PANEL = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GAP) / COLUMNS
LINE, HEAD, FOOT = 15, 22, 20  # heights: a bar, a panel's title, what is below the bars
NAMES, VALUES = 128, 118  # widths beside the bars: before and after them

STYLE = """
text { font: 11px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 12px }
.big { font-weight: 600; font-size: 17px }
.faint { fill: #6e7781 }
.scale { fill: #6e7781; font-size: 8.5px }
.ours { fill: #0969da }
.more { fill: #8c959f }
.less { fill: #d4761b }
.rule { stroke: #0969da; stroke-width: 1 }
.grid { stroke: #8c959f; stroke-opacity: .25; stroke-width: 1 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .faint, .scale { fill: #8d96a0 }
  .ours { fill: #58a6ff }
  .more { fill: #6e7681 }
  .less { fill: #e3913c }
  .rule { stroke: #58a6ff }
}
"""


class Scale:
    """A logarithmic axis: from `low` at `left` to `high` at `right`."""

    def __init__(self, values, left, right):
        self.low = 10 ** math.floor(math.log10(min(values, default=1)))
        self.high = 10 ** math.ceil(math.log10(max(values, default=1)))
        if self.low == self.high:
            self.high *= 10
        self._left, self._right = left, right

    def x(self, value):
        """Where a value is."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self._left + share * (self._right - self._left)

    def decades(self):
        """The powers of ten on it."""
        value = self.low
        while value <= self.high * 1.001:
            yield value
            value *= 10


def _text(x, y, words, kind="", anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>\n'


def _bar(start, end, y, kind):
    left, width = min(start, end), max(abs(end - start), 1.5)
    return f'<rect x="{left:.1f}" y="{y + 2:.1f}" width="{width:.1f}" height="{LINE - 4}" rx="1.5" class="{kind}"/>\n'


def _rule(x, top, bottom, kind):
    return f'<line x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}" class="{kind}"/>\n'


class Panel:
    """One result as bars: the names, a bar each from `base` on the scale, and the values in words.

    `bars` is [(name, value on the scale or None, words)].
    """

    def __init__(self, title, bars, base):
        self._title, self._bars, self._base = title, bars, base

    def height(self):
        """Its height in pixels."""
        return HEAD + LINE * len(self._bars) + FOOT

    def values(self):
        """What the scale has to have room for."""
        return [self._base] + [value for _, value, _ in self._bars if value]

    def draw(self, left, top, scale_of):
        """Its elements; `scale_of(left, right)` makes the scale."""
        scale = scale_of(left + NAMES, left + PANEL - VALUES)
        bottom = top + HEAD + LINE * len(self._bars)
        out = _text(left, top + 14, self._title, "title")
        for decade in scale.decades():
            out += _rule(scale.x(decade), top + HEAD, bottom, "grid")
            out += _text(scale.x(decade), bottom + 9, f"{decade:g}", "scale", "middle")
        for i, (name, value, words) in enumerate(self._bars):
            y = top + HEAD + LINE * i
            out += _text(left + NAMES - 6, y + 11, name, "", "end")
            if value:
                ours = name.startswith("moonloop")
                kind = "ours" if ours else "more" if value >= self._base else "less"
                out += _bar(scale.x(self._base), scale.x(value), y, kind)
            out += _text(left + PANEL - VALUES + 6, y + 11, words, "" if value else "faint")
        return out + _rule(scale.x(self._base), top + HEAD - 2, bottom + 2, "rule")


def _ratio_panel(result, allow_disturbed):
    bars = []
    for name in result.series:
        figure = Figure(result, name, result.headline, allow_disturbed)
        if result.series[name].note and not result.series[name].note.startswith("failed"):
            continue  # it is not there: the table says so
        if figure.refusal == "–":
            continue
        if figure.refusal:
            bars.append((name, None, figure.refusal.split(":")[0]))
        elif name == "moonloop":
            bars.append((name, 1, figure.text))
        elif figure.ratios:
            bars.append((name, figure.ratios[0], f"{figure.text} · {figure.ratios[0]:.3g} ×"))
        else:
            bars.append((name, None, figure.text))
    what = "p99" if result.headline.key == "p99" else None
    return Panel(result.title + (f", {what}" if what else ""), bars, 1)


def _waits_panel(result, allow_disturbed):
    bars = []
    for name in result.series:
        figure = Figure(result, name, result.headline, allow_disturbed)
        words = figure.text or figure.refusal.split(":")[0]
        if figure.refusal != "–":
            bars.append((name, figure.value, words))
    return Panel(f"100 requests that wait 100 ms: {result.title}", bars, 0.1)


def _section(panels, top):
    """Lays panels out in columns of about the same height: their elements, and where they end."""
    values = [value for panel in panels for value in panel.values()]
    half = sum(panel.height() for panel in panels) / COLUMNS
    out, column, y, lowest = "", 0, top, top
    for panel in panels:
        if y - top >= half and column + 1 < COLUMNS:
            column, y = column + 1, top
        left = MARGIN + column * (PANEL + GAP)
        out += panel.draw(left, y, lambda start, end: Scale(values, start, end))
        y += panel.height()
        lowest = max(lowest, y)
    return out, lowest


def svg(findings):
    """The whole of results.svg; `findings` is a main.Findings."""
    body = _text(MARGIN, 30, "moonloop beside its peers", "big")
    body += _text(MARGIN, 48, f"{machine.today()}, {machine.describe()}", "faint")
    top = 66
    if findings.waits:
        body += _text(MARGIN, top + 10, "Seconds until the last of 100 answers (logarithmic; the line is at 0.1 s)",
                      "faint")
        part, top = _section([_waits_panel(result, findings.allow_disturbed) for result in findings.waits], top + 22)
        body += part
    if findings.results:
        body += _text(MARGIN, top + 10, "Ratios to moonloop (logarithmic; the line is moonloop): CPU a request, "
                      "where the title says no other; to the left is less, to the right more", "faint")
        panels = [_ratio_panel(result, findings.allow_disturbed) for result in findings.results
                  if len(result.series) > 1]
        part, top = _section(panels, top + 22)
        body += part
    return (f'<?xml version="1.0" encoding="UTF-8"?>\n<svg xmlns="http://www.w3.org/2000/svg" '
            f'viewBox="0 0 {WIDTH} {top:.0f}" width="{WIDTH}" height="{top:.0f}">\n'
            f"<style>{STYLE}</style>\n{body}</svg>\n")
