"""The built-in sample: the same everywhere, honest about itself, and shaped like recorded data."""

import hashlib
import itertools
import os
import subprocess
import sys
from bisect import bisect_right
from collections import Counter, defaultdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from adapters.replay.calendar import sessions as of_calendar
from adapters.replay.sample import ROWS, import_sample, sample_events
from adapters.replay.sample_names import DAYS, INSTRUMENT
from core.errors import DataMissing
from core.events import FeedDefined, HaltChanged, InstrumentDefined, Quote, SessionScheduled, Trade
from eventstore.codec import check
from eventstore.memory import MemoryLog
from tests.importers.lean_files import entries, events

NEW_YORK = ZoneInfo("America/New_York")
# Changes only with the generator's version: a sample that changes in silence would change every run hash.
CONTENT = {
    "2025-07-02": "64cd7a707fd0424bc90bfac527f088a4",
    "2025-07-03": "b86133f16429e00edea3961ec010deec",
}
_CHILD = """
import hashlib, msgspec
from adapters.replay.calendar import sessions as of_calendar
from adapters.replay.sample import sample_events
from adapters.replay.sample_names import DAYS
for day in DAYS:
    print(hashlib.blake2b(msgspec.msgpack.encode(sample_events(day)), digest_size=16).hexdigest())
"""


@pytest.fixture(scope="module")
def days():
    return {day: sample_events(day) for day in DAYS}


@pytest.fixture(scope="module")
def log():
    made = MemoryLog()
    import_sample(made, made.reader())
    return made


def ns(day: str, clock: str) -> int:
    return int(datetime.fromisoformat(f"{day} {clock}").replace(tzinfo=NEW_YORK).timestamp()) * 10**9


def test_the_sample_is_the_same_in_every_process():
    outputs = set()
    for seed, zone in (("0", "UTC"), ("4242", "Asia/Tokyo")):
        env = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "PYTHONPATH": str(Path.cwd())}
        done = subprocess.run(
            [sys.executable, "-c", _CHILD], env=env, capture_output=True, text=True, check=True
        )
        outputs.add(done.stdout)
    assert outputs == {"".join(f"{digest}\n" for digest in CONTENT.values())}


def test_the_sample_is_pinned(days):
    for day, found in days.items():
        assert len(found) == ROWS[day]
        digest = hashlib.blake2b(msgspec.msgpack.encode(found), digest_size=16).hexdigest()
        assert digest == CONTENT[day]


def test_the_sample_goes_through_the_ordinary_importer_once(log):
    held = entries(log.reader())
    again = import_sample(log, log.reader())
    assert entries(log.reader()) == held
    assert (again.read, again.duplicates, again.accepted) == (sum(ROWS.values()), sum(ROWS.values()), 0)
    assert list(again.files) == [f"sample-{day}" for day in DAYS]


def test_the_sample_says_that_it_is_synthetic(log):
    found = events(log.reader())
    feed = next(event for event in found if type(event) is FeedDefined)
    assert (feed.feed, feed.source, feed.resolution, feed.consolidated) == (
        "sample/tick",
        "synthetic",
        "tick",
        False,
    )
    instruments = {event.instrument: event for event in found if type(event) is InstrumentDefined}
    assert sorted(instruments) == ["ZVF-202509", "ZVXA", "ZVXB", "ZVXC"]
    assert all("synthetic" in instrument.description for instrument in instruments.values())
    future = instruments["ZVF-202509"]
    assert (future.kind, future.multiplier, future.tick_size) == ("FUT", Decimal(50), Decimal("0.25"))


def test_the_second_day_is_a_half_day(log):
    sessions = {(e.date, e.exchange): e for e in events(log.reader()) if type(e) is SessionScheduled}
    assert sessions["2025-07-02", "XNYS"].close == ns("2025-07-02", "16:00")
    assert sessions["2025-07-03", "XNYS"].close == ns("2025-07-03", "13:00")
    assert all(session.begin < session.open < session.close < session.end for session in sessions.values())
    assert len(sessions) == 4


def test_the_hours_written_down_are_the_calendars(log):
    first, last = (datetime.fromisoformat(day).date() for day in DAYS)
    held = [e for e in events(log.reader()) if type(e) is SessionScheduled and e.exchange == "XNYS"]
    assert held == of_calendar("XNYS", first, last)


@pytest.mark.parametrize(
    ("day", "low", "high"), [("2025-07-02", 110_000, 130_000), ("2025-07-03", 55_000, 70_000)]
)
def test_a_day_has_the_shape_of_recorded_ticks(days, day, low, high):
    found = days[day]
    counts = Counter(type(event) for event in found)
    assert low <= len(found) <= high
    assert 4 <= counts[Quote] / counts[Trade] <= 5
    shared = sum(a.ts == b.ts for a, b in itertools.pairwise(found))
    assert 0.45 <= shared / len(found) <= 0.55
    assert all(a.ts <= b.ts for a, b in itertools.pairwise(found))
    assert all((e.bid is None) != (e.ask is None) for e in found if type(e) is Quote)
    assert sum(type(e) is Trade and e.suspicious for e in found) == 1
    for event in found:
        check(event)


def test_many_quotes_change_the_size_alone(days):
    last: dict[tuple[str, str, bool], float] = {}
    same = quotes = 0
    for event in days["2025-07-02"]:
        if type(event) is Quote:
            key = (event.instrument, event.venue, event.bid is not None)
            price = event.bid if event.bid is not None else event.ask
            assert price is not None
            same += last.get(key) == price
            quotes += 1
            last[key] = price
    assert 0.3 < same / quotes < 0.8


def test_the_venues_of_one_share_are_never_crossed_when_a_millisecond_is_over(days):
    found = [e for e in days["2025-07-03"] if type(e) is Quote and e.instrument == INSTRUMENT]
    bid, ask = defaultdict(float), {}
    for event, later in itertools.pairwise(found):
        if event.bid is not None:
            bid[event.venue] = event.bid
        elif event.ask is not None:
            ask[event.venue] = event.ask
        if event.ts != later.ts and bid and ask:
            assert max(bid.values()) < min(ask.values())
    assert len(bid) == len(ask) == 5


def test_the_first_day_has_a_halt_without_ticks_and_a_resumption(days, log):
    halts = [event for event in days["2025-07-02"] if type(event) is HaltChanged]
    assert [(halt.instrument, halt.halted) for halt in halts] == [("ZVXB", True), ("ZVXB", False)]
    begin, end = (halt.ts for halt in halts)
    mine = [e for e in days["2025-07-02"] if e.instrument == "ZVXB" and type(e) is not HaltChanged]
    assert not [event for event in mine if begin <= event.ts < end]
    assert [event for event in mine if event.ts >= end]
    made = MemoryLog()
    gaps = import_sample(made, made.reader()).gaps
    assert [(gap.instrument, gap.kind, gap.date) for gap in gaps] == [("ZVXB", "ticks", "2025-07-02")]


def test_the_bad_print_is_far_off_and_flagged(days):
    for day in DAYS:
        (bad,) = [e for e in days[day] if type(e) is Trade and e.suspicious]
        good = [
            e for e in days[day] if type(e) is Trade and e.instrument == bad.instrument and not e.suspicious
        ]
        near = good[bisect_right([e.ts for e in good], bad.ts) - 1]
        assert abs(bad.price / near.price - 1) > 0.1


def test_there_is_some_trading_before_the_open_and_most_at_both_ends(days):
    found = days["2025-07-02"]
    half_hours = Counter((event.ts - ns("2025-07-02", "09:30")) // (1800 * 10**9) for event in found)
    assert 0 < sum(count for place, count in half_hours.items() if place < 0) < 0.02 * len(found)
    middle = [half_hours[place] for place in range(4, 9)]
    assert half_hours[0] > 1.5 * max(middle)
    assert half_hours[12] > min(middle)


@pytest.mark.parametrize("instrument", ["ZVXA", "ZVXB", "ZVXC", "ZVF-202509"])
def test_averages_cross_a_few_times_in_a_thousand_events(days, instrument):
    mine = [event for event in days["2025-07-02"] if event.instrument == instrument]
    prices = [event.price for event in mine if type(event) is Trade and not event.suspicious]
    above = [sum(prices[i - 20 : i]) / 20 > sum(prices[i - 50 : i]) / 50 for i in range(50, len(prices))]
    crosses = sum(a != b for a, b in itertools.pairwise(above))
    assert 1 <= 1000 * crosses / len(mine) <= 10


def test_volatility_comes_in_clusters(days):
    trades = [
        e for e in days["2025-07-02"] if type(e) is Trade and e.instrument == INSTRUMENT and not e.suspicious
    ]
    minutes: dict[int, list[float]] = defaultdict(list)
    for trade in trades:
        minutes[trade.ts // (60 * 10**9)].append(trade.price)
    ranges = [max(prices) - min(prices) for _, prices in sorted(minutes.items())][90:480]
    mean = sum(ranges) / len(ranges)
    apart = [(a - mean) * (b - mean) for a, b in itertools.pairwise(ranges)]
    assert sum(apart) / sum((value - mean) ** 2 for value in ranges) > 0.25


def test_a_date_that_the_sample_lacks_names_those_it_has():
    made = MemoryLog()
    with pytest.raises(DataMissing, match="2025-07-02 and 2025-07-03"):
        import_sample(made, made.reader(), ["2025-07-04"])


def test_the_sample_imports_no_calendar_and_no_data_frames():
    code = (
        "import sys; from adapters.replay.sample import import_sample; "
        "from eventstore.memory import MemoryLog; "
        "log = MemoryLog(); import_sample(log, log.reader(), ['2025-07-03']); "
        "print([m for m in ('pandas', 'pyarrow', 'duckdb', 'exchange_calendars') if m in sys.modules])"
    )
    env = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
