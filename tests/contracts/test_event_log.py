"""The contract of an event log (eventstore/base.py), run on every implementation of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from core.errors import InvalidEvent, LogDead
from core.events import (
    Bar,
    CashAdjusted,
    Entry,
    Event,
    FeedDefined,
    Filled,
    OrderIntended,
    Quote,
    QuoteBar,
    Recorded,
    SegmentSealed,
    Trade,
    Unknown,
)
from core.ports import EntryReader, Selection
from eventstore.base import LogWriter
from eventstore.journal.journal import Journal
from eventstore.memory import MemoryLog
from eventstore.reading.reader import LogReader
from eventstore.sealing.compacting import compact
from tests.eventstore.sealed_logs import SealAtOnce

NAN, INF = float("nan"), float("inf")


@dataclass
class Subject:
    """An implementation under test: the writer, and a reader of what it has committed."""

    log: LogWriter
    read: Callable[[], EntryReader]


class Compacting(SealAtOnce):
    """Seals without a process, and merges what it sealed."""

    def compact(self, timeout_s: float) -> None:
        compact(self._root)


class SealedJournal(Journal):
    """A journal that closes and seals its segment at every commit."""

    def commit(self, *, sync: bool) -> None:
        super().commit(sync=sync)
        if self._writer.events > 1:
            self.roll()
            super().commit(sync=sync)


@pytest.fixture(params=["memory", "journal", "journal reopened", "sealed"])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    root = tmp_path / "log"
    clock = iter(range(1_000, 10_000_000)).__next__
    if request.param == "memory":
        memory = MemoryLog(clock=clock)
        yield Subject(memory, memory.reader)
        return
    if request.param == "sealed":
        journal: Journal = SealedJournal.open(root, clock=clock, sealer=Compacting(root))
    else:
        journal = Journal.open(root, clock=clock)
    if request.param == "journal reopened":
        journal.close()
        journal = Journal.open(root, clock=clock)
    yield Subject(journal, lambda: LogReader(root))
    journal.close()


def trade(ts: int, price: float = 10.0, instrument: str = "SPY", feed: str = "sample/tick") -> Trade:
    return Trade(ts, feed, instrument, price, 5.0, "P", "@")


def read(subject: Subject, selection: Selection = Selection()) -> list[Entry]:  # noqa: B008
    batches = list(subject.read().entries(selection))
    assert all(batches), "no batch is empty"
    # Housekeeping of the sealing is the implementation's own.
    return [e for batch in batches for e in batch if not isinstance(e.event, SegmentSealed)]


EVENTS: list[Event] = [
    FeedDefined(1, "sample/tick", "built in", "tick", consolidated=True),
    trade(2, 0.1 + 0.2),
    Quote(3, "sample/tick", "SPY", None, None, 10.25, 0.0),
    Bar(60, 0, "sample/tick", "SPY", 1.0, 2.0, 0.5, 1.5, 1e9),
    QuoteBar(60, 0, "sample/tick", "SPY", *(None,) * 5, 1.0, 2.0, 0.5, 1.5, 3.0),
    OrderIntended(
        4, "a-1-1", "DU1", "a", "SPY", "BUY", Decimal("1.5"), "LMT", Decimal("99.99"), None, "DAY", "标普 ü"
    ),
    Filled(5, "e.1", "a-1-1", "DU1", "a", "SPY", "SELL", Decimal("0.00000001"), Decimal("-3"), "ARCA"),
    Recorded(6, "a", "x", -1e-300),
    Unknown(7, "moon_phase", 3, msgspec.msgpack.encode({"ts": 7, "phase": [1, None, "full"]})),
    Unknown(8, "trade", 99, msgspec.msgpack.encode([8, "more", 1.5])),
]


def test_seqs_are_gap_free_from_one_in_call_order(subject: Subject) -> None:
    assert [subject.log.append(trade(ts)) for ts in (30, 10, 20)] == [1, 2, 3]
    assert subject.log.extend([trade(5), trade(4)]) == range(4, 6)
    assert subject.log.append(trade(1)) == 6
    assert subject.log.last_seq == 6
    subject.log.commit(sync=True)
    assert [(e.seq, e.event.ts) for e in read(subject)] == [(1, 30), (2, 10), (3, 20), (4, 5), (5, 4), (6, 1)]


def test_at_is_the_events_own_seq_unless_told_otherwise(subject: Subject) -> None:
    first = subject.log.append(trade(1))
    subject.log.append(Recorded(1, "a", "x", 1.0), at=first, cause=None)
    subject.log.append(Recorded(1, "a", "y", 1.0), at=first, cause=2)
    subject.log.commit(sync=True)
    assert [(e.at, e.cause) for e in read(subject)] == [(1, None), (1, None), (1, 2)]


def test_an_event_cannot_follow_from_the_future(subject: Subject) -> None:
    subject.log.append(trade(1))
    for at, cause in ((3, None), (0, None), (1, 3), (1, 0)):
        with pytest.raises(InvalidEvent, match="expected seqs between 1 and 2"):
            subject.log.append(trade(2), at=at, cause=cause)
    assert subject.log.last_seq == 1


def test_each_append_has_its_recv_and_an_extend_has_one(subject: Subject) -> None:
    subject.log.append(trade(1))
    subject.log.append(trade(2))
    subject.log.extend([trade(3), trade(4), trade(5)])
    subject.log.commit(sync=True)
    recvs = [e.recv for e in read(subject)]
    assert None not in recvs
    assert recvs[0] < recvs[1] < recvs[2] == recvs[3] == recvs[4]  # type: ignore[operator]


def test_nothing_is_visible_before_commit(subject: Subject) -> None:
    subject.log.append(trade(1))
    subject.log.commit(sync=True)
    subject.log.append(trade(2))
    subject.log.extend([trade(3)])
    assert [e.seq for e in read(subject)] == [1]
    assert subject.read().last_seq() == 1
    subject.log.commit(sync=False)
    assert [e.seq for e in read(subject)] == [1, 2, 3]
    assert subject.read().last_seq() >= 3


def test_a_synced_commit_is_durable(subject: Subject) -> None:
    assert subject.log.durable_seq == 0
    subject.log.append(trade(1))
    assert subject.log.durable_seq == 0
    subject.log.commit(sync=True)
    assert subject.log.durable_seq >= 1


def test_entries_read_back_equal_those_appended(subject: Subject) -> None:
    for event in EVENTS:
        subject.log.append(event)
    subject.log.commit(sync=True)
    found = read(subject)
    assert [e.event for e in found] == EVENTS
    assert [type(e.event) for e in found] == [type(e) for e in EVENTS]
    assert [e.seq for e in found] == list(range(1, len(EVENTS) + 1))


def test_what_extend_takes_reads_back_as_what_append_takes(subject: Subject) -> None:
    subject.log.extend(EVENTS)
    subject.log.commit(sync=True)
    assert [e.event for e in read(subject)] == EVENTS


def test_an_empty_extend_and_an_empty_commit_change_nothing(subject: Subject) -> None:
    assert subject.log.extend([]) == range(1, 1)
    subject.log.commit(sync=True)
    assert (subject.log.last_seq, read(subject)) == (0, [])


BAD: list[Event] = [
    trade(1, NAN),
    trade(1, INF),
    trade(1, -INF),
    Trade(1, "f", "SPY", 1.0, -1.0),
    Trade(1, "f", "SPY", 1.0, NAN),
    Quote(1, "f", "SPY", NAN, 1.0, 1.0, 1.0),
    Quote(1, "f", "SPY", 1.0, 1.0, 1.0, -0.5),
    Quote(1, "f", "SPY", 1.0, INF, 1.0, 1.0),
    Bar(1, 0, "f", "SPY", 1.0, 2.0, NAN, 1.0, 1.0),
    Bar(1, 0, "f", "SPY", 1.0, 2.0, 1.0, 1.0, -1.0),
    QuoteBar(1, 0, "f", "SPY", 1.0, 1.0, 1.0, INF, 1.0, *(None,) * 5),
    Recorded(1, "a", "x", NAN),
    CashAdjusted(1, "DU1", "USD", Decimal("NaN"), "x"),
    CashAdjusted(1, "DU1", "USD", Decimal("Infinity"), "x"),
    Filled(1, "e", "o", "DU1", "a", "SPY", "BUY", Decimal(-1), Decimal(1)),
]
MISTYPED: list[Event] = [
    Trade(1, "f", None, 1.0, 1.0),  # type: ignore[arg-type]
    Trade(1, "f", "SPY", "1.0", 1.0),  # type: ignore[arg-type]
    Trade(1.5, "f", "SPY", 1.0, 1.0),  # type: ignore[arg-type]
    Trade(1 << 64, "f", "SPY", 1.0, 1.0),
    Trade(1, "f", "\ud800", 1.0, 1.0),
    Quote(1, 7, "SPY", 1.0, 1.0, 1.0, 1.0),  # type: ignore[arg-type]
    Filled(1, "e", "o", "DU1", "a", "SPY", "HOLD", Decimal(1), Decimal(1)),  # type: ignore[arg-type]
    CashAdjusted(1, "DU1", "USD", 1j, "x"),  # type: ignore[arg-type]
    Unknown(1, "moon", 1, b"\xc1"),
    Unknown(1, "moon", 1, msgspec.msgpack.encode([1]) + b"\x00"),
    Unknown(2, "moon", 1, msgspec.msgpack.encode([1])),
    Unknown(1, "trade", 1, msgspec.msgpack.encode([1])),
    Event(1),
]


@pytest.mark.parametrize("event", [*BAD, *MISTYPED], ids=repr)
def test_what_must_not_be_stored_is_refused_and_not_buffered(subject: Subject, event: Event) -> None:
    with pytest.raises(InvalidEvent):
        subject.log.append(event)
    with pytest.raises(InvalidEvent):
        subject.log.extend([trade(1), trade(2), event, trade(3)])
    assert subject.log.last_seq == 0
    assert subject.log.append(trade(9)) == 1
    subject.log.commit(sync=True)
    assert [e.event for e in read(subject)] == [trade(9)]


def test_after_close_every_call_raises(subject: Subject) -> None:
    subject.log.append(trade(1))
    subject.log.close()
    for call in (
        lambda: subject.log.append(trade(2)),
        lambda: subject.log.extend([trade(2)]),
        lambda: subject.log.commit(sync=True),
    ):
        with pytest.raises(LogDead):
            call()
    subject.log.close()
    assert [e.event for e in read(subject)] == [trade(1)]


def fill_for_selections(subject: Subject) -> list[int]:
    """Append a trade and a recorded value for each time 1..8; return the seqs of the trades."""
    trades = []
    for ts in range(1, 9):
        seq = subject.log.append(
            trade(ts, instrument="SPY" if ts % 2 else "QQQ", feed="x/tick" if ts < 5 else "y/tick")
        )
        subject.log.append(Recorded(ts, "a", "x", float(ts)), at=seq)
        trades.append(seq)
        if ts % 3 == 0:
            subject.log.commit(sync=False)
    subject.log.commit(sync=True)
    return trades


@pytest.mark.parametrize(
    ("selection", "times"),
    [
        (Selection(types=frozenset({Trade}), begin_ts=3, end_ts=6), [3, 4, 5]),
        (Selection(instruments=frozenset({"QQQ"})), [2, 4, 6, 8]),
        (Selection(feeds=frozenset({"y/tick"}), instruments=frozenset({"SPY"})), [5, 7]),
        (Selection(first_seq=1_000), []),
        (Selection(feeds=frozenset()), []),
    ],
    ids=repr,
)
def test_a_selection_means_the_same_everywhere(
    subject: Subject, selection: Selection, times: list[int]
) -> None:
    fill_for_selections(subject)
    assert [e.event.ts for e in read(subject, selection)] == times


def test_seqs_of_a_selection_are_inclusive(subject: Subject) -> None:
    trades = fill_for_selections(subject)
    some = Selection(first_seq=trades[1], last_seq=trades[3])
    assert [e.event.ts for e in read(subject, some)] == [2, 2, 3, 3, 4]
    recorded = Selection(types=frozenset({Recorded}), last_seq=trades[3])
    assert [e.event.ts for e in read(subject, recorded)] == [1, 2, 3]


def test_market_data_come_as_arrays_in_seq_order(subject: Subject) -> None:
    fill_for_selections(subject)
    chunks = list(subject.read().market())
    assert [ts for chunk in chunks for ts in chunk.ts.tolist()] == list(range(1, 9))
    assert [event.ts for chunk in chunks for event in chunk.events] == list(range(1, 9))
    seqs = [seq for chunk in chunks for seq in chunk.seqs.tolist()]
    by_seq = {e.seq: e.event for e in read(subject)}
    assert [by_seq[seq].ts for seq in seqs] == list(range(1, 9))


def test_coverage_counts_market_data_by_type_feed_and_instrument(subject: Subject) -> None:
    fill_for_selections(subject)
    found = [
        (c.type, c.feed, c.instrument, c.count, c.first_ts, c.last_ts) for c in subject.read().coverage()
    ]
    assert found == [
        (Trade, "x/tick", "QQQ", 2, 2, 4),
        (Trade, "y/tick", "QQQ", 2, 6, 8),
        (Trade, "x/tick", "SPY", 2, 1, 3),
        (Trade, "y/tick", "SPY", 2, 5, 7),
    ]
