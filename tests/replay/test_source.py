"""The replay source: order between streams against a naive sort, ordinals, and bounded memory."""

import tracemalloc
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.replay import source as source_module
from adapters.replay.source import BATCH_EVENTS, LogSource, Slice, merge
from adapters.replay.streams import Span, Stream, join, spans_of
from core.events import (
    Entry,
    HaltChanged,
    ImportFinished,
    ImportResumed,
    ImportStarted,
    SessionEnded,
    SessionStarted,
    Trade,
)
from core.ports import Coverage, MarketChunk, Selection
from eventstore.memory import MemoryLog
from tests.conftest import examples
from tests.core.bench import OPEN, trade


def event(ts, feed="f", name="ACME"):
    return Trade(ts, feed, name, 1.0, 1.0)


def chunk(rows, feed):
    """Return a chunk of `(seq, ts)` rows."""
    return MarketChunk(
        np.array([seq for seq, _ in rows], dtype=np.int64),
        np.array([ts for _, ts in rows], dtype=np.int64),
        [event(ts, feed) for _, ts in rows],
    )


def chunked(rows, sizes, feed):
    start, n = 0, 0
    while start < len(rows):
        size = sizes[n % len(sizes)]
        if rows[start : start + size]:
            yield chunk(rows[start : start + size], feed)
        start, n = start + size, n + 1


def naive(lanes):
    """Sort everything by clock, feed, seq, where clock is the running maximum of ts in a stream."""
    keyed = []
    for feed, rows in lanes:
        clock = 0
        for seq, ts in rows:
            clock = max(clock, ts)
            keyed.append((clock, feed, seq))
    return [seq for _, _, seq in sorted(keyed)]


LANES = st.lists(
    st.tuples(
        st.sampled_from(["a/tick", "b/minute", ""]),
        st.lists(st.integers(1, 40), max_size=40),  # times, often equal and out of order
        st.lists(st.integers(1, 7), min_size=1, max_size=4),  # sizes of chunks
    ),
    min_size=1,
    max_size=4,
)


def numbered(lanes):
    """Give the streams ranges of seqs of their own, the first stream the highest."""
    return [
        (feed, [(10_000 * (len(lanes) - n) + i, ts) for i, ts in enumerate(times)], sizes)
        for n, (feed, times, sizes) in enumerate(lanes)
    ]


def merged(lanes):
    streams = [(feed, chunked(rows, sizes, feed)) for feed, rows, sizes in lanes]
    return [
        (seq, ts)
        for part in merge(streams)
        for seq, ts in zip(part.seqs.tolist(), part.ts.tolist(), strict=True)
    ]


@settings(max_examples=examples(300), deadline=None)
@given(LANES)
def test_a_merge_of_streams_is_a_sort_whatever_the_chunks(lanes):
    streams = numbered(lanes)
    assert [seq for seq, _ in merged(streams)] == naive([(feed, rows) for feed, rows, _ in streams])


def test_a_merge_keeps_events_with_their_seqs_and_times():
    streams = numbered([("a", [1, 5, 3], [2]), ("b", [2, 4], [1])])
    parts = list(merge([(feed, chunked(rows, sizes, feed)) for feed, rows, sizes in streams]))
    for part in parts:
        assert [e.ts for e in part.events] == part.ts.tolist()
    assert [e.feed for part in parts for e in part.events] == ["a", "b", "b", "a", "a"]


def test_within_a_stream_the_recorded_order_stands_even_where_times_go_back():
    assert [seq for seq, _ in merged(numbered([("a", [5, 1, 9, 2], [3])]))] == [
        10_000,
        10_001,
        10_002,
        10_003,
    ]


def test_a_merge_that_orders_by_time_alone_is_caught(monkeypatch):
    def by_ts(parts):
        ts, seqs = np.concatenate([p[2] for p in parts]), np.concatenate([p[3] for p in parts])
        events = [e for p in parts for e in p[4]]
        order = np.argsort(ts, kind="stable")
        return MarketChunk(seqs[order], ts[order], [events[i] for i in order])

    streams = numbered([("a", [5, 1, 9, 2], [3]), ("b", [3, 4], [1])])
    monkeypatch.setattr(source_module, "_merged", by_ts)
    assert [seq for seq, _ in merged(streams)] != naive([(feed, rows) for feed, rows, _ in streams])


# -- streams -----------------------------------------------------------------------------------


def frames(*events_at):
    return [[Entry(seq, None, seq, None, framing) for seq, framing in events_at]]


def started(digest, feed="f"):
    return ImportStarted(0, digest, feed, "x", "[]")


def finished(digest, first, last):
    return ImportFinished(0, digest, 1, 1, 0, first, last)


def test_imports_and_sessions_cut_a_log_into_spans():
    found = spans_of(
        frames(
            (3, started("d1")),
            (9, finished("d1", 100, 200)),
            (10, started("d2", "g")),
            (15, ImportResumed(0, "d2", 4)),
            (20, finished("d2", 300, 400)),
            (21, SessionStarted(0, 1, "live", "DU1", "", "", "", "", "", "")),
            (30, SessionEnded(0, 1, "finished")),
        ),
        40,
    )
    assert found == [
        Span(1, 2, ""),
        Span(3, 9, "f", 100, 200),
        Span(10, 14, "g"),
        Span(15, 20, "g", 300, 400),
        Span(21, 40, ""),
    ]


def test_spans_that_follow_each_other_in_time_share_a_stream():
    days = [Span(10 * n + 1, 10 * n + 10, "f", n * 100, n * 100 + 99) for n in range(250)]
    (stream,) = join(days)
    assert stream == Stream("f", (Span(1, 2500, "f", 0, 24_999),))


def test_days_imported_backwards_are_one_stream_in_time_order():
    late, early = Span(1, 10, "f", 100, 199), Span(11, 20, "f", 0, 99)
    assert join([late, early]) == [Stream("f", (early, late))]


def test_spans_that_overlap_in_time_or_are_of_unknown_length_are_merged_not_chained():
    a, b, c = Span(1, 10, "f", 0, 99), Span(11, 20, "f", 50, 150), Span(21, 30, "f")
    assert len(join([a, b, c])) == 3
    assert len(join([a, Span(11, 20, "g", 100, 150)])) == 2


def test_recorded_sessions_are_one_stream_by_seq_alone():
    assert join([Span(1, 10), Span(21, 30)]) == [Stream("", (Span(1, 10), Span(21, 30)))]


# -- a log as source ---------------------------------------------------------------------------


def imported(log, digest, events, feed="t/tick"):
    first = log.append(started(digest, feed))
    log.extend(events)
    times = [e.ts for e in events]
    last = log.append(finished(digest, min(times), max(times)))
    return Span(first, last, feed, min(times), max(times))


def played(log, spans, **selection):
    log.commit(sync=False)
    streams = tuple(join(spans))
    source = LogSource(log.reader(), [Slice(selection=Selection(**selection), streams=streams)])
    return source, [pair for batch in source.batches() for pair in batch]


def test_two_imports_of_a_day_merge_by_clock_then_seq():
    log = MemoryLog(clock=lambda: 1)
    a = [trade(ts, 1.0) for ts in (10, 30, 20, 50)]
    b = [trade(ts, 2.0, name="OTHER") for ts in (10, 30, 40)]
    _, inputs = played(log, [imported(log, "a", a), imported(log, "b", b)])
    assert [(e.ts, e.price) for _, e in inputs] == [
        (10, 1.0),
        (10, 2.0),
        (30, 1.0),
        (20, 1.0),  # recorded after 30 in its file: its clock is 30, and its seq is the lower one
        (30, 2.0),
        (40, 2.0),
        (50, 1.0),
    ]


def test_a_slice_reads_what_its_selection_names_only():
    log = MemoryLog(clock=lambda: 1)
    rows = [trade(ts, 1.0, name=name) for ts in range(10) for name in ("ACME", "OTHER")]
    span = imported(log, "a", rows)
    _, inputs = played(log, [span], instruments=frozenset({"OTHER"}), begin_ts=3, end_ts=6)
    assert [(e.ts, e.instrument) for _, e in inputs] == [(3, "OTHER"), (4, "OTHER"), (5, "OTHER")]


def test_inputs_that_are_no_market_data_come_first_at_their_time():
    log = MemoryLog(clock=lambda: 1)
    span = imported(log, "a", [trade(ts, 1.0) for ts in (1, 2, 3)])
    halt = HaltChanged(2, "t/tick", "ACME", halted=True)
    log.commit(sync=False)
    part = Slice(selection=Selection(), streams=tuple(join([span])), extra=((99, halt),))
    inputs = [pair for batch in LogSource(log.reader(), [part]).batches() for pair in batch]
    assert [seq for seq, _ in inputs] == [2, 99, 3, 4]


TWO_FEEDS = {"a": range(1, 40, 2), "b": range(2, 40, 3)}
ONE_FEED = {"a": range(1, 40)}  # its seqs follow each other: they are not searched for


@pytest.mark.parametrize("feeds", [TWO_FEEDS, ONE_FEED], ids=["merged", "whole"])
@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_ordinals_are_positions_among_the_inputs_of_this_batch_and_the_one_before(monkeypatch, chunk, feeds):
    monkeypatch.setattr(source_module, "BATCH_EVENTS", 7)
    monkeypatch.setattr(source_module, "SMALL_EVENTS", 4)
    lanes = numbered([(feed, list(times), [chunk]) for feed, times in feeds.items()])
    source = LogSource(MemoryLog().reader(), [])
    source._chunks = lambda: merge([(feed, chunked(rows, sizes, feed)) for feed, rows, sizes in lanes])
    before: list[tuple[int, int]] = []
    position = 0
    for batch in source.batches():
        now = [(seq, position + n) for n, (seq, _) in enumerate(batch, 1)]
        position += len(now)
        seqs = np.array([seq for seq, _ in before + now], dtype=np.int64)
        assert source.ordinals(seqs).tolist() == [where for _, where in before + now]
        before = now
    assert position == source.inputs == sum(map(len, feeds.values()))
    assert source.ordinals(np.array([10**9], dtype=np.int64)).tolist() == [0]
    assert (source.first_ts, source.last_ts) == (1, 39)


def test_tiny_chunks_come_in_batches_that_hold_a_slice_of_bars():
    source = LogSource(MemoryLog().reader(), [])
    source._chunks = lambda: chunked([(n, n) for n in range(1, 5001)], [1], "f")
    sizes = [sum(1 for _ in batch) for batch in source.batches()]
    assert sizes == [1024] * 4 + [904]


class Endless:
    """A reader that makes its chunks as they are asked for: `count` events, none of them kept."""

    def __init__(self, count, size=20_000):
        self.count, self.size = count, size

    def last_seq(self) -> int:
        return 1 << 30

    def entries(self, selection: Selection = Selection()) -> Iterator[Sequence[Entry]]:  # noqa: B008
        yield from ()

    def coverage(self) -> list[Coverage]:
        return []

    def market(self, selection: Selection = Selection()) -> Iterator[MarketChunk]:  # noqa: B008
        same = trade(OPEN, 1.0)
        first = selection.first_seq
        for start in range(0, self.count, self.size):
            seqs = np.arange(first + start, first + start + self.size, dtype=np.int64)
            yield MarketChunk(seqs, seqs - first + OPEN, [same] * self.size)


def peak_bytes(count, streams):
    spans = [Stream("f", (Span(1 + n * count, (n + 1) * count, "f"),)) for n in range(streams)]
    source = LogSource(Endless(count // streams), [Slice(selection=Selection(), streams=tuple(spans))])
    tracemalloc.start()
    for _ in source.batches():
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert source.inputs == count
    return peak


def test_two_million_events_need_no_more_memory_than_two_hundred_thousand():
    little = peak_bytes(200_000, 1)
    assert little < 12_000_000  # a few chunks of 20,000 events: columns and lists
    assert peak_bytes(2_000_000, 1) < little * 1.2


def test_a_merge_needs_no_more_memory_for_more_events():
    assert peak_bytes(800_000, 2) < peak_bytes(200_000, 2) * 1.2


def test_a_source_that_keeps_what_it_read_is_caught(monkeypatch):
    def hoard(lanes):
        yield from list(merge(lanes))

    little = peak_bytes(200_000, 2)
    monkeypatch.setattr(source_module, "merge", hoard)
    assert peak_bytes(400_000, 2) > little * 1.2


def test_a_batch_is_bounded_whatever_the_chunk():
    source = LogSource(
        Endless(100_000, 50_000), [Slice(selection=Selection(), streams=(Stream("f", (Span(1, 2),)),))]
    )
    assert max(sum(1 for _ in batch) for batch in source.batches()) == BATCH_EVENTS
