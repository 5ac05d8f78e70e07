"""What the rows of a table become: checked columns in, a `Draft` of trades, quotes or bars out. Pure."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from adapters.replay.parsed import Column, FloatColumn, IntColumn, Parsed
from adapters.replay.row_checks import check_bars, check_not_negative, check_not_zero
from adapters.replay.rows import Draft
from core.events import Bar, Quote, Trade

_YES = ("1", "true", "t", "yes", "y")
_SIDES = ("bid", "bid_size", "ask", "ask_size")


class Spans(NamedTuple):
    """Begin and end of each row in ns UTC; equal for ticks."""

    begin: IntColumn
    end: IntColumn


def trades(parsed: Parsed, spans: Spans, feed: str, instrument: str) -> Draft:
    """Build trades; a file without sizes gives size 0."""
    check_not_negative(parsed, [name for name in ("price", "size") if name in parsed.columns])
    check_not_zero(parsed, "price")
    size = parsed.columns.get("size", 0.0)
    columns = (spans.end, feed, instrument, parsed.columns["price"], size, *_marks(parsed))
    return Draft(parsed, Trade, spans.end, columns)


def quotes(parsed: Parsed, spans: Spans, feed: str, instrument: str) -> Draft:
    """Build quotes. An empty or zero price is no update of that side; crossed sides are suspicious."""
    check_not_negative(parsed, [name for name in _SIDES if name in parsed.columns])
    sides: list[FloatColumn] = []
    for side in ("bid", "ask"):
        price = parsed.columns.get(side, np.full(parsed.rows, np.nan))
        price = np.where(price == 0, np.nan, price)
        # A size that is not given is one unit: 0 would clear the side.
        size = parsed.columns.get(f"{side}_size", np.ones(parsed.rows))
        sides += [price, np.where(np.isnan(price), np.nan, np.where(np.isnan(size), 1.0, size))]
    parsed.reject(np.isnan(sides[0]) & np.isnan(sides[2]), lambda _: "neither bid nor ask")
    venue, conditions, suspicious = _marks(parsed)
    columns = (spans.end, feed, instrument, *sides, venue, conditions, suspicious | (sides[0] > sides[2]))
    return Draft(parsed, Quote, spans.end, columns, frozenset({3, 4, 5, 6}))


def bars(parsed: Parsed, spans: Spans, feed: str, instrument: str) -> Draft:
    """Build bars; a file without volumes gives volume 0."""
    fields = ("open", "high", "low", "close")
    check_not_negative(parsed, [name for name in (*fields, "volume") if name in parsed.columns])
    for name in fields:
        check_not_zero(parsed, name)
    check_bars(parsed, *fields)
    volume = parsed.columns.get("volume", 0.0)
    columns = (spans.end, spans.begin, feed, instrument, *(parsed.columns[name] for name in fields), volume)
    return Draft(parsed, Bar, spans.end, columns, start=spans.begin)


def _marks(parsed: Parsed) -> tuple[Column | str, Column | str, Column]:
    flags = parsed.columns.get("suspicious")
    texts = [""] * parsed.rows if flags is None else flags.tolist()
    suspicious = np.array([text.strip().lower() in _YES for text in texts], dtype=bool)
    return parsed.columns.get("venue", ""), parsed.columns.get("conditions", ""), suspicious


Builder = Callable[[Parsed, Spans, str, str], Draft]
BUILDERS: dict[str, Builder] = {"trades": trades, "quotes": quotes, "bars": bars}
