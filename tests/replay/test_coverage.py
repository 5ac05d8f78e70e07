"""What a log says it covers, against a count of its entries: sealed, hot, and both."""

import pytest

from core.events import MARKET_DATA, Bar, HaltChanged
from core.ports import Coverage
from eventstore.reading import coverage
from eventstore.reading.reader import LogReader
from tests.core.bench import MIN, OPEN, S, bar, quote, trade
from tests.eventstore.sealed_logs import START_NS, open_log, read_all, tick


def counted(root):
    """Count by looking at every entry."""
    found = {}
    for entry in read_all(root):
        if type(entry.event) in MARKET_DATA:
            event = entry.event
            found.setdefault((event.instrument, event.feed, type(event)), []).append((entry.seq, event.ts))
    made = []
    for (instrument, feed, kind), rows in found.items():
        seqs, times = [seq for seq, _ in rows], [ts for _, ts in rows]
        extent = (len(rows), seqs[0], seqs[-1], min(times), max(times))
        made.append(Coverage(kind, feed, instrument, *extent))
    return {(c.instrument, c.feed, c.type): c for c in made}


def told(root):
    found = LogReader(root).coverage()
    by_key = {(c.instrument, c.feed, c.type): c for c in found}
    assert len(by_key) == len(found), "one entry a type, feed and instrument"
    return by_key


MIXED = [tick(n) for n in range(400)]
ONE_FEED = [trade(OPEN + n * S, 1.0, name="ABC"[n % 3]) for n in range(60)]
ONE_INSTRUMENT = [bar(OPEN + n * MIN, 1, 1, 1, 1, feed=f"{'xy'[n % 2]}/minute") for n in range(60)]
BACKWARDS = [quote(OPEN - n * S, 1, 2) for n in range(50)]


@pytest.mark.parametrize(
    "events", [MIXED, ONE_FEED, ONE_INSTRUMENT, BACKWARDS], ids=["mixed", "feed", "name", "back"]
)
@pytest.mark.parametrize("rolls", [0, 1, 3])
def test_coverage_is_a_count_wherever_the_events_lie(tmp_path, events, rolls):
    root = tmp_path / "log"
    journal = open_log(root)
    size = len(events) // (rolls + 1)
    for start in range(0, len(events), size):
        journal.extend(events[start : start + size])
        journal.append(HaltChanged(START_NS, "f", "IBM", halted=True))  # no market data to be replayed
        journal.commit(sync=True)
        if start // size < rolls:
            journal.roll()
            journal.commit(sync=True)
    try:
        assert bool(list((root / "sealed").iterdir())) is (rolls > 0)
        assert told(root) == counted(root)
    finally:
        journal.close()


def test_coverage_of_a_log_without_market_data_is_empty(tmp_path):
    journal = open_log(tmp_path / "log")
    journal.append(HaltChanged(1, "f", "IBM", halted=True))
    journal.commit(sync=True)
    journal.close()
    assert LogReader(tmp_path / "log").coverage() == []


def test_coverage_comes_in_a_fixed_order(tmp_path):
    keys = []
    for name, events in (("a", ONE_FEED), ("b", ONE_FEED[::-1])):
        journal = open_log(tmp_path / name)
        journal.extend(events)
        journal.commit(sync=True)
        journal.close()
        keys.append([(c.instrument, c.feed, c.type) for c in LogReader(tmp_path / name).coverage()])
    assert keys[0] == keys[1] == sorted(keys[0], key=lambda key: key[:2])


def test_a_part_with_one_instrument_and_several_feeds_is_told_from_its_manifest(tmp_path, monkeypatch):
    def never(*args):
        raise AssertionError("looked inside")

    journal = open_log(tmp_path / "log")
    journal.extend(ONE_INSTRUMENT)
    journal.roll()
    journal.commit(sync=True)
    journal.close()
    monkeypatch.setattr(coverage, "_look_inside", never)
    assert {c.type for c in LogReader(tmp_path / "log").coverage()} == {Bar}
