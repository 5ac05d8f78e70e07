"""A heat map of an objective over two parameters, as inline SVG. Pure text."""

from collections.abc import Callable, Sequence
from html import escape
from itertools import pairwise
from statistics import fmean
from typing import Any

from app.optimize.study import Row

AXIS_MAX = 30
"""More values than this on an axis are joined into so many groups of neighbours."""
_LABELS_MAX = 12
_LEFT, _TOP, _BOTTOM, _WIDTH = 64, 8, 54, 640


def heat_map(
    rows: Sequence[Row], x: str, y: str, *, higher_is_better: bool, form: Callable[[float], str]
) -> str:
    """Return the map of the mean score at each pair of values; empty where nothing has a score.

    `form` words a score.
    """
    scored = [row for row in rows if row.score is not None]
    columns, lines = _groups(rows, x), _groups(rows, y)
    if not scored or len(columns) < 2 or len(lines) < 2:
        return ""
    cells: dict[tuple[int, int], list[float]] = {}
    for row in scored:
        place = (_place(columns, row.parameters[x]), _place(lines, row.parameters[y]))
        cells.setdefault(place, []).append(row.score or 0.0)
    means = {place: fmean(values) for place, values in cells.items()}
    low, high = min(means.values()), max(means.values())
    side = (_WIDTH - _LEFT) / len(columns)
    tall = min(side, max(18.0, 420 / len(lines)))
    height = _TOP + tall * len(lines) + _BOTTOM
    label = escape(f"Heat map over {x} and {y}")
    parts = [f'<svg class="heat" viewBox="0 0 {_WIDTH} {height:.0f}" role="img" aria-label="{label}">']
    for (column, line), mean in sorted(means.items()):
        share = (mean - low) / (high - low) if high > low else 0.5
        left, top = _LEFT + column * side, _TOP + (len(lines) - 1 - line) * tall
        tip = f"{x} {_label(columns[column])}, {y} {_label(lines[line])}: {form(mean)}"
        parts.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{side - 1:.1f}" height="{tall - 1:.1f}" '
            f'fill="{_colour(share if higher_is_better else 1 - share)}"><title>{escape(tip)}</title></rect>'
        )
        if side >= 44 and tall >= 16:
            ink = "#111" if (share if higher_is_better else 1 - share) > 0.55 else "#fff"
            parts.append(
                f'<text class="in" x="{left + side / 2:.1f}" y="{top + tall / 2 + 4:.1f}" '
                f'style="fill:{ink}">{escape(form(mean))}</text>'
            )
    parts += _axis(columns, lines, x, y, side, tall, height)
    return "".join([*parts, "</svg>"])


def _axis(
    columns: Sequence[Sequence[Any]],
    lines: Sequence[Sequence[Any]],
    x: str,
    y: str,
    side: float,
    tall: float,
    height: float,
) -> list[str]:
    parts = []
    every_x, every_y = -(-len(columns) // _LABELS_MAX), -(-len(lines) // _LABELS_MAX)
    for index in range(0, len(columns), every_x):
        middle = _LEFT + (index + 0.5) * side
        text = escape(_label(columns[index]))
        parts.append(f'<text class="mid" x="{middle:.1f}" y="{height - 34:.0f}">{text}</text>')
    for index in range(0, len(lines), every_y):
        middle = _TOP + (len(lines) - 1 - index + 0.5) * tall + 4
        text = escape(_label(lines[index]))
        parts.append(f'<text class="end" x="{_LEFT - 6}" y="{middle:.1f}">{text}</text>')
    centre = _TOP + tall * len(lines) / 2
    parts.append(
        f'<text class="mid name" x="{(_WIDTH + _LEFT) / 2:.0f}" y="{height - 6:.0f}">{escape(x)}</text>'
    )
    parts.append(
        f'<text class="mid name" transform="translate(12 {centre:.0f}) rotate(-90)">{escape(y)}</text>'
    )
    return parts


def _groups(rows: Sequence[Row], name: str) -> list[list[Any]]:
    """Return the values of a parameter in order, joined into at most `AXIS_MAX` groups."""
    values = list({row.parameters[name]: None for row in rows if name in row.parameters})
    if all(isinstance(value, int | float) for value in values):
        values.sort()
    count = min(len(values), AXIS_MAX)
    bounds = [index * len(values) // count for index in range(count + 1)] if count else [0]
    return [values[first:last] for first, last in pairwise(bounds)]


def _place(groups: Sequence[Sequence[Any]], value: Any) -> int:
    return next(index for index, group in enumerate(groups) if value in group)


def _label(group: Sequence[Any]) -> str:
    first, last = group[0], group[-1]
    return _shown(first) if first == last else f"{_shown(first)}–{_shown(last)}"


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


_STOPS = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
"""Dark violet to bright yellow: even in brightness, and told apart by the colour-blind."""


def _colour(share: float) -> str:
    at = max(0.0, min(1.0, share)) * (len(_STOPS) - 1)
    index = min(int(at), len(_STOPS) - 2)
    part = at - index
    mixed = (round(a + (b - a) * part) for a, b in zip(_STOPS[index], _STOPS[index + 1], strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed)
