"""What a replay reads: session dates, the finest feed, the files that hold it, the days before."""

import pytest

from adapters.replay.source import LogSource
from app.composition.seating import StrategySpec, seat, spread
from app.replay.options import ReplayOptions
from app.replay.period import Period, parse_period
from app.replay.planning import Planner
from app.replay.replaying import Replay, again
from core.errors import DataMissing, UnknownInstrument, UsageError
from core.events import (
    FeedDefined,
    FxRateReported,
    HaltChanged,
    ImportFinished,
    ImportStarted,
    OrderIntended,
)
from core.money import money
from core.ports import Selection
from core.strategy import Subscription
from eventstore.memory import MemoryLog
from eventstore.reading.reader import LogReader
from eventstore.runs.checks import verify_run
from projections.sessions import Sessions
from tests.core.bench import BEGIN, CLOSE, END, MIN, OPEN, S, bar, instrument, session, trade
from tests.eventstore.sealed_logs import open_log

DAY = 24 * 60 * MIN
DATES = ["2025-07-02", "2025-07-03", "2025-07-04"]


def definitions():
    return [
        FeedDefined(0, "t/tick", "test", "tick", consolidated=True),
        FeedDefined(0, "t/minute", "test", "minute", consolidated=True),
        instrument(),
        instrument("OTHER"),
        *(session(date, n * DAY) for n, date in enumerate(DATES)),
    ]


def imported(log, digest, feed, events):
    times = [event.ts for event in events]
    log.append(ImportStarted(0, digest, feed, "x", "[]"))
    log.extend(events)
    log.append(ImportFinished(0, digest, len(events), len(events), 0, min(times), max(times)))


def prices(day, count=30, feed="t/tick", name="ACME"):
    start = OPEN + day * DAY
    if feed == "t/minute":
        return [bar(start + (n + 1) * MIN, 10, 11, 9, 10 + n % 5, name=name) for n in range(count)]
    return [trade(start + n * S, 10.0 + (n * 7 + day) % 5, name=name) for n in range(count)]


def filled(log):
    log.extend(definitions())
    imported(log, "ticks-1", "t/tick", prices(1))
    imported(log, "ticks-0", "t/tick", prices(0))  # the earlier day was imported later
    imported(log, "bars-0", "t/minute", prices(0, feed="t/minute"))
    imported(log, "bars-2", "t/minute", prices(2, feed="t/minute"))
    imported(log, "others", "t/tick", prices(0, name="OTHER"))
    log.commit(sync=False)
    return log


@pytest.fixture
def reader():
    return filled(MemoryLog(clock=lambda: 1)).reader()


def planner(reader):
    sessions = Sessions()
    for batch in reader.entries():
        for entry in batch:
            sessions.apply(entry)
    return Planner(reader, sessions)


def plan(reader, first, last=None, *subscriptions):
    return planner(reader).plan(Period(first, last or first), subscriptions or [Subscription("ACME")])


def inputs(reader, found):
    return [event for batch in LogSource(reader, found.slices).batches() for _, event in batch]


def test_a_date_is_its_session_and_nothing_else(reader):
    found = plan(reader, DATES[0])
    (part,) = found.parts
    assert (part.feed, part.instruments, part.begin_ts, part.end_ts) == ("t/tick", ("ACME",), BEGIN, END)
    assert inputs(reader, found) == prices(0)
    assert found.bar_instruments == frozenset()


def test_the_finest_feed_is_taken_unless_another_is_named(reader):
    assert plan(reader, DATES[0]).parts[0].feed == "t/tick"
    assert plan(reader, DATES[2]).parts[0].feed == "t/minute"
    by_feed = plan(reader, DATES[0], None, Subscription("ACME", feed="t/minute"))
    by_resolution = plan(reader, DATES[0], None, Subscription("ACME", resolution="minute"))
    assert by_feed.parts == by_resolution.parts
    assert by_feed.bar_instruments == {"ACME"}
    assert inputs(reader, by_feed) == prices(0, feed="t/minute")


def test_a_finer_feed_that_has_no_data_on_the_day_is_no_choice():
    hole = MemoryLog(clock=lambda: 1)
    hole.extend(definitions())
    imported(hole, "ticks-0", "t/tick", prices(0))
    imported(hole, "ticks-2", "t/tick", prices(2))
    imported(hole, "bars-1", "t/minute", prices(1, feed="t/minute"))
    hole.commit(sync=False)
    assert plan(hole.reader(), DATES[1]).parts[0].feed == "t/minute"


def test_days_imported_in_any_order_are_read_in_time_order(reader):
    assert inputs(reader, plan(reader, DATES[0], DATES[1])) == prices(0) + prices(1)


def test_two_instruments_of_one_feed_are_one_part_merged_by_time(reader):
    found = plan(reader, DATES[0], None, Subscription("ACME"), Subscription("OTHER"))
    assert [part.instruments for part in found.parts] == [("ACME", "OTHER")]
    both = sorted(prices(0) + prices(0, name="OTHER"), key=lambda e: (e.ts, e.instrument))
    assert inputs(reader, found) == both


def test_two_feeds_of_one_kind_for_one_instrument_are_refused(reader):
    log = filled(MemoryLog(clock=lambda: 1))
    log.append(FeedDefined(0, "u/tick", "test", "tick", consolidated=True))
    imported(log, "more", "u/tick", [trade(OPEN, 1.0)])
    log.commit(sync=False)
    wanted = [Subscription("ACME", feed="t/tick"), Subscription("ACME", feed="t/minute")]
    assert len(plan(log.reader(), DATES[0], None, *wanted).parts) == 2  # ticks and bars are two kinds


@pytest.mark.parametrize(
    ("first", "subscription", "error", "says"),
    [
        ("2025-07-07", Subscription("ACME"), DataMissing, "are 2025-07-02, 2025-07-03, 2025-07-04"),
        ("2025-07-03", Subscription("OTHER"), DataMissing, "no data of OTHER for 2025-07-03; the nearest"),
        ("2025-07-03", Subscription("ACME", feed="t/minute"), DataMissing, "are 2025-07-02, 2025-07-04"),
        ("2025-07-02", Subscription("ACMEE"), UnknownInstrument, "did you mean ACME?"),
    ],
)
def test_what_is_missing_is_said_with_what_is_near(reader, first, subscription, error, says):
    with pytest.raises(error, match=says.replace("?", r"\?")):
        plan(reader, first, None, subscription)


def test_halts_of_what_is_read_and_rates_come_along_in_their_place():
    log = filled(MemoryLog(clock=lambda: 1))
    log.append(HaltChanged(OPEN + 5 * S, "t/tick", "ACME", halted=True))
    log.append(HaltChanged(OPEN + 5 * S, "t/tick", "OTHER", halted=True))
    log.append(FxRateReported(OPEN + 7 * S, "EUR", "USD", money("1.1")))
    log.append(FxRateReported(OPEN + DAY, "EUR", "USD", money("1.2")))
    log.commit(sync=False)
    found = inputs(log.reader(), plan(log.reader(), DATES[0]))
    extra = [
        (n, type(event).__name__)
        for n, event in enumerate(found)
        if not isinstance(event, type(trade(0, 1.0)))
    ]
    assert extra == [(5, "HaltChanged"), (8, "FxRateReported")]


def test_content_names_files_and_bounds_and_not_the_log(reader):
    other = MemoryLog(clock=lambda: 2)
    imported(other, "unrelated", "z/tick", [trade(1, 1.0)])
    filled(other)
    assert plan(reader, DATES[0], DATES[1]).content == plan(other.reader(), DATES[0], DATES[1]).content
    assert "ticks-0" in plan(reader, DATES[0]).content
    assert plan(reader, DATES[0]).content != plan(reader, DATES[1]).content


@pytest.mark.parametrize("text", ["2025-7-2", "yesterday", "2025-07-02..", "2025-07-02...2025-07-03", ""])
def test_what_is_no_period_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match=r"expected 2025-07-02 or 2025-07-02\.\.2025-07-03"):
        parse_period(text)


def test_a_period_runs_forward():
    assert str(parse_period("2025-07-02")) == "2025-07-02"
    assert str(parse_period("2025-07-02..2025-07-03")) == "2025-07-02..2025-07-03"
    with pytest.raises(UsageError, match="the first date is after the last one"):
        parse_period("2025-07-03..2025-07-02")


# -- whole replays -----------------------------------------------------------------------------

WARM = """
from core.strategies.sma_cross import SmaCross, SmaCrossParameters
from core.strategy import WarmUp, Strategy


class Warm(SmaCross):
    parameters = SmaCrossParameters
    warm_up = WarmUp(sessions={sessions})
"""


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "log"
    journal = open_log(root, sealing=False)
    filled(journal)
    journal.close()
    return root


def decided(run, since):
    intents = Selection(types=frozenset({OrderIntended}))
    return [(e.event.ts, e.event.side) for b in run.entries(intents) for e in b if e.event.ts >= since]


def replay(root, spec, first, last=None):
    return Replay(root, LogReader(root), Period(first, last or first), [spec], ReplayOptions())


def test_a_strategy_is_warmed_up_with_the_sessions_before(root, tmp_path):
    def spec(sessions):
        path = tmp_path / f"warm{sessions}.py"
        path.write_text(WARM.format(sessions=sessions))
        return StrategySpec(str(path), {"instrument": "ACME", "fast": 3, "slow": 20})

    warmed = replay(root, spec(1), DATES[1])
    assert [str(p.period) for p in warmed.plans] == [DATES[0], DATES[1]]
    run = warmed.run()
    whole = replay(root, spec(0), DATES[0], DATES[1]).run()
    cold = replay(root, spec(0), DATES[1]).run()
    second_day = OPEN + DAY
    assert decided(run, 0) == decided(run, second_day)  # no order belongs to the days before
    assert decided(run, second_day)[1:] == decided(whole, second_day)[-len(decided(run, second_day)) + 1 :]
    assert decided(run, second_day) != decided(cold, second_day)
    assert run.summary["inputs"] == 30
    assert verify_run(run.path) == []
    assert again(root, LogReader(root), run).run_id == run.id


def test_too_few_sessions_to_warm_up_are_said(root, tmp_path):
    path = tmp_path / "warm.py"
    path.write_text(WARM.format(sessions=3))
    with pytest.raises(DataMissing, match="needs 3 sessions before 2025-07-03 to warm up; the log holds 1"):
        replay(root, StrategySpec(str(path), {"instrument": "ACME"}), DATES[1])


def test_the_same_strategy_twice_has_two_ids():
    spec = StrategySpec("buy_and_hold", {"instrument": "ACME"})
    assert [s.id for s in seat([spec, spec, StrategySpec("buy_and_hold", spec.parameters, "mine")])] == [
        "buy_and_hold",
        "buy_and_hold.2",
        "mine",
    ]


def test_two_instances_run_beside_each_other(root):
    specs = [StrategySpec("buy_and_hold", {"instrument": "ACME", "quantity": n}) for n in (1, 2)]
    run = Replay(root, LogReader(root), Period(DATES[0], DATES[0]), specs, ReplayOptions()).run()
    intents = Selection(types=frozenset({OrderIntended}))
    found = [(e.event.order, e.event.quantity) for b in run.entries(intents) for e in b]
    assert found == [("buy_and_hold-1-1", 1), ("buy_and_hold.2-1-1", 2)]


def test_settings_go_to_all_strategies_or_to_the_one_that_is_named():
    specs = spread(["a", "b.py:B"], ["x=1", "a.y=2", "B.y=3"])
    assert [(s.name, s.parameters) for s in specs] == [
        ("a", {"x": "1", "y": "2"}),
        ("b.py:B", {"x": "1", "y": "3"}),
    ]
    for text, says in (("x", "expected key=value"), ("c.x=1", "no strategy 'c' is being run")):
        with pytest.raises(UsageError, match=says):
            spread(["a"], [text])


def test_the_run_says_what_it_assumed(root):
    run = replay(root, StrategySpec("buy_and_hold", {"instrument": "ACME"}), DATES[0]).run()
    told = run.summary
    assert told["fill_model"] == "quotes, full size, latency 0 ms"
    assert told["risk_profile"] == "none"
    assert (told["first_ts"], told["last_ts"]) == (OPEN, OPEN + 29 * S)
    assert told["start_equity"] == "100000"
    assert told["last_ts"] < CLOSE
