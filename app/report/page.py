"""The report of a run as one HTML page under 300 kB, whatever the run's size.

Charts are thinned on purpose and keep every extreme; long tables show the best, the worst and the last rows
and say so. If a page comes out too large all the same, it is made again with less detail.
"""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from app.report import html
from app.report.axes import TimeAxis
from app.report.building import Material
from app.report.charts import Dots, Line, chart
from app.report.dealing import Group
from app.report.facts import Series
from app.report.html import Signed
from app.report.lines import SECTIONS, shown, shown_as
from app.report.metrics import underwater
from app.report.shape import Report
from app.report.tables import GROUP_COLUMNS, monthly_grid
from app.values import cell, when
from core.clock import SECOND_NS
from core.trips import RoundTrip

BYTES_MAX = 300_000
_DETAIL = (300, 200, 120, 60, 30, 10)
_CHARTS_MAX = 6
_TRADES_MAX = 60
_ENDS = 15
_GROUPS_MAX = 25
_DAYS_MAX = 30
_TILES = ("return", "net_profit", "max_drawdown", "sharpe", "trades", "win_rate")


def render(material: Material) -> str:
    """Return the page."""
    text = ""
    for buckets in _DETAIL:
        text = _render(material, buckets)
        if len(text.encode("utf-8")) < BYTES_MAX:
            break
    return text


def _render(material: Material, buckets: int) -> str:
    told = material.report
    few = buckets < _DETAIL[2]
    body = [
        html.tiles([(_label(key), _tile(key, told.figures.get(key))) for key in _TILES]),
        html.notes(told.cautions),
        _charts(material, buckets),
        _months(told),
        html.section(
            "Figures", html.cards((s.title, _lines(told, s.lines)) for s in (*SECTIONS[1:], SECTIONS[0]))
        ),
        html.section("By instrument", _groups("instrument", told.by_instrument)),
        html.section("By strategy", _groups("strategy", told.by_strategy)),
        html.section("By exit reason", _groups("reason", told.by_exit_reason)),
        html.section("Round trips", _trades(material.trips, 5 if few else _ENDS)),
        html.section("Open positions", _positions(told)),
        html.section(
            "Refused by risk rules",
            html.table(["rule", "orders"], told.refused_by_rule.items()) if told.refused_by_rule else "",
        ),
        _recorded(material, buckets),
        html.section("Assumptions", html.cards([("This run assumed", assumed(told.assumptions))])),
    ]
    return html.page(f"Run {told.run}", header(told), "".join(body))


def header(told: Report) -> str:
    """Return what run it is: its period, its strategies and their parameters."""
    parts = [f"<h1>Run {escape(told.run)}</h1>", f'<p class="soft">{escape(told.period)}</p>']
    for item in told.strategies:
        values = " ".join(f"{name}={value}" for name, value in item["parameters"].items())
        parts.append(
            f"<p><b>{escape(str(item['id']))}</b> <code>{escape(values)}</code> "
            f'<span class="soft">{escape(str(item["name"]))}, source '
            f"<code>{escape(str(item['source']))}</code>"
            "</span></p>"
        )
    if told.failed:
        parts.append(html.note(told.failed))
    return "".join(parts)


def assumed(assumptions: dict[str, Any]) -> dict[str, str]:
    """Return the assumptions in words."""
    return {
        key.replace("_", " "): ", ".join(value) if isinstance(value, list) else cell(value)
        for key, value in assumptions.items()
    }


def _label(key: str) -> str:
    return next(line.label for section in SECTIONS for line in section.lines if line.key == key)


def _tile(key: str, value: Any) -> str:
    text = shown(key, value)
    return Signed(text) if key in {"net_profit", "return"} else text


def _lines(told: Report, lines: Iterable[Any]) -> dict[str, str]:
    return {line.label: shown(line.key, told.figures.get(line.key)) for line in lines}


# -- charts ----------------------------------------------------------------------------------------


def _charts(material: Material, buckets: int) -> str:
    facts = material.facts
    equity = material.equity.known()
    names = _charted(material)
    prices = {name: facts.prices(name, buckets * 8) for name in names}
    times = [equity.times, material.hours(), *(series.times for series in prices.values())]
    axis = TimeAxis(times, facts.zone())
    held = equity.held(facts.last_ts)
    found = [equity_chart([("", "main", held)], axis, facts.currency, buckets)]
    found.append(drawdown_chart([("", "fall", held)], axis, buckets))
    for name, series in prices.items():
        bought, sold = facts.points(name, "BUY"), facts.points(name, "SELL")
        count = len(bought.times) + len(sold.times)
        found.append(
            chart(
                f"{name}",
                axis,
                [Line(series, "price", "price", broken=facts.by_tick)],
                [Dots(bought, "buy", "bought"), Dots(sold, "sell", "sold")],
                form=_number,
                note=_counted(count, buckets),
                buckets=buckets,
            )
        )
    more = len(material.report.by_instrument) - len(names)
    note = (
        f'<p class="soft">{more} more instruments were traded; the figures list them.</p>' if more > 0 else ""
    )
    return html.section("Over time", "".join(found) + note)


def _counted(fills: int, buckets: int) -> str:
    text = "1 fill" if fills == 1 else f"{fills:,} fills"
    crowded = "; where they crowd, the highest and lowest of each stretch are drawn"
    return text + (crowded if fills > buckets else "")


def equity_chart(
    lines: Sequence[tuple[str, str, Series]], axis: TimeAxis, currency: str, buckets: int
) -> str:
    """Return the chart of equity: a line for each (name, style, series)."""
    return chart(
        f"Equity, {currency}",
        axis,
        [Line(s, style, name) for name, style, s in lines],
        form=_number,
        buckets=buckets,
    )


def drawdown_chart(lines: Sequence[tuple[str, str, Series]], axis: TimeAxis, buckets: int) -> str:
    """Return the chart of how far equity is below its highest value so far."""
    drawn = [
        Line(Series(s.times, -underwater(s.values)), style, name, area=len(lines) == 1)
        for name, style, s in lines
        if len(s.times)
    ]
    return chart("Drawdown", axis, drawn, form=share_text, buckets=buckets, size="low", reach=(0.0, 0.0))


def _charted(material: Material) -> list[str]:
    ranked = sorted(material.report.by_instrument, key=lambda group: (-group.fills, group.name))
    return [group.name for group in ranked[:_CHARTS_MAX]] or material.facts.subscribed[:2]


def _recorded(material: Material, buckets: int) -> str:
    facts = material.facts
    found = facts.recorded()
    kept = list(found)[: 2 * _CHARTS_MAX]
    series = {key: facts.recorded_series(*key, buckets * 4) for key in kept}
    axis = TimeAxis([s.times for s in series.values()], facts.zone())
    drawn = "".join(
        chart(f"{name} ({strategy})", axis, [Line(s, "main")], form=_number, buckets=buckets, size="low")
        for (strategy, name), s in series.items()
    )
    more = len(found) - len(kept)
    return html.section(
        "Recorded by strategies",
        drawn + (f'<p class="soft">{more} more series: see --csv.</p>' if more else ""),
    )


def _number(value: float, decimals: int) -> str:
    text = f"{value:,.{decimals}f}"
    return text if text.strip("-0.,") else text.removeprefix("-")


def share_text(value: float, decimals: int) -> str:
    """Return a share for an axis whose labels need so many decimals."""
    text = f"{value:.{max(decimals - 2, 0)}%}"
    return text if text.strip("-0.%") else text.removeprefix("-")


# -- tables ----------------------------------------------------------------------------------------


def _months(told: Report) -> str:
    if len(told.monthly) > 1:
        heads, rows = monthly_grid(told)
        months = [abs(v) for row in rows for v in row[1:-1] if v is not None]
        return html.section("Months", html.heat(heads, rows, max(months, default=0.0)))
    days = told.daily[-_DAYS_MAX:]
    rows_ = [
        (
            d.date,
            shown_as("money", d.equity),
            Signed(shown_as("money", d.profit)),
            Signed(shown_as("share", d.change)),
            f"{d.fills:,}",
        )
        for d in days
    ]
    return html.section(
        "Days", html.table(["day", "equity", "profit", "change", "fills"], rows_) if days else ""
    )


def _groups(what: str, groups: Sequence[Group]) -> str:
    if not groups:
        return ""
    heads = [what, *(label for _, label, _ in GROUP_COLUMNS[1:-1]), "currency"]
    rows = [
        [_group_cell(key, shown_as(kind, getattr(group, key))) for key, _, kind in GROUP_COLUMNS]
        for group in groups[:_GROUPS_MAX]
    ]
    more = len(groups) - _GROUPS_MAX
    return html.table(heads, rows, caption=f"The first {_GROUPS_MAX} of {len(groups)}." if more > 0 else "")


def _group_cell(key: str, text: str) -> str:
    return Signed(text) if key in {"net_profit", "expectancy"} else text


def _trades(trips: Sequence[RoundTrip], ends: int) -> str:
    if not trips:
        return ""
    chosen, caption = _chosen(trips, ends)
    heads = [
        "opened",
        "closed",
        "instrument",
        "side",
        "quantity",
        "entry",
        "exit",
        "profit",
        "strategy",
        "reason to close",
    ]
    rows = [
        (
            _short(t.opened_ts),
            _short(t.closed_ts),
            t.instrument,
            t.side,
            cell(t.quantity),
            _price(t.entry),
            _price(t.exit),
            Signed(shown_as("money", t.profit)),
            t.strategy,
            t.reason[:160],
        )
        for t in chosen
    ]
    return html.table(heads, rows, caption=caption, left=(0, 1, 2, 3, 8, 9), wide=9)


def _chosen(trips: Sequence[RoundTrip], ends: int) -> tuple[list[RoundTrip], str]:
    if len(trips) <= _TRADES_MAX:
        return list(trips), "Net of commissions; times are UTC."
    ranked = sorted(range(len(trips)), key=lambda number: trips[number].profit)
    kept = sorted({*ranked[:ends], *ranked[-ends:], *range(len(trips) - ends, len(trips))})
    caption = (
        f"{len(kept)} of {len(trips):,}: the {ends} best, the {ends} worst and the last {ends}, in order of "
        "time. All are in the file trades.csv of --csv. Net of commissions; times are UTC."
    )
    return [trips[number] for number in kept], caption


def _short(ts: int) -> str:
    return when(ts // SECOND_NS * SECOND_NS).replace("T", " ").removesuffix("Z")


def _price(value: Any) -> str:
    """Return a price to four places, as the files have it in full: adjusted prices have eight or more."""
    if value is None:
        return shown_as("text", None)
    whole, _, places = f"{value:.{4 if abs(value) >= 1 else 6}f}".partition(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}"


def _positions(told: Report) -> str:
    rows = [
        (
            p.instrument,
            p.strategy,
            cell(p.quantity),
            _price(p.average_price),
            _price(p.mark),
            Signed(shown_as("money", p.open_profit)),
            p.currency,
        )
        for p in told.positions
    ]
    heads = ["instrument", "strategy", "quantity", "average price", "last price", "open profit", "currency"]
    return html.table(heads, rows, left=(0, 1)) if rows else ""
