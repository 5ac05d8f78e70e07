"""The price at an order's intent: what batches come to is what a plain look at all rows finds."""

import math
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.report.arrival import _Latest, _Orders, _quotes, arrivals
from app.report.waiting import Asked, measured_against
from core.clock import SECOND_NS as SECOND
from core.events import Bar, OrderIntended, QuoteBar
from core.ports import RUN_BASE
from eventstore.journal.journal import Journal
from eventstore.sql.connection import connect
from tests.conftest import examples

NAMES = ("A", "B")
VENUES = ("", "N", "Q")
TIMES = st.integers(0, 12)
ROW = st.tuples(TIMES, st.integers(1, 40), st.sampled_from([math.nan, 1.0, 2.0, 3.0]))
ORDERS = st.lists(st.tuples(TIMES, st.integers(1, 40) | st.just(RUN_BASE)), min_size=1, max_size=8)


def plainly(rows, ts, seq, begin):
    """The price of the last row at or before (ts, seq), by sorting all of them."""
    before = sorted((row for row in rows if row[:2] <= (ts, seq)), key=lambda row: row[:2])
    return before[-1][2] if before and before[-1][0] >= begin else math.nan


@given(
    batches=st.lists(st.lists(ROW, max_size=12, unique_by=lambda row: row[1]), max_size=4),
    orders=ORDERS,
    begin=TIMES,
)
@settings(max_examples=examples(200), deadline=None)
def test_the_last_row_before_each_order_is_found_in_whatever_batches(batches, orders, begin):
    # A seq is there once in a log: later batches go on counting.
    rows = [[(ts, seq + 50 * n, price) for ts, seq, price in batch] for n, batch in enumerate(batches)]
    wanted = _Orders([(ts, seq, f"o{place}") for place, (ts, seq) in enumerate(orders)])
    latest = _Latest(wanted)
    for batch in rows:
        columns = np.array(batch, dtype=np.float64).reshape(-1, 3).T
        latest.take(columns[0].astype(np.int64), columns[1].astype(np.int64), columns[2])
    found = latest.since(begin, slice(0, len(orders)))
    every = [row for batch in rows for row in batch]
    asked = zip(wanted.times.tolist(), wanted.seqs.tolist(), strict=True)
    expected = [plainly(every, ts, seq, begin) for ts, seq in asked]
    np.testing.assert_array_equal(found, expected)


QUOTE = st.tuples(
    st.sampled_from(NAMES),
    st.sampled_from(VENUES),
    TIMES,
    *(st.sampled_from([None, math.nan, 1.0, 2.0]) for _ in range(2)),
)


@given(quotes=st.lists(QUOTE, max_size=20), cut=st.integers(0, 20), orders=ORDERS)
@settings(max_examples=examples(100), deadline=None)
def test_each_venue_and_side_keeps_its_own_last_price(quotes, cut, orders):
    rows = [(*quote[:3], seq, *quote[3:]) for seq, quote in enumerate(quotes, 1)]
    wanted = {name: _Orders([(ts, seq, "o") for ts, seq in orders]) for name in NAMES}
    parts = [part for part in (rows[:cut], rows[cut:]) if part]
    names = ["instrument", "venue", "ts", "seq", "bid", "ask"]
    kinds = [pa.string(), pa.string(), pa.int64(), pa.int64(), pa.float64(), pa.float64()]
    batches = [
        pa.RecordBatch.from_arrays(
            [
                pa.array(list(column), kind)
                for column, kind in zip(zip(*part, strict=True), kinds, strict=True)
            ],
            names=names,
        )
        for part in parts
    ]
    for place, side in enumerate(_quotes(wanted, batches), 4):
        for (name, venue), latest in side.items():
            mine = [(r[2], r[3], r[place]) for r in rows if r[:2] == (name, venue) and r[place] is not None]
            asked = zip(wanted[name].times.tolist(), wanted[name].seqs.tolist(), strict=True)
            expected = [plainly(mine, ts, seq, 0) for ts, seq in asked]
            np.testing.assert_array_equal(latest.since(0, slice(0, len(orders))), expected)
        said = {(r[0], r[1]) for r in rows if r[place] is not None}
        assert said <= set(side)


def test_small_batches_give_the_same_prices(logs, monkeypatch):
    run = logs["crosses"].name
    with connect(logs["root"]) as sql:
        days = sql.query("SELECT min(ts) AS first, max(ts) AS last FROM raw.trade WHERE run IS NULL").rows[0]
        windows = [(days[0], days[1] + 1)]
        whole = arrivals(sql, f"run = '{run}'", ["sample/tick"], windows)
        monkeypatch.setattr("eventstore.sql.connection._BATCH_ROWS", 3_000)
        assert arrivals(sql, f"run = '{run}'", ["sample/tick"], windows) == whole
    assert len(whole) > 90


def test_all_bars_of_one_end_are_known_to_what_is_decided_there(tmp_path):
    journal = Journal.open(tmp_path / "log")
    journal.append(quote_bar(60, 8.0, 8.2))
    at = journal.append(Bar(120 * SECOND, 60 * SECOND, "f", "ACME", 9.5, 9.5, 9.5, 9.5, 1.0))
    journal.append(quote_bar(120, 9.0, 9.2))
    order = ("o-1", "DU1", "s", "ACME", "BUY", Decimal(1), "MKT", None, None, "DAY", "why")
    journal.append(OrderIntended(120 * SECOND, *order), at, at)
    journal.append(quote_bar(180, 7.0, 7.2))
    journal.commit(sync=True)
    journal.close()
    with connect(tmp_path / "log") as sql:
        found = arrivals(sql, "run IS NULL", ["f"], [(0, 1_000 * SECOND)])
    assert found == {"o-1": pytest.approx(9.1)}  # not 8.1, of a minute before


def quote_bar(end_s, bid, ask):
    sides = (bid, bid, bid, bid, 1.0, ask, ask, ask, ask, 1.0)
    return QuoteBar(end_s * SECOND, (end_s - 60) * SECOND, "f", "ACME", *sides)


@pytest.mark.parametrize(
    ("side", "kind", "limit", "stop", "against"),
    [
        ("SELL", "STP", None, 95, 95.0),  # a stop-loss that waits
        ("SELL", "STP", None, 105, 100.0),  # one that the market had passed already
        ("BUY", "STP", None, 105, 105.0),
        ("BUY", "STP LMT", 106, 105, 105.0),
        ("SELL", "LMT", 110, None, 110.0),  # a target that waits
        ("SELL", "LMT", 99, None, 100.0),  # one at the market
        ("BUY", "LMT", 98, None, 98.0),
        ("BUY", "LMT", 101, None, 100.0),
        ("BUY", "LIT", 98, 97, 97.0),
        ("SELL", "TRAIL", None, 95, None),
    ],
)
def test_an_order_that_waits_is_measured_against_the_price_it_waits_for(side, kind, limit, stop, against):
    amounts = [None if price is None else Decimal(price) for price in (limit, stop)]
    found = measured_against({"o": 100.0, "other": 50.0}, [Asked("o", side, kind, *amounts)])
    assert found == {"other": 50.0} | ({} if against is None else {"o": against})


def test_an_order_without_an_arrival_price_gets_none():
    assert measured_against({}, [Asked("o", "SELL", "STP", None, Decimal(95))]) == {}
