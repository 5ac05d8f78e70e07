"""What a replay does to recorded data: hours left out, missing bars filled forward, prices adjusted."""

from decimal import Decimal

import msgspec
import numpy as np
import pytest

from adapters.replay.preparing import Preparation, prepared
from adapters.replay.source import LogSource
from app.composition.seating import StrategySpec
from app.data.importing import ImportRequest, run_import
from app.replay.options import ReplayOptions
from app.replay.period import Period
from app.replay.planning import DataOptions, Planner
from app.replay.replaying import Replay, again
from core.errors import DataMissing, UsageError
from core.events import Bar, CorporateAction, FeedDefined, QuoteBar, Trade
from core.ports import MarketChunk
from core.strategy import Subscription
from eventstore.memory import MemoryLog
from eventstore.reading.reader import LogReader
from projections.sessions import Sessions
from tests.core.bench import BEGIN, CLOSE, END, MIN, OPEN, S, bar, instrument, quote_bar, session, trade
from tests.replay.test_planning import DATES, DAY, imported

HEARD = """
from truetape import Parameters, Strategy, Subscription

class Heard(Strategy):
    heard = []
    def subscriptions(self):
        return [Subscription("ACME", fill_forward={fill})]
    def on_start(self):
        Heard.heard.clear()
    def on_bar(self, bar):
        self.heard.append((bar.ts, bar.start, bar.close, bar.volume, bar.filled))
        self.record("closes", bar.close)
        {then}
"""


def log_of(*events, days=1, feed="t/minute", resolution="minute", actions=()):
    log = MemoryLog(clock=lambda: 1)
    log.extend([FeedDefined(0, feed, "test", resolution, consolidated=True), instrument()])
    log.extend([session(date, n * DAY) for n, date in enumerate(DATES[:days])])
    log.extend(actions)
    imported(log, "one", feed, sorted(events, key=lambda e: e.ts))
    log.commit(sync=False)
    return log.reader()


def action(day, ratio=1, dividend=0, **more):
    date = f"2025-07-{2 + day:02}"
    ts = BEGIN - 240 * MIN + day * DAY
    return CorporateAction(
        ts, "t/actions", "ACME", date, Decimal(str(ratio)), Decimal(str(dividend)), "USD", **more
    )


def planned(reader, days=1, **options):
    sessions = Sessions()
    for batch in reader.entries():
        for entry in batch:
            sessions.apply(entry)
    planner = Planner(reader, sessions, DataOptions(**options))
    return planner.plan(Period(DATES[0], DATES[days - 1]), [Subscription("ACME")])


def inputs(reader, days=1, **options):
    plan = planned(reader, days, **options)
    return [event for batch in LogSource(reader, plan.slices).batches() for _, event in batch]


def heard(tmp_path, reader, days=1, fill=True, then="pass", **options):
    path = tmp_path / "heard.py"
    path.write_text(HEARD.format(fill=fill, then=then))
    period = Period(DATES[0], DATES[days - 1])
    spec = StrategySpec(str(path))
    replay = Replay(tmp_path / "log", reader, period, [spec], ReplayOptions(data=DataOptions(**options)))
    return replay.run(), type(replay.seated[0].strategy).heard, replay


# -- hours


def test_bars_are_those_of_regular_hours_unless_all_are_asked_for():
    times = [OPEN - 30 * MIN, OPEN, OPEN + MIN, CLOSE - MIN, CLOSE, CLOSE + MIN, END]  # where they end
    reader = log_of(*(bar(ts, 10, 11, 9, 10) for ts in times))
    assert [e.ts for e in inputs(reader)] == [OPEN + MIN, CLOSE - MIN, CLOSE]
    assert [e.ts for e in inputs(reader, extended_hours=True)] == times[:-1]  # the day's data end before END


def test_a_bar_counts_if_any_of_it_lies_in_regular_hours():
    hours = [Bar(end, end - 60 * MIN, "t/minute", "ACME", 1, 1, 1, 1, 1) for end in (OPEN, OPEN + 30 * MIN)]
    assert inputs(log_of(*hours)) == hours[1:]


def test_bars_up_to_the_close_are_not_looked_at():
    ends = np.array([OPEN + MIN, CLOSE, OPEN + DAY + MIN, CLOSE + DAY])
    chunk = MarketChunk(np.arange(4), ends, [])  # there is nothing to look at
    hours = tuple((OPEN + n * DAY, CLOSE + n * DAY) for n in range(2))
    assert list(prepared(iter([chunk]), Preparation(hours))) == [chunk]


def test_ticks_are_replayed_in_all_hours():
    ticks = [trade(OPEN - MIN, 10), trade(OPEN, 10), trade(CLOSE + MIN, 10)]
    assert inputs(log_of(*ticks, feed="t/tick", resolution="tick")) == ticks


def test_a_day_with_bars_outside_regular_hours_only_says_what_to_do(tmp_path):
    with pytest.raises(DataMissing, match=r"holds 1 bars .* none in regular hours; next: --extended-hours"):
        heard(tmp_path, log_of(bar(OPEN - MIN, 1, 1, 1, 1)))


@pytest.mark.shared_data
def test_a_week_of_spy_minutes_is_390_bars_a_session_of_trades_and_quotes(shared_data, tmp_path):
    request = ImportRequest(
        format="lean",
        root=shared_data / "lean",
        symbol="SPY",
        resolution="minute",
        date="2013-10-07..2013-10-11",
    )
    assert run_import(tmp_path, request).result.actions == 96
    reader, sessions = LogReader(tmp_path), Sessions()
    for batch in reader.entries():
        for entry in batch:
            sessions.apply(entry)
    planner = Planner(reader, sessions, DataOptions())
    plan = planner.plan(Period("2013-10-07", "2013-10-11"), [Subscription("SPY")])
    found = [event for batch in LogSource(reader, plan.slices).batches() for _, event in batch]
    by_day = {}
    for event in found:
        day = sessions.session("XNYS", event.ts).date
        by_day[day, type(event)] = by_day.get((day, type(event)), 0) + 1
    days = [f"2013-10-{day:02}" for day in (7, 8, 9, 10, 11)]
    assert by_day == {(day, kind): 390 for day in days for kind in (Bar, QuoteBar)}
    first = next(event for event in found if type(event) is QuoteBar)
    assert first.ask_close == pytest.approx(144.78172417, abs=1e-8)


# -- warm-up

WARM = """
from truetape import Parameters, Strategy, Subscription, WarmUp

class Heard(Strategy):
    warm_up = WarmUp(sessions=1)
    heard = []
    def subscriptions(self):
        return [Subscription("ACME", resolution="2m")]
    def on_start(self):
        Heard.heard.clear()
    def on_bar(self, bar):
        self.heard.append((bar.ts, bar.close, bar.volume))
        self.record("n", len(self.heard))
"""


def test_warm_up_is_prepared_as_the_replay_is(tmp_path):
    # Made bars of regular hours at adjusted prices, on the day before too.
    rows = [action(1, price_factor=0.9, split_factor=0.5)]
    bars = [bar(OPEN + n * MIN + day * DAY, 10, 20, 8, 16) for day in range(2) for n in (-3, 1, 2, 4)]
    (tmp_path / "warm.py").write_text(WARM)
    spec, period = StrategySpec(str(tmp_path / "warm.py")), Period(DATES[1], DATES[1])
    reader = log_of(*bars, days=2, actions=rows)
    replay = Replay(tmp_path / "log", reader, period, [spec], ReplayOptions())
    run = replay.run()
    told = type(replay.seated[0].strategy).heard
    assert [(ts - OPEN) // MIN for ts, *_ in told] == [2, 4, 1442, 1444]
    assert [close for _, close, _ in told] == pytest.approx([7.2, 7.2, 16, 16])
    assert [volume for *_, volume in told] == [4000, 2000, 2000, 1000]
    assert run.summary["inputs"] == 3
    second = again(tmp_path / "log", reader, run)
    assert second.run().summary["run_hash"] == run.summary["run_hash"]


# -- fill-forward


def test_missing_minutes_are_told_of_to_a_strategy_that_asks(tmp_path):
    bars = [bar(OPEN + n * MIN, 10, 11, 9, 10 + n) for n in (2, 5)]
    run, told, _ = heard(tmp_path, log_of(*bars))
    ends = [(ts - OPEN) // MIN for ts, *_ in told]
    assert ends == list(range(2, 391))  # from the first real bar to the close
    assert [row[4] for row in told[:5]] == [False, True, True, False, True]
    assert [row[2] for row in told[:5]] == [12, 12, 12, 15, 15]
    assert {row[3] for row in told if row[4]} == {0.0}
    assert all(ts - start == MIN for ts, start, *_ in told)
    assert run.summary["filled_forward"] == 387
    assert run.summary["inputs"] == 2


def test_filling_goes_on_after_the_night_and_stops_with_the_last_session(tmp_path):
    bars = [bar(OPEN + MIN, 10, 11, 9, 10), bar(OPEN + DAY + 2 * MIN, 10, 11, 9, 12)]
    _, told, _ = heard(tmp_path, log_of(*bars, days=2), days=2)
    assert len(told) == 2 * 390
    assert told[389][0] == CLOSE
    assert told[390][:3] == (OPEN + DAY + MIN, OPEN + DAY, 10)
    assert told[391][4] is False


def test_a_half_day_is_filled_to_its_close(tmp_path):
    half = msgspec.structs.replace(session(), close=OPEN + 210 * MIN)
    log = MemoryLog(clock=lambda: 1)
    log.extend([FeedDefined(0, "t/minute", "test", "minute", consolidated=True), instrument(), half])
    imported(log, "one", "t/minute", [bar(OPEN + MIN, 1, 1, 1, 1), bar(OPEN + 212 * MIN, 1, 1, 1, 1)])
    log.commit(sync=False)
    run, told, _ = heard(tmp_path, log.reader())
    assert [(ts - OPEN) // MIN for ts, *_ in told] == list(range(1, 211))
    assert run.summary["inputs"] == 1  # what was told after the early close is not in regular hours


@pytest.mark.parametrize(("fill", "option"), [(False, True), (True, False)])
def test_nothing_is_filled_unless_both_the_strategy_and_the_option_say_so(tmp_path, fill, option):
    bars = [bar(OPEN + n * MIN, 10, 11, 9, 10) for n in (1, 4)]
    run, told, _ = heard(tmp_path, log_of(*bars), fill=fill, fill_forward=option)
    assert len(told) == 2
    assert run.summary["filled_forward"] == 0


def test_a_filled_bar_fills_no_order_and_is_no_price(tmp_path):
    bars = [bar(OPEN + MIN, 10, 11, 9, 10), bar(OPEN + 4 * MIN, 20, 21, 19, 20)]
    # A buy limit that the repeated bar would fill, if it were matched: its low is below.
    then = "bar.filled or self.working_orders() or self.buy('ACME', 1, limit=9.5, reason='r')"
    run, _, _ = heard(tmp_path, log_of(*bars), then=then)
    assert run.summary["fills"] == 0


def test_a_run_with_filled_bars_comes_out_the_same_again(tmp_path):
    bars = [bar(OPEN + n * MIN, 10, 11, 9, 10 + n) for n in (1, 4)]
    reader = log_of(*bars)
    run, _, replay = heard(tmp_path, reader)
    second = again(tmp_path / "log", reader, run)
    assert (second.run_id, second.run().summary["run_hash"]) == (replay.run_id, run.summary["run_hash"])


# -- adjusted prices


def test_bars_are_adjusted_by_the_first_row_that_is_not_before_the_day():
    rows = [
        action(1, price_factor=0.9, split_factor=0.5),
        action(2, price_factor=0.95, split_factor=1.0),
    ]
    days = [bar(OPEN + MIN + n * DAY, 10, 20, 8, 16) for n in range(3)]
    reader = log_of(*days, days=3, actions=rows)
    found = inputs(reader, days=3)
    closes = [event.close for event in found]
    assert closes == pytest.approx([16 * 0.9 * 0.5, 16 * 0.95, 16])
    assert [event.volume for event in found] == [2000, 1000, 1000]
    assert inputs(reader, days=3, prices="raw") == days
    assert planned(reader).content != planned(reader, prices="raw").content


def test_quotes_are_adjusted_with_their_sizes():
    rows = [action(1, price_factor=1.0, split_factor=0.5)]
    (found,) = inputs(log_of(quote_bar(OPEN + MIN, 9, None), days=2, actions=rows))
    assert (found.bid_close, found.bid_size, found.ask_close, found.ask_size) == (4.5, 200, None, None)


def test_actions_without_factors_give_them():
    rows = [action(1, dividend="0.5", reference_price=10.0), action(2, ratio=4)]
    days = [bar(OPEN + MIN + n * DAY, 8, 8, 8, 8) for n in range(3)]
    found = [event.close for event in inputs(log_of(*days, days=3, actions=rows), days=3)]
    assert found == pytest.approx([8 * 0.95 / 4, 8 / 4, 8])


def test_a_dividend_without_a_reference_price_cannot_adjust_prices():
    reader = log_of(bar(OPEN + MIN, 8, 8, 8, 8), actions=[action(1, dividend="0.5")])
    with pytest.raises(UsageError, match=r"dividend of 0\.5 on 2025-07-03 has no reference price"):
        planned(reader)
    assert len(inputs(reader, prices="raw")) == 1


def test_ticks_stay_raw_unless_adjusted_ones_are_asked_for():
    rows = [action(1, price_factor=1.0, split_factor=0.5)]
    tick = trade(OPEN + S, 10.0, size=100)
    reader = log_of(tick, days=2, feed="t/tick", resolution="tick", actions=rows)
    assert inputs(reader) == [tick]
    (found,) = inputs(reader, prices="adjusted")
    assert isinstance(found, Trade)
    assert (found.price, found.size) == (5.0, 200.0)


def test_the_source_that_spoke_last_counts():
    rows = [action(1, ratio=2), msgspec.structs.replace(action(1, ratio=4), feed="other")]
    reader = log_of(bar(OPEN + MIN, 8, 8, 8, 8), days=2, actions=rows)
    assert inputs(reader)[0].close == 2
