# ruff: noqa: S608 - the SQL is made of this module's own text and of names of the log
"""The price of an instrument when an order was decided, against which its fills are measured.

It is the middle between the best bid and the best ask over the venues (Perold, "The Implementation
Shortfall", Journal of Portfolio Management 1988, takes the mid-quote of the decision), or, where a side is
unknown, the last trade or bar close. Only events count that the decision could know: up to the input at which
it was made, of the same day of trading where the feed has ticks.

Market data go by once, in batches, and nothing of them is kept but the last row before each order: memory
grows with the orders, not with ticks.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.ports import RUN_BASE
from eventstore.sql.connection import Sql
from eventstore.sql.sources import literal
from eventstore.tables.columns import indices_of, validity, vector

_SEQ_BITS = 42
"""Seqs of a log and of a run are below 2 ** 42; ranks of times are put above them."""
_ANY_SEQ = (1 << _SEQ_BITS) - 1
_NO_ROW = np.iinfo(np.int64).min

Windows = Sequence[tuple[int, int]]
"""Spans of time (the end exclusive) that are looked at together, by their begin."""
_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]


class _Orders:
    """The orders in one instrument, by time and seq: `seqs` are those of the inputs they were decided at."""

    def __init__(self, rows: list[tuple[int, int, str]]) -> None:
        rows.sort()
        self.times = np.array([ts for ts, _, _ in rows], dtype=np.int64)
        self.seqs = np.array([seq for _, seq, _ in rows], dtype=np.int64)
        self.names = [name for _, _, name in rows]


class _Latest:
    """Of each order, the last row before it of one source: of an instrument, or of a venue's side of it."""

    def __init__(self, orders: _Orders) -> None:
        self._orders = orders
        self._times: _Ints = np.full(len(orders.names), _NO_ROW, dtype=np.int64)
        self._seqs: _Ints = np.zeros(len(orders.names), dtype=np.int64)
        self._prices: _Floats = np.full(len(orders.names), np.nan)

    def take(self, times: _Ints, seqs: _Ints, prices: _Floats) -> None:
        """Take rows, in whatever order; a price of NaN says that there is none any more."""
        if not len(times):
            return
        order = np.lexsort((seqs, times))
        times, seqs = times[order], seqs[order]
        places = _last_before(self._orders, times, seqs)
        later = times[places] > self._times
        later |= (times[places] == self._times) & (seqs[places] > self._seqs)
        later &= places >= 0
        chosen = places[later]
        self._times[later], self._seqs[later] = times[chosen], seqs[chosen]
        self._prices[later] = prices[order][chosen]

    def since(self, begin: int, part: slice) -> _Floats:
        """Return the prices before a part of the orders, NaN where the row is from before `begin`."""
        return np.where(self._times[part] >= begin, self._prices[part], np.nan)


def _last_before(orders: _Orders, times: _Ints, seqs: _Ints) -> _Ints:
    """Return for each order the place of the last row at or before it; -1 where there is none."""
    # A row's key is the rank of its time, then its seq: one number. Rows are sorted by both.
    new = np.concatenate(([True], times[1:] != times[:-1]))
    distinct = times[new]
    keys = ((np.cumsum(new) - 1) << _SEQ_BITS) | seqs
    ranks = np.searchsorted(distinct, orders.times, side="right") - 1
    same = distinct[ranks] == orders.times
    wanted = (ranks << _SEQ_BITS) | np.where(same, orders.seqs, _ANY_SEQ)
    return np.asarray(np.searchsorted(keys, wanted, side="right") - 1, dtype=np.int64)


def arrivals(sql: Sql, scope: str, feeds: Sequence[str], windows: Windows) -> dict[str, float]:
    """Return the price at each order's intent, by order id, where one was known."""
    orders = _orders(sql, scope)
    if not orders or not windows:
        return {}
    rows = f"run IS NULL AND ts >= {windows[0][0]} AND ts < {max(end for _, end in windows)}"
    rows += f" AND instrument IN ({', '.join(map(literal, orders))})"
    if feeds:
        rows += f" AND feed IN ({', '.join(map(literal, feeds))})"
    lasts = sql.reduce(_LASTS.format(rows=rows), lambda batches: _trades(orders, batches))
    bids, asks = sql.reduce(_QUOTES.format(rows=rows), lambda batches: _quotes(orders, batches))
    found: dict[str, float] = {}
    for instrument, some in orders.items():
        sides = [
            [latest for (name, _), latest in side.items() if name == instrument] for side in (bids, asks)
        ]
        prices = _prices(some, lasts[instrument], sides[0], sides[1], windows)
        known = np.flatnonzero(~np.isnan(prices))
        found.update((some.names[place], float(prices[place])) for place in known)
    return found


def _orders(sql: Sql, scope: str) -> dict[str, _Orders]:
    table = sql.arrow(
        f'SELECT instrument, ts, least("at", {RUN_BASE}) AS seq, "order" AS name '
        f"FROM raw.order_intended WHERE {scope}"
    )
    found: defaultdict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for instrument, *row in zip(*(column.to_pylist() for column in table.columns), strict=True):
        found[instrument].append((row[0], row[1], row[2]))
    return {instrument: _Orders(found[instrument]) for instrument in sorted(found)}


def _of(instrument: str, side: "_Sides") -> list[_Latest]:
    return [latest for (name, _), latest in side.items() if name == instrument]


def _prices(
    orders: _Orders, last: _Latest, bids: list[_Latest], asks: list[_Latest], windows: Windows
) -> _Floats:
    prices = np.full(len(orders.names), np.nan)
    for begin, end in windows:  # they may overlap: the latest that knows a price counts
        first, until = np.searchsorted(orders.times, (begin, end))
        part = slice(int(first), int(until))
        if first == until:
            continue
        bid = np.fmax.reduce([np.full(until - first, np.nan), *(each.since(begin, part) for each in bids)])
        ask = np.fmin.reduce([np.full(until - first, np.nan), *(each.since(begin, part) for each in asks)])
        middle = (bid + ask) / 2
        price = np.where(np.isnan(middle), last.since(begin, part), middle)
        prices[part] = np.where(np.isnan(price), prices[part], price)
    return prices


_LASTS = """
SELECT instrument, ts, seq, price FROM raw.trade WHERE {rows} AND NOT suspicious AND price > 0
UNION ALL SELECT instrument, ts, 0, close FROM raw.bar WHERE {rows}"""
# A seq of 0: all bars with one end are known before anything is decided there, whatever their order.

# A side that is null says nothing of it and keeps the venue's last price; one that is NaN clears the venue.
# The venues of a consolidated feed are one book.
_QUOTES = """
SELECT instrument,
       CASE WHEN feed IN (SELECT feed FROM raw.feed WHERE consolidated) THEN '' ELSE venue END AS venue,
       ts, seq, CASE WHEN bid = 0 OR bid_size = 0 THEN 'nan'::DOUBLE ELSE bid END AS bid,
       CASE WHEN ask = 0 OR ask_size = 0 THEN 'nan'::DOUBLE ELSE ask END AS ask
FROM raw.quote WHERE {rows} AND NOT suspicious
UNION ALL SELECT instrument, '', ts, 0, bid_close, ask_close FROM raw.quote_bar WHERE {rows}"""


def _trades(orders: dict[str, _Orders], batches: Iterable[pa.RecordBatch]) -> dict[str, _Latest]:
    found = {instrument: _Latest(some) for instrument, some in orders.items()}
    for batch in batches:
        times, seqs, prices = (vector(batch.column(name)) for name in ("ts", "seq", "price"))
        for (instrument,), rows in _grouped(batch, ("instrument",)):
            found[instrument].take(times[rows], seqs[rows], prices[rows])
    return found


_Sides = dict[tuple[str, str], _Latest]


def _quotes(orders: dict[str, _Orders], batches: Iterable[pa.RecordBatch]) -> tuple[_Sides, _Sides]:
    bids: _Sides = {}
    asks: _Sides = {}
    for batch in batches:
        times, seqs = vector(batch.column("ts")), vector(batch.column("seq"))
        for key, rows in _grouped(batch, ("instrument", "venue")):
            for side, name in ((bids, "bid"), (asks, "ask")):
                column = batch.column(name)
                said = rows[validity(column)[rows]]
                if key not in side:
                    side[key] = _Latest(orders[key[0]])
                side[key].take(times[said], seqs[said], vector(column)[said])
    return bids, asks


def _grouped(batch: pa.RecordBatch, names: Sequence[str]) -> Iterator[tuple[Any, NDArray[np.intp]]]:
    """Yield the values of text columns that rows have in common, and the places of those rows."""
    encoded = [batch.column(name).dictionary_encode() for name in names]
    values = [column.dictionary.to_pylist() for column in encoded]
    codes = np.zeros(len(batch), dtype=np.int64)
    for column, known in zip(encoded, values, strict=True):
        codes = codes * len(known) + indices_of(column)
    for code in np.unique(codes).tolist():
        key = []
        rest = code
        for known in reversed(values):
            rest, place = divmod(rest, len(known))
            key.append(known[place])
        yield tuple(reversed(key)), np.flatnonzero(codes == code)
