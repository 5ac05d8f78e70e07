"""The whole report of a run, from its facts: every figure, group and table, as plain data.

One pass over the fills; memory grows with the round trips, not with ticks. Knows no form of showing it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.report import metrics
from app.report.cautions import cautions, opening
from app.report.days import Day, DayResult, day_results, days_of, lean_samples, month_results
from app.report.dealing import Dealing
from app.report.facts import Facts, Series
from app.report.shape import Report
from app.report.summary import Summary, summarise
from core.money import ZERO
from core.trips import Fill, RoundTrip
from eventstore.runs.reader import RunReader
from eventstore.sql.connection import connect


class Material(msgspec.Struct):
    """A report with what its charts and files are made of; `facts` can be asked while it is open."""

    report: Report
    facts: Facts
    equity: Series
    days: list[Day]
    trips: list[RoundTrip]
    arrivals: dict[str, float]

    def fills(self) -> Iterator[Fill]:
        """Yield the executions in time order."""
        return self.facts.fills(self.arrivals)

    def hours(self) -> NDArray[np.int64]:
        """Return when the days of the run opened and closed: times that an axis has, sampled or not."""
        first, last = self.facts.first_ts or 0, self.facts.last_ts or 0
        times = [ts for day in self.days for ts in (day.open, day.close) if first <= ts <= last]
        return np.array(times, dtype=np.int64)


@contextmanager
def opened(root: Path, run: RunReader) -> Iterator[Material]:
    """Build the report of a run; what it was made from can be read until the context ends."""
    with connect(root) as sql:
        yield build(Facts(root, run, sql), summarise(run), root)


def build(facts: Facts, told: Summary, root: Path) -> Material:
    """Return the report of a run, with its material."""
    days, equity = days_of(facts), facts.equity()
    arrivals = facts.awaited(facts.as_seen(facts.arrivals()))
    start = _start(told.figures, equity)
    dealing = Dealing(facts, days, root)
    for fill in facts.fills(arrivals):
        dealing.take(fill)
    daily = day_results(days, equity, float(start), dealing.traded_by_day, dealing.fills_by_day)
    figures = {
        **_run_figures(facts.run, days),
        **told.figures,
        **_results(facts, told.figures, days, daily, equity.known().held(facts.last_ts), dealing),
        **dealing.tally.figures(),
        **dealing.costs([day.equity for day in daily]),
        **facts.counts(),
    }
    report = Report(
        run=told.run,
        period=told.period,
        strategies=told.strategies,
        failed=told.failed,
        figures=figures,
        refused_by_rule=facts.refused_by_rule(),
        by_instrument=dealing.by_instrument(),
        by_strategy=dealing.by_strategy(),
        by_exit_reason=dealing.by_exit_reason(),
        monthly=month_results(daily, float(start)),
        daily=daily,
        positions=dealing.open_rows(),
        assumptions=told.assumptions,
    )
    said = [*cautions(report), *opening(dealing.begun_with)]
    report = msgspec.structs.replace(report, cautions=said)
    return Material(report, facts, equity, days, dealing.trips, arrivals)


def _run_figures(run: RunReader, days: list[Day]) -> dict[str, Any]:
    told = run.summary
    return {
        "period": told["period"],
        "sessions": len(days),
        "content_hash": content_hash(told),
        "config_hash": told["config_hash"],
        "fill_model": told["fill_model"],
        "seed": told["options"].get("seed", 0),
    }


def content_hash(told: Mapping[str, Any]) -> str:
    """Return what names the market data of a run: equal data imported elsewhere have the same hash.

    Of a recorded session it is where the session stands in its log.
    """
    if "session" in told:
        first, last = told["content"]
        return f"session {told['session']}, seq {first} to {last}"
    return blake2b(msgspec.json.encode(told["content"], order="deterministic"), digest_size=16).hexdigest()


def _start(figures: Mapping[str, Any], equity: Series) -> Decimal:
    """Return the equity at the start; where carried positions had no price yet, the first that is known."""
    if figures["start_equity"] is not None:
        return Decimal(figures["start_equity"])
    known = equity.known().values
    return Decimal(repr(float(known[0]))) if len(known) else ZERO


def _results(
    facts: Facts,
    told: Mapping[str, Any],
    days: list[Day],
    daily: list[DayResult],
    equity: Series,
    dealing: Dealing,
) -> dict[str, Any]:
    start, end = _start(told, equity), told["end_equity"]
    values = [float(start), *(day.equity for day in daily)]
    returns = metrics.simple_returns(values) or []
    fall = metrics.drawdown(equity.times, equity.values)
    annual = None
    if days and end is not None:
        annual = metrics.annual_return(float(start), float(end), days[0].midnight, days[-1].close)
    hours = [(day.open, day.close) for day in days]
    lean = float(told["max_drawdown"] or ZERO)
    if facts.by_minute:
        lean = float(metrics.underwater(lean_samples(facts, days, equity, float(start))).max())
    return {
        "annual_return": annual,
        "volatility": metrics.volatility(returns),
        "sharpe": metrics.sharpe(returns),
        "sortino": metrics.sortino(returns),
        "calmar": metrics.calmar(annual, fall.depth if fall else None),
        "lean_drawdown": metrics.rounded_drawdown(lean),
        "drawdown_length": fall.length_ns if fall else None,
        "drawdown_recovered": fall.recovered_ts is not None if fall else None,
        "time_in_market": metrics.time_in_market(dealing.held(), hours),
    }
