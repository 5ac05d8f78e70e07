"""Charts as inline SVG that stretches to any width; labels are HTML beside it and keep their size.

Lines and dots have a fixed thickness whatever the stretch. No script, no font, no request. Buys are round and
sells square, so that colour is not needed to tell them apart. Text is escaped.
"""

from collections.abc import Callable, Sequence
from html import escape

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.report.axes import WIDTH, TimeAxis, ValueAxis
from app.report.facts import Series
from app.report.thinning import thinned

_HEIGHT = 100.0


class Line(msgspec.Struct, frozen=True):
    """A line: its values, the class that gives it its colour, and its name in the legend."""

    series: Series
    style: str
    name: str = ""
    area: bool = False
    """Whether what lies between the line and 0 is filled."""
    broken: bool = False
    """Whether the line stops where time is closed up."""


class Dots(msgspec.Struct, frozen=True):
    """Points such as fills: `style` is `buy` or `sell`."""

    series: Series
    style: str
    name: str


def chart(
    title: str,
    axis: TimeAxis,
    lines: Sequence[Line],
    dots: Sequence[Dots] = (),
    *,
    form: Callable[[float, int], str],
    note: str = "",
    buckets: int = 300,
    size: str = "",
    reach: tuple[float, float] | None = None,
) -> str:
    """Return a figure with title, legend and chart; `form` words a value of the axis with its decimals.

    `reach` are values that the axis must hold.
    """
    drawn = [line for line in lines if len(line.series.times)]
    if not drawn:
        return ""
    shown = [*(line.series for line in drawn), *(dot.series for dot in dots)]
    values = [series.values for series in shown if len(series.values)]
    low, high = min(float(v.min()) for v in values), max(float(v.max()) for v in values)
    if reach is not None:
        low, high = min(low, reach[0]), max(high, reach[1])
    scale = ValueAxis(low, high)
    paths = "".join(_line(line, axis, scale, buckets) for line in drawn)
    paths += "".join(_dots(dot, axis, scale, buckets) for dot in dots if len(dot.series.times))
    ticks, decimals = scale.ticks(3 if size == "low" else 5), scale.decimals()
    heights = scale.places(np.array(ticks)) if ticks else np.array([])
    grid = "".join(f"M0 {y * _HEIGHT:.2f}H{WIDTH:.0f}" for y in heights)
    marks = axis.labels()
    grid += "".join(f"M{mark.place * WIDTH:.1f} 0V{_HEIGHT:.0f}" for mark in marks)
    left = "".join(
        f'<span style="top:{y * 100:.2f}%">{escape(form(v, decimals))}</span>'
        for v, y in zip(ticks, heights, strict=True)
    )
    below = "".join(f'<span style="left:{m.place * 100:.2f}%">{escape(m.text)}</span>' for m in marks)
    described = f"{title}: {form(low, decimals)} to {form(high, decimals)}. {note}".strip()
    return (
        f'<figure class="chart {size}"><figcaption>{escape(title)}{_legend(drawn, dots)}'
        f"{f'<small>{escape(note)}</small>' if note else ''}</figcaption>"
        f'<div class="plot"><div class="y" aria-hidden="true">{left}</div>'
        f'<svg viewBox="0 0 {WIDTH:.0f} {_HEIGHT:.0f}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(described)}"><path class="grid" d="{grid}"/>{paths}</svg>'
        f'<div class="x" aria-hidden="true">{below}</div></div></figure>'
    )


def _legend(lines: Sequence[Line], dots: Sequence[Dots]) -> str:
    named = [(line.style, line.name, "") for line in lines if line.name]
    named += [(dot.style, dot.name, " dot") for dot in dots if len(dot.series.times)]
    items = "".join(f'<span class="key {style}{kind}">{escape(name)}</span>' for style, name, kind in named)
    return f'<span class="legend">{items}</span>' if items else ""


def _line(line: Line, axis: TimeAxis, scale: ValueAxis, buckets: int) -> str:
    x, y, times = _points(line.series, axis, scale, buckets)
    breaks = np.flatnonzero(np.diff(axis.segment_of(times))) + 1 if line.broken else np.array([], dtype=int)
    pieces = [_polyline(px, py) for px, py in zip(np.split(x, breaks), np.split(y, breaks), strict=True)]
    path = f'<path class="line {line.style}" d="{"".join(pieces)}"/>'
    if line.area:
        ground = float(scale.places(np.array([0.0]))[0]) * _HEIGHT
        path = f'<path class="area {line.style}" d="{pieces[0]}V{ground:.1f}H{x[0]:.1f}z"/>{path}'
    return path


def _dots(dots: Dots, axis: TimeAxis, scale: ValueAxis, buckets: int) -> str:
    x, y, _ = _points(dots.series, axis, scale, max(buckets // 4, 1))
    spots = "".join(f"M{px:.1f} {py:.1f}h0" for px, py in zip(x, y, strict=True))
    return f'<path class="dots {dots.style}" d="{spots}"/>'


def _points(
    series: Series, axis: TimeAxis, scale: ValueAxis, buckets: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    places = axis.places(series.times)
    kept = thinned(places, series.values, buckets, WIDTH)
    return places[kept], scale.places(series.values[kept]) * _HEIGHT, series.times[kept]


def _polyline(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    if len(x) == 1:
        return f"M{x[0]:.1f} {y[0]:.1f}h.1"
    points = " ".join(f"{px:.1f} {py:.1f}" for px, py in zip(x, y, strict=True))
    return f"M{points}"
