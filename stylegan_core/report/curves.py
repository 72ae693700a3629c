"""Charts of loss curves and figures over frames as inline SVG, coloured by the page's style sheet."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

from stylegan_core.report.figures import describe

WIDTH_PX, HEIGHT_PX = 560, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 18, 42
_MOST_POINTS = 400
_SMOOTH_FROM = 80
_COLOURS = 8
_BETTER = {"higher": "higher is better", "lower": "lower is better", "one": "1 is best", "": ""}


@dataclass(frozen=True)
class Series:
    """One line of a chart: ``x`` ascending, no NaN.

    Attributes:
        name: in the legend.
        x: positions.
        y: values.
        colour: index of its colour; None is its index among the lines.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    colour: int | None = None


@dataclass(frozen=True)
class Mark:
    """A vertical line with a label, e.g. a key frame."""

    x: float
    label: str


@dataclass(frozen=True)
class Chart:
    """A chart, ready for the page.

    Attributes:
        title: heading.
        note: plain words below it, or "".
        svg: the drawing, escaped.
        legend: (CSS class of the colour, name, last value as text) of each line.
    """

    title: str
    note: str
    svg: str
    legend: tuple[tuple[str, str, str], ...]


def read_columns(path: Path) -> dict[str, list[float | None]]:
    """Numeric columns of a CSV file; empty, NaN and infinite cells are None; columns of text are omitted.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns: dict[str, list[float | None]] = {}
    for name in rows[0] if rows else ():
        cells = [_number(row.get(name)) for row in rows]
        if any(cell is not None for cell in cells):
            columns[name] = cells
    return columns


def series_of(columns: Mapping[str, list[float | None]], x: str) -> list[Series]:
    """A line for each column, over column ``x``; rows where either is missing are omitted."""
    found = []
    for name, cells in columns.items():
        points = [(a, b) for a, b in zip(columns.get(x, []), cells, strict=True) if a is not None and b is not None]
        if name != x and points:
            points.sort(key=lambda point: point[0])
            found.append(Series(name, tuple(p[0] for p in points), tuple(p[1] for p in points)))
    return found


def training_charts(path: Path, *, kept_step: float | None = None) -> list[Chart]:
    """Charts of a training's curves: one for each group of losses, and one for each validation metric.

    Args:
        path: CSV with a column ``step`` and columns such as ``loss/generator/l1`` and ``validation/psnr_db``.
        kept_step: marked in the validation charts, where the weights of another step than the last are used.

    Raises:
        OSError: the file cannot be read.
    """
    groups: dict[str, list[Series]] = {}
    for series in series_of(read_columns(path), "step"):
        group, _, name = series.name.rpartition("/")
        # Metrics differ in unit: each has its own chart, while the terms of one objective share one.
        key = series.name if group == "validation" else group
        groups.setdefault(key, []).append(Series(name, series.x, series.y))
    groups.pop("validation/collapsed", None)  # the page shows a sentence instead
    if sum(key.startswith("validation/") for key in groups) > 1:
        groups.pop("validation/score", None)  # the criterion for the best weights equals or combines the others
    charts = []
    marks = [] if kept_step is None else [Mark(kept_step, "kept")]
    for key, lines in sorted(groups.items(), key=lambda item: _chart_order(item[0])):
        group, _, name = key.partition("/")
        if group == "validation":
            metric = describe(f"truth/{name}")
            title = f"Validation: {metric.title}" + ("" if metric.unit == "1" else f", {metric.unit}")
            named = [replace(line, name=metric.title) for line in lines]
            charts.append(chart(title, named, x_label="step", note=_BETTER[metric.better], marks=marks))
        elif group == "loss":
            title, note = f"{name or 'training'} losses".capitalize(), "each term as weighted in the objective"
            charts.append(chart(title, lines, x_label="step", note=note))
        else:
            charts.append(chart(key.replace("_", " ").replace("/", ", ").capitalize(), lines, x_label="step"))
    return charts


def _chart_order(key: str) -> tuple[int, str]:
    order = ("loss/generator", "loss/discriminator", "loss", "validation")
    return next((i for i, start in enumerate(order) if key.startswith(start)), len(order)), key


def chart(title: str, lines: Sequence[Series], *, x_label: str, note: str = "", marks: Sequence[Mark] = ()) -> Chart:
    """Draws lines over one pair of axes; long lines are smoothed, with the raw values faint behind.

    Raises:
        ValueError: there is no line.
    """
    if not lines:
        raise ValueError("a chart needs at least one line")
    lines = [_thinned(line) for line in lines]
    smooth = [_smoothed(line) if len(line.y) >= _SMOOTH_FROM else line for line in lines]
    axes = _Axes.around(lines, smooth)
    parts = [*axes.drawn(x_label), *(part for mark in marks for part in axes.marked(mark))]
    legend = []
    for i, (line, eased) in enumerate(zip(lines, smooth, strict=True)):
        colour = f"c{(i if line.colour is None else line.colour) % _COLOURS}"
        if eased is not line:
            parts.append(f'<polyline class="raw {colour}" points="{axes.points(line)}"/>')
        parts.append(f'<polyline class="line {colour}" points="{axes.points(eased)}"/>')
        if len(line.x) == 1:
            x, y = axes.points(line).split(",")
            parts.append(f'<circle class="dot {colour}" cx="{x}" cy="{y}" r="3.5"/>')
        legend.append((colour, line.name.replace("_", " "), f"{eased.y[-1]:.3g}"))
    ranges = ",".join(f"{v:.8g}" for v in (axes.x_low, axes.x_high, axes.y_low, axes.y_high))
    head = (
        f'<svg class="chart" viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" role="img" aria-label="{escape(title)}" '
        f'data-box="{_LEFT},{WIDTH_PX - _RIGHT},{HEIGHT_PX - _BOTTOM},{_TOP}" data-ranges="{ranges}">'
    )
    return Chart(title, note, head + "".join(parts) + "</svg>", tuple(legend))


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round values, steps of 1, 2 or 5 times a power of ten, from at most ``low`` to at least ``high``."""
    if high - low <= 1e-9 * abs(low):  # means of equal values differ by rounding
        pad = abs(low) * 0.1 or 1.0
        low, high = low - pad, high + pad
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [i * step for i in range(first, last + 1)]


def tick_texts(values: Sequence[float]) -> list[str]:
    """The values with as many decimals as their step needs, without a negative zero."""
    step = values[1] - values[0] if len(values) > 1 else 1.0
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return [f"{v if abs(v) > step / 2 else 0.0:,.{decimals}f}" for v in values]


@dataclass(frozen=True)
class _Axes:
    """Maps values to positions in the drawing."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float
    x_ticks: tuple[float, ...]
    y_ticks: tuple[float, ...]

    @classmethod
    def around(cls, lines: Sequence[Series], smooth: Sequence[Series]) -> _Axes:
        """Axes that contain all of the smooth lines and all but the extreme two percent of the raw values."""
        x_low, x_high = min(s.x[0] for s in lines), max(s.x[-1] for s in lines)
        raw = sorted(v for s in lines for v in s.y)
        eased = [v for s in smooth for v in s.y]
        spread = len(raw) // 50
        y_ticks = ticks(min(raw[spread], *eased, raw[-1]), max(raw[-1 - spread], *eased, raw[0]), 5)
        x_ticks = ticks(x_low, x_high, 6)
        return cls(x_low, max(x_high, x_low + 1.0), y_ticks[0], y_ticks[-1], tuple(x_ticks), tuple(y_ticks))

    def across(self, x: float) -> float:
        return _LEFT + (x - self.x_low) / (self.x_high - self.x_low) * (WIDTH_PX - _LEFT - _RIGHT)

    def down(self, y: float) -> float:
        inside = min(max((y - self.y_low) / (self.y_high - self.y_low), 0.0), 1.0)
        return HEIGHT_PX - _BOTTOM - inside * (HEIGHT_PX - _TOP - _BOTTOM)

    def points(self, line: Series) -> str:
        return " ".join(f"{self.across(x):.1f},{self.down(y):.1f}" for x, y in zip(line.x, line.y, strict=True))

    def drawn(self, x_label: str) -> list[str]:
        foot, end = HEIGHT_PX - _BOTTOM, WIDTH_PX - _RIGHT
        parts = []
        for y, text in zip(self.y_ticks, tick_texts(self.y_ticks), strict=True):
            at = f"{self.down(y):.1f}"
            parts.append(f'<line class="grid" x1="{_LEFT}" x2="{end}" y1="{at}" y2="{at}"/>')
            parts.append(f'<text x="{_LEFT - 8}" y="{self.down(y) + 4:.1f}" text-anchor="end">{text}</text>')
        for x, text in zip(self.x_ticks, tick_texts(self.x_ticks), strict=True):
            if self.x_low <= x <= self.x_high:
                parts.append(f'<text x="{self.across(x):.1f}" y="{foot + 18}" text-anchor="middle">{text}</text>')
        parts.append(f'<line class="axis" x1="{_LEFT}" x2="{end}" y1="{foot}" y2="{foot}"/>')
        middle = (_LEFT + end) // 2
        parts.append(f'<text x="{middle}" y="{HEIGHT_PX - 6}" text-anchor="middle">{escape(x_label)}</text>')
        return parts

    def marked(self, mark: Mark) -> list[str]:
        if not self.x_low <= mark.x <= self.x_high:
            return []
        at = self.across(mark.x)
        anchor, text_at = ("end", at - 4) if at > WIDTH_PX - 90 else ("start", at + 4)
        return [
            f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{HEIGHT_PX - _BOTTOM}"/>',
            f'<text class="marked" x="{text_at:.1f}" y="{_TOP - 5}" text-anchor="{anchor}">{escape(mark.label)}</text>',
        ]


def _number(cell: str | None) -> float | None:
    try:
        value = float(cell or "nan")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _thinned(line: Series) -> Series:
    """At most ``_MOST_POINTS`` points, each the mean of consecutive ones."""
    size = math.ceil(len(line.x) / _MOST_POINTS)
    if size == 1:
        return line
    starts = range(0, len(line.x), size)
    x, y = (tuple(_mean(values[i : i + size]) for i in starts) for values in (line.x, line.y))
    return replace(line, x=x, y=y)


def _smoothed(line: Series) -> Series:
    """The mean over a window of about a twentieth of the line, centred, so that nothing moves."""
    half = max(1, len(line.y) // 40)
    means = tuple(_mean(line.y[max(0, i - half) : i + half + 1]) for i in range(len(line.y)))
    return replace(line, y=means)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
