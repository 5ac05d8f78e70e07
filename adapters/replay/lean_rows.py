"""What each column of a LEAN file means: some lines of one file in, a `Draft` of their events out.

Prices are divided by 10,000 once, in float64, which rounds correctly: 1815200 becomes 181.52. Pure: no
files, no log.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np

from adapters.replay.calendar import utc_ns, zone
from adapters.replay.delimited import parse
from adapters.replay.lines import Piece
from adapters.replay.parsed import FloatColumn, IntColumn, Parsed
from adapters.replay.row_checks import check_bars, check_not_negative, check_not_zero
from adapters.replay.rows import Draft
from core.clock import HOUR_NS, MINUTE_NS, SECOND_NS
from core.events import Bar, Quote, QuoteBar, SessionScheduled, Trade

Clock = Callable[[IntColumn], IntColumn]
"""From wall-clock ns since midnight to ns UTC."""

DAY_MS = 86_400_000
LENGTHS_NS = {"second": SECOND_NS, "minute": MINUTE_NS, "hour": HOUR_NS}
SCALE = 10_000.0
_TRADE_TICK = ("time", "price", "size", "venue", "conditions", "suspicious")
_QUOTE_TICK = ("time", "bid", "bid_size", "ask", "ask_size", "venue", "conditions", "suspicious")
_BAR = ("time", "open", "high", "low", "close", "volume")
_SIDES = ("open", "high", "low", "close", "size")
_QUOTE_BAR = ("time", *(f"bid_{n}" for n in _SIDES), *(f"ask_{n}" for n in _SIDES))


def trade_ticks(piece: Piece, *, feed: str, instrument: str, clock: Clock) -> Draft:
    """Read `ms,price,size,exchange,condition,suspicious`."""
    numbers = ("time", "price", "size", "suspicious")
    parsed = _parse(piece, _TRADE_TICK, numbers, ("venue", "conditions"))
    ts = _tick_times(parsed, clock)
    check_not_negative(parsed, ("price", "size"))
    check_not_zero(parsed, "price")
    c = parsed.columns
    columns = (
        ts,
        feed,
        instrument,
        c["price"] / SCALE,
        c["size"],
        c["venue"],
        c["conditions"],
        c["suspicious"] != 0,
    )
    return Draft(parsed, Trade, ts, columns)


def quote_ticks(piece: Piece, *, feed: str, instrument: str, clock: Clock) -> Draft:
    """Read `ms,bid,bid size,ask,ask size,exchange,condition,suspicious`; the absent side is 0."""
    numbers = ("time", "bid", "bid_size", "ask", "ask_size", "suspicious")
    parsed = _parse(piece, _QUOTE_TICK, numbers, ("venue", "conditions"))
    ts = _tick_times(parsed, clock)
    check_not_negative(parsed, ("bid", "bid_size", "ask", "ask_size"))
    c = parsed.columns
    for side in ("bid", "ask"):
        size = c[f"{side}_size"]
        parsed.reject((c[side] == 0) & (size > 0), lambda row: f"{side} is 0 with size {size[row]:g}")  # noqa: B023
    parsed.reject((c["bid"] == 0) & (c["ask"] == 0), lambda _: "neither bid nor ask")
    sides = [_side(c[side], c[name]) for side in ("bid", "ask") for name in (side, f"{side}_size")]
    bid, bid_size, ask, ask_size = sides[0] / SCALE, sides[1], sides[2] / SCALE, sides[3]
    columns = (
        ts,
        feed,
        instrument,
        bid,
        bid_size,
        ask,
        ask_size,
        c["venue"],
        c["conditions"],
        c["suspicious"] != 0,
    )
    return Draft(parsed, Quote, ts, columns, frozenset({3, 4, 5, 6}))


def trade_bars(piece: Piece, *, feed: str, instrument: str, clock: Clock, length: int) -> Draft:
    """Read `ms,open,high,low,close,volume` with `ms` the start of a bar of `length` ns."""
    parsed = _parse(piece, _BAR, _BAR)
    start = _tick_times(parsed, clock)
    return _bars(parsed, start, start + length, feed, instrument)


def quote_bars(piece: Piece, *, feed: str, instrument: str, clock: Clock, length: int) -> Draft:
    """Read `ms,` and open, high, low, close, size of the bid, then of the ask; an absent side is 0."""
    parsed = _parse(piece, _QUOTE_BAR, _QUOTE_BAR)
    start = _tick_times(parsed, clock)
    end = start + length
    c = parsed.columns
    check_not_negative(parsed, _QUOTE_BAR[1:])
    columns: list[object] = [end, start, feed, instrument]
    for side in ("bid", "ask"):
        check_bars(parsed, *(f"{side}_{name}" for name in _SIDES[:4]))
        columns += [_side(c[f"{side}_close"], c[f"{side}_{name}"]) / SCALE for name in _SIDES[:4]]
        columns.append(_side(c[f"{side}_close"], c[f"{side}_size"]))
    parsed.reject((c["bid_close"] == 0) & (c["ask_close"] == 0), lambda _: "neither bid nor ask")
    return Draft(parsed, QuoteBar, end, columns, frozenset(range(4, 14)), start)


def daily_bars(
    piece: Piece, *, feed: str, instrument: str, resolution: str, held: Mapping[str, SessionScheduled]
) -> Draft:
    """Read `yyyymmdd HH:MM,open,high,low,close,volume` of hours or days.

    A day's bar spans its session (`held`, by date), so a half-day ends at its early close. An hour's bar
    is as labelled: the one of 09:00 begins half an hour before the open.
    """
    parsed = _parse(piece, _BAR, _BAR[1:], ("time",))
    start, end = np.zeros(parsed.rows, dtype=np.int64), np.zeros(parsed.rows, dtype=np.int64)
    for row, text in enumerate(parsed.columns["time"].tolist()):
        if row in parsed.reasons:
            continue
        when = _minute(text)
        session = held.get(when.date().isoformat()) if when else None
        if when is None:
            parsed.reasons[row] = f"field time: {text!r} is not a time; expected YYYYMMDD HH:MM"
        elif session is None:
            parsed.reasons[row] = f"{when.date()} is not a session of the exchange"
        elif resolution == "daily":
            start[row], end[row] = session.open, session.close
        else:
            start[row] = (when - datetime(1970, 1, 1)) // timedelta(microseconds=1) * 1000  # noqa: DTZ001
    if resolution == "hour":
        start = utc_ns(start, zone("America/New_York"))
        end = start + HOUR_NS
    return _bars(parsed, start, end, feed, instrument)


def _minute(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y%m%d %H:%M")  # noqa: DTZ007  (a wall-clock time; the zone comes later)
    except ValueError:
        return None


def _bars(parsed: Parsed, start: IntColumn, end: IntColumn, feed: str, instrument: str) -> Draft:
    check_not_negative(parsed, _BAR[1:])
    for name in _BAR[1:5]:
        check_not_zero(parsed, name)
    check_bars(parsed, "open", "high", "low", "close")
    c = parsed.columns
    columns = (end, start, feed, instrument, *(c[name] / SCALE for name in _BAR[1:5]), c["volume"])
    return Draft(parsed, Bar, end, columns, start=start)


def _parse(piece: Piece, names: Sequence[str], numbers: Sequence[str], texts: Sequence[str] = ()) -> Parsed:
    return parse(
        piece.data,
        names,
        numbers=numbers,
        texts=texts,
        file=piece.file,
        first_line=piece.first_line,
        rows=piece.rows,
    )


def _tick_times(parsed: Parsed, clock: Clock) -> IntColumn:
    ms = parsed.columns["time"]
    outside = (ms < 0) | (ms >= DAY_MS)
    parsed.reject(outside, lambda row: f"time {ms[row]:g} ms is outside the day, 0..{DAY_MS - 1}")
    within = np.where(outside, 0.0, ms)
    return clock(np.rint(within * 1e6).astype(np.int64))


def _side(price: FloatColumn, value: FloatColumn) -> FloatColumn:
    """Return `value` where the side has a price, NaN (no update of this side) where it has none."""
    return np.where(price == 0, np.nan, value)
