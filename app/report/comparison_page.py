"""Two runs side by side as one HTML page: both equity curves in one chart, figures, differences."""

from html import escape

import numpy as np

from app.replay.comparing import named_input
from app.report import html
from app.report.axes import TimeAxis
from app.report.building import Material
from app.report.charts import Line, chart
from app.report.comparison import SideBySide
from app.report.facts import Series
from app.report.html import Signed
from app.report.lines import NONE, SECTIONS, changed, shown
from app.report.page import drawdown_chart, header, share_text

_BUCKETS = 300


def render(told: SideBySide, first: Material, second: Material) -> str:
    """Return the page."""
    body = [
        _decisions(told),
        html.section("Over time", _charts(told, first, second)),
        html.section("Figures", _figures(told)),
        html.section("What the runs do not share", _differing(told)),
    ]
    heads = f'<div class="cards"><div class="card">{header(first.report)}</div>'
    heads += f'<div class="card">{header(second.report)}</div></div>'
    return html.page(
        f"Runs {told.first} and {told.second}", f"<h1>Two runs side by side</h1>{heads}", "".join(body)
    )


def _charts(told: SideBySide, first: Material, second: Material) -> str:
    pairs = ((told.first, "main", first), (told.second, "other", second))
    times = [part for _, _, m in pairs for part in (m.equity.known().times, m.hours())]
    axis = TimeAxis(times, first.facts.zone())
    both = [(name, style, m.equity.known().held(m.facts.last_ts)) for name, style, m in pairs]
    grown = [Line(growth(series), style, name) for name, style, series in both]
    return chart(
        "Equity, change since the start", axis, grown, form=share_text, buckets=_BUCKETS, reach=(0.0, 0.0)
    ) + drawdown_chart(both, axis, _BUCKETS)


def growth(equity: Series) -> Series:
    """Return equity as its change since the first value; nothing if that is not positive."""
    if not len(equity.values) or equity.values[0] <= 0:
        return Series(equity.times[:0], equity.values[:0])
    return Series(equity.times, np.asarray(equity.values / equity.values[0] - 1))


def _figures(told: SideBySide) -> str:
    found = {figure.key: figure for figure in told.figures}
    rows = []
    for section in SECTIONS[1:]:
        for line in section.lines:
            figure = found[line.key]
            change = changed(line.key, figure.change)
            rows.append(
                (
                    line.label,
                    shown(line.key, figure.first),
                    shown(line.key, figure.second),
                    Signed(change) if line.key in {"net_profit", "return", "end_equity"} else change,
                )
            )
    return html.table(["figure", told.first, told.second, "difference"], rows)


def _differing(told: SideBySide) -> str:
    rows = [(item.what, item.first or NONE, item.second or NONE) for item in told.differing]
    if not rows:
        return "<p>Nothing: the same market data, strategies, parameters and assumptions.</p>"
    return html.table(["", told.first, told.second], rows, left=(0, 1, 2))


def _decisions(told: SideBySide) -> str:
    one, other = told.decisions.decisions
    if told.decisions.difference is None:
        return f"<p>Both runs decide alike: {one:,} decisions.</p>"
    part = told.decisions.difference
    places = f"{named_input(part.first_at)} and {named_input(part.second_at)}"
    return (
        f'<p class="note"><b>{one:,} and {other:,} decisions, and they part.</b> '
        f"{escape(part.text[:600])} <span class='soft'>Made at {escape(places)}.</span></p>"
    )
