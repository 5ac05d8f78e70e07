"""What a run came to, as numbers to choose by: returns at fixed times, and measures of them. Pure.

Returns are of equity at the same times for every trial: the ends of days, hours or minutes of the sessions.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any, Literal

import msgspec

from app.report.metrics import sharpe, sortino
from app.report.trips import Tally
from core.clock import HOUR_NS, MINUTE_NS
from core.events import AccountMarked, CommissionReported, Event, Filled, SessionScheduled
from core.trips import Fill, round_trips

Every = Literal["day", "hour", "minute"]
EVERY_NS: dict[Every, int] = {"day": 1 << 62, "hour": HOUR_NS, "minute": MINUTE_NS}
RETURNS_MIN = 30
"""So many returns make a Sharpe ratio worth a look; the longest interval that has them is taken."""
SESSIONS_A_YEAR = 252
KEPT: frozenset[type[Event]] = frozenset({AccountMarked, Filled, CommissionReported})
"""The events that measures are made of."""


class Objective(msgspec.Struct, frozen=True):
    """A measure to choose by; `best` is the end that is wanted."""

    name: str
    best: Literal["max", "min"]
    text: str


OBJECTIVES = {
    item.name: item
    for item in (
        Objective("sharpe", "max", "mean over deviation of returns, a year"),
        Objective("sortino", "max", "mean over downside deviation of returns, a year"),
        Objective("return", "max", "end equity over start equity, less 1"),
        Objective("profit_factor", "max", "what winners gained over what losers lost"),
        Objective("win_rate", "max", "share of round trips with a gain"),
        Objective("return_over_drawdown", "max", "return over the largest drawdown"),
        Objective("max_drawdown", "min", "largest fall from a peak, as a share of it"),
    )
}


def edges(sessions: Sequence[SessionScheduled], every: Every) -> list[int]:
    """Return the times (ns UTC) at which equity is taken: the end of each interval of regular hours."""
    found: list[int] = []
    step = EVERY_NS[every]
    for session in sessions:
        found += range(session.open + step, session.close, step) if step < 1 << 62 else ()
        found.append(session.close)
    return found


def interval(sessions: Sequence[SessionScheduled]) -> Every:
    """Return the longest interval of which the sessions have enough, else minutes."""
    candidates: tuple[Every, ...] = ("day", "hour")
    return next((every for every in candidates if len(edges(sessions, every)) >= RETURNS_MIN), "minute")


def returns(
    marks: Sequence[tuple[int, Decimal | None]], start: Decimal, at: Sequence[int], end: Decimal | None = None
) -> list[float]:
    """Return the return of each interval; what is not marked anew stays as it was.

    `end` is the equity at the very end, which belongs to the last interval.
    """
    known = [(ts, value) for ts, value in marks if value is not None]
    times = [ts for ts, _ in known]
    equity = [float(start)]
    for edge in at:
        count = bisect_right(times, edge)
        equity.append(float(known[count - 1][1]) if count else float(start))
    if end is not None and at:
        equity[-1] = float(end)
    return [b / a - 1 if a else 0.0 for a, b in pairwise(equity)]


def measure(
    events: Iterable[Event],
    summary: Mapping[str, Any],
    at: Sequence[int],
    periods: float,
    multipliers: Mapping[str, Decimal],
) -> tuple[dict[str, float | None], list[float]]:
    """Return the measures of a run by name, and its returns; `periods` is how many of them make a year."""
    found = list(events)
    marks = [(event.ts, event.equity) for event in found if isinstance(event, AccountMarked)]
    start, end = Decimal(summary["start_equity"]), summary["end_equity"]
    series = returns(marks, start, at, None if end is None else Decimal(end))
    tally = Tally()
    for trade in round_trips(_fills(found), multipliers):
        tally.add(trade.profit)
    traded = tally.figures()
    total = None if end is None or not start else float(Decimal(end) / start - 1)
    drawdown = float(summary["max_drawdown"])
    return {
        "sharpe": sharpe(series, periods),
        "sortino": sortino(series, periods),
        "return": total,
        "profit_factor": traded["profit_factor"],
        "win_rate": traded["win_rate"],
        "return_over_drawdown": total / drawdown if total is not None and drawdown else None,
        "max_drawdown": drawdown,
        "trades": float(traded["trades"]),
        "net_profit": None if end is None else float(Decimal(end) - start),
    }, series


def _fills(events: Sequence[Event]) -> list[Fill]:
    costs = {e.exec_id: e for e in events if isinstance(e, CommissionReported)}
    return [
        Fill(
            e.ts,
            e.exec_id,
            e.order,
            e.strategy,
            e.instrument,
            e.side,
            e.quantity,
            e.price,
            e.venue,
            cost.amount if cost is not None else None,
            cost.currency if cost is not None else None,
            "",
            None,
        )
        for e in events
        if isinstance(e, Filled)
        for cost in [costs.get(e.exec_id)]
    ]
