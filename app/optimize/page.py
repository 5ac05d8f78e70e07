"""A study as one HTML page that needs nothing else: figures, heat map, table, walk-forward. Pure text.

Light and dark by the reader's setting, for a phone and a laptop. At most `ROWS_MAX` trials are listed; the
JSON beside the page has all of them.
"""

from collections.abc import Sequence
from html import escape
from typing import Any

from app.optimize.heatmap import heat_map
from app.optimize.study import FoldTold, Row, StudyTold
from app.values import counted

ROWS_MAX = 50
_SHARES = {"return", "win_rate", "max_drawdown"}
_COLUMNS = ("sharpe", "return", "max_drawdown", "profit_factor", "win_rate", "trades")

_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#5b6470;--line:#dde1e6;--card:#f6f7f9;--page:#fff;
--good:#0a7d4b;--bad:#b3261e;--mark:#2f5fd0}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#9aa4b2;--line:#2c333d;--card:#1b2028;
--page:#12161c;--good:#4cc38a;--bad:#ff8b82;--mark:#8fb0ff}}
*{box-sizing:border-box}body{margin:0 auto;max-width:1040px;padding:20px 16px 48px;background:var(--page);
color:var(--ink);font:15px/1.5 system-ui,sans-serif}h1{font-size:1.5rem;margin:0 0 2px;overflow-wrap:anywhere}
h2{font-size:1.1rem;margin:32px 0 8px}p{margin:6px 0;max-width:70ch}.soft{color:var(--soft)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(148px,1fr));gap:10px;margin:16px 0}
.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:10px 12px}
.card b{display:block;font-size:1.3rem;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.card span{color:var(--soft);font-size:.85rem}.good{color:var(--good)}.bad{color:var(--bad)}
.wide{overflow-x:auto;border:1px solid var(--line);border-radius:8px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;
font-size:.9rem}th,td{padding:6px 10px;text-align:right;white-space:nowrap;
border-bottom:1px solid var(--line)}th{color:var(--soft);font-weight:600;background:var(--card)}
tr:last-child td{border-bottom:0}td.text,th.text{text-align:left}svg{width:100%;height:auto;display:block}
svg text{font:12px system-ui,sans-serif;fill:var(--soft)}svg .mid,svg .in{text-anchor:middle}
svg .end{text-anchor:end}svg .name{fill:var(--ink);font-weight:600}svg .in{font-size:11px}
.heat{max-width:760px}code{background:var(--card);padding:1px 5px;border-radius:4px;overflow-wrap:anywhere}
.scale{height:8px;max-width:240px;border-radius:4px;
background:linear-gradient(90deg,#440154,#3b528b,#21918c,#5ec962,#fde725)}
@media(max-width:520px){svg text{font-size:19px}svg .in{display:none}th,td{padding:6px 8px}}
"""


def page(told: StudyTold, x: str | None = None, y: str | None = None) -> str:
    """Return the page; `x` and `y` are the parameters of the heat map, by default the first two searched."""
    names = [axis["name"] for axis in told.axes]
    first, second = x or names[0], y or next((n for n in names if n != (x or names[0])), "")
    better, name = told.objective.best == "max", told.objective.name
    chart = (
        heat_map(told.rows, first, second, higher_is_better=better, form=lambda mean: shown(name, mean))
        if second
        else ""
    )
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width,initial-scale=1">',
        f"<title>{escape(_named(told.strategy))}: parameter search</title><style>{_STYLE}</style>",
        _head(told),
        _cards(told),
        _luck(told.deflated) if told.deflated else "",
        _walk(told) if told.walk_forward else "",
        _map(told, chart, first, second),
        _table(told),
        _failures(told),
        _assumptions(told),
        "</html>",
    ]
    return "\n".join(part for part in parts if part)


def shown(name: str, value: Any) -> str:
    """Return a measure as people read it."""
    if value is None:
        return "–"
    if name in _SHARES:
        return f"{value:.2%}"
    return f"{value:,.0f}" if name in {"trades", "net_profit"} else f"{value:.3g}"


def worded(parameters: dict[str, Any]) -> str:
    """Return parameters in one line."""
    return " ".join(f"{name}={value}" for name, value in parameters.items())


def _named(strategy: str) -> str:
    """Return a strategy's name: of a file, that of its class."""
    return strategy.rpartition(":")[2] if ".py:" in strategy else strategy.rpartition("/")[2]


def _head(told: StudyTold) -> str:
    fixed = f" with {worded(told.fixed)}" if told.fixed else ""
    return (
        f"<h1>{escape(_named(told.strategy))}: parameter search</h1><p class=soft>{escape(told.period)}, "
        f"{counted(told.sessions, 'session')}{escape(fixed)}. {counted(told.counts['trials'], 'trial')} by "
        f"{told.method} search "
        f"(seed {told.seed}), chosen by {told.objective.name.replace('_', ' ')}: {told.objective.text}. "
        f"Study <code>{told.study}</code></p>"
    )


def _cards(told: StudyTold) -> str:
    cards: list[tuple[str, str, str]] = []
    name = told.objective.name
    if told.best is not None:
        cards.append((worded(told.best.parameters), "best parameters, chosen with hindsight", ""))
        if name != "return":
            cards.append((shown(name, told.best.score), f"{name.replace('_', ' ')} of the best", ""))
        total = told.best.measures.get("return")
        cards.append((shown("return", total), "return of the best", _sign(total)))
    if told.deflated is not None:
        chance = told.deflated["probability"]
        cards.append(
            (
                f"{chance:.1%}" if chance is not None and chance == chance else "–",  # noqa: PLR0124  (NaN)
                "deflated Sharpe ratio: the chance that it is more than luck",
                "good" if chance is not None and chance >= 0.95 else "bad",
            )
        )
        cards.append(
            (f"{told.deflated['expected_max_annual']:.3g}", "Sharpe that luck alone would reach", "")
        )
    if told.walk_forward is not None:
        walk = told.walk_forward
        cards.append((shown("return", walk["return"]), "return out of sample", _sign(walk["return"])))
        cards.append((shown("sharpe", walk["sharpe"]), "Sharpe out of sample", _sign(walk["sharpe"])))
        folds = f"{walk['profitable_folds']} of {walk['folds']}"
        cards.append((folds, "folds with a gain out of sample", ""))
        cards.append((shown("", walk["efficiency"]), "out of sample over in sample", ""))
    counts = told.counts
    cards.append((f"{counts['scored']} of {counts['trials']}", "trials with a score", ""))
    inner = "".join(
        f'<div class=card><b class="{kind}">{escape(value)}</b><span>{escape(label)}</span></div>'
        for value, label, kind in cards
    )
    return f"<div class=cards>{inner}</div>"


def _sign(value: float | None) -> str:
    return "" if not value else "good" if value > 0 else "bad"


def _luck(measure: dict[str, Any]) -> str:
    return (
        "<h2>How much of it is luck</h2><p>The best of "
        f"{measure['trials']} worthless strategies would show a Sharpe ratio of about "
        f"{measure['expected_max_annual']:.3g} a year here; the best trial shows "
        f"{measure['sharpe_annual']:.3g}. With {measure['observations']} returns (skewness "
        f"{measure['skewness']:.2f}, kurtosis {measure['kurtosis']:.2f}) the chance that its true ratio is "
        f"above what luck gives is <b>{measure['probability']:.1%}</b>; 95 % is a usual demand. "
        "<span class=soft>Deflated Sharpe ratio, Bailey and López de Prado 2014; all trials count as "
        "independent.</span></p>"
    )


def _walk(told: StudyTold) -> str:
    name = told.objective.name
    head = [
        "chosen in",
        "parameters",
        f"{name} there",
        "tried in",
        f"{name} then",
        "return then",
        "deflated",
        "run",
    ]
    rows = [_fold(fold, name) for fold in told.folds]
    how = "the part before" if told.walk_forward and told.walk_forward["rolling"] else "all parts before"
    return (
        f"<h2>Walk-forward</h2><p class=soft>Parameters are chosen in {how} and tried in the part that "
        "follows.</p>" + _grid(head, rows, text={0, 1, 3, 7})
    )


def _fold(fold: FoldTold, name: str) -> list[str]:
    return [
        fold.train,
        worded(fold.parameters or {}),
        shown(name, fold.in_sample),
        fold.test,
        shown(name, fold.out_of_sample),
        shown("return", fold.measures.get("return")),
        shown("", fold.deflated and fold.deflated["probability"]),
        fold.run,
    ]


def _map(told: StudyTold, chart: str, x: str, y: str) -> str:
    if not chart:
        return ""
    name = told.objective.name.replace("_", " ")
    better = "better" if told.objective.best == "max" else "lower, which is better"
    return (
        f"<h2>{escape(name.capitalize())} over {escape(x)} and {escape(y)}</h2><p class=soft>Means over the "
        f"other parameters{' and folds' if told.folds else ''}; no colour: not tried or without a score. "
        f"A plateau is worth more than a peak.</p>{chart}<div class=scale></div><p class=soft>worse … "
        f"{better}</p>"
    )


def _table(told: StudyTold) -> str:
    names = [axis["name"] for axis in told.axes]
    columns = list(dict.fromkeys([told.objective.name, *_COLUMNS]))
    folded = bool(told.folds)
    head = [*(["fold"] if folded else []), *names, *(c.replace("_", " ") for c in columns), "run"]
    rows = [
        _trial(row, names, columns, folded=folded) for row in told.rows[:ROWS_MAX] if row.score is not None
    ]
    more = f", the best {len(rows)} of {len(told.rows)}" if len(told.rows) > len(rows) else ""
    return f"<h2>Trials{more}</h2>" + _grid(head, rows, text={len(head) - 1})


def _trial(row: Row, names: Sequence[str], columns: Sequence[str], *, folded: bool) -> list[str]:
    return [
        *([str(row.fold + 1)] if folded else []),
        *(str(row.parameters.get(name, "")) for name in names),
        *(shown(column, row.measures.get(column)) for column in columns),
        row.run,
    ]


def _failures(told: StudyTold) -> str:
    if not told.failures:
        return ""
    rows = [[str(count), reason[:300]] for reason, count in told.failures.items()]
    return "<h2>Trials without a result</h2>" + _grid(["trials", "reason"], rows, text={1})


def _assumptions(told: StudyTold) -> str:
    counts = told.counts
    where = f" Conditions: {', '.join(told.wheres)}." if told.wheres else ""
    return (
        f"<h2>How it was made</h2><p class=soft>Returns by {told.every}, {told.periods_a_year:,.0f} a year. "
        f"{counts['skipped']} combinations excluded, {counts['refused']} refused by the strategy, "
        f"{counts['failed']} failed, {counts['unscored']} without a score.{escape(where)} Each trial is a "
        "run: <code>tape replay ID</code> makes the whole of it. Strategy: "
        f"<code>{escape(told.strategy)}</code>.</p>"
    )


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]], *, text: set[int]) -> str:
    def line(tag: str, values: Sequence[str]) -> str:
        kinds = [" class=text" if index in text else "" for index in range(len(values))]
        cells = (f"<{tag}{kind}>{escape(v)}</{tag}>" for kind, v in zip(kinds, values, strict=True))
        return f"<tr>{''.join(cells)}</tr>"

    body = "".join(line("td", row) for row in rows)
    return f"<div class=wide><table>{line('th', head)}{body}</table></div>"
