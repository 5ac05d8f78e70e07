"""Bars of other lengths in a replay: who hears of them, when, and from which feed they are made."""

import pytest

from app.composition.seating import StrategySpec
from app.replay.options import ReplayOptions
from app.replay.period import Period
from app.replay.planning import DataOptions
from app.replay.replaying import Replay, again
from core.errors import DataMissing, UsageError
from core.events import FeedDefined, Filled, MadeBar, MadeQuoteBar, OrderIntended
from eventstore.memory import MemoryLog
from tests.core.bench import CLOSE, MIN, OPEN, S, bar, instrument, quote, quote_bar, session, trade
from tests.logs import events_of
from tests.replay.test_planning import DATES, DAY, imported

HEARD = """
from truetape import Parameters, Strategy, Subscription

class P(Parameters, frozen=True):
    resolution: str = ""
    buys: bool = False
    fill: bool = False

class Heard(Strategy[P]):
    def __init__(self, params):
        super().__init__(params)
        self.heard = []
    def subscriptions(self):
        wanted = self.params.resolution or None
        return [Subscription("ACME", resolution=wanted, fill_forward=self.params.fill)]
    def on_bar(self, bar):
        self.heard.append(bar)
        self.record("now", self.now)
        if self.params.buys:
            self.buy("ACME", 1, reason="bar")
    def on_quote_bar(self, bar):
        self.heard.append(bar)
"""


def log_of(feeds, days=1):
    log = MemoryLog(clock=lambda: 1)
    log.extend([FeedDefined(0, feed, "test", feed[2:], consolidated=True) for feed in feeds])
    log.extend([instrument(), *(session(date, n * DAY) for n, date in enumerate(DATES[:days]))])
    for feed, events in feeds.items():
        imported(log, feed, feed, sorted(events, key=lambda e: e.ts))
    log.commit(sync=False)
    return log.reader()


def replayed(tmp_path, reader, *parameters, days=1, **options):
    path = tmp_path / "heard.py"
    path.write_text(HEARD)
    specs = [StrategySpec(str(path), one, f"s{n}") for n, one in enumerate(parameters)]
    period = Period(DATES[0], DATES[days - 1])
    replay = Replay(tmp_path / "log", reader, period, specs, ReplayOptions(data=DataOptions(**options)))
    run = replay.run()
    return run, [seated.strategy.heard for seated in replay.seated]


def ends(bars):
    return [(bar.ts - OPEN) // MIN for bar in bars]


TICKS = [trade(OPEN + n * 20 * S, 10 + n % 7) for n in range(40)]  # 13 minutes
MINUTES = [bar(OPEN + (n + 1) * MIN, 10, 12, 9, 10 + n % 3) for n in range(390)]


def test_bars_are_made_of_ticks(tmp_path):
    run, (heard,) = replayed(tmp_path, log_of({"t/tick": TICKS}), {"resolution": "5m"})
    assert {type(bar) for bar in heard} == {MadeBar}
    assert ends(heard) == [5, 10, 15]  # the last one is over when the data are
    assert [(bar.start - OPEN) // MIN for bar in heard] == [0, 5, 10]
    assert (heard[0].open, heard[0].close, heard[0].volume) == (10, 10, 1500)
    assert (heard[0].feed, heard[0].period) == ("t/tick>5m", "5m")
    assert run.summary["made_bars"] == 3
    assert run.summary["inputs"] == len(TICKS)


def test_bars_are_made_of_smaller_bars_and_end_at_the_close(tmp_path):
    _, (heard,) = replayed(tmp_path, log_of({"t/minute": MINUTES}), {"resolution": "1h"})
    assert ends(heard) == [60, 120, 180, 240, 300, 360, 390]
    assert sum(bar.volume for bar in heard) == 390 * 1000
    assert heard[-1].start == CLOSE - 30 * MIN


def test_each_strategy_hears_of_what_it_asked_for_alone(tmp_path):
    asked = [{"resolution": "5m"}, {"resolution": "15m"}, {"resolution": "minute"}, {}]
    _, heard = replayed(tmp_path, log_of({"t/minute": MINUTES}), *asked)
    assert [len(bars) for bars in heard] == [78, 26, 390, 390]
    assert heard[2] == MINUTES


def test_what_the_log_holds_is_not_made(tmp_path):
    fives = [bar(OPEN + 60 * MIN, 1, 1, 1, 1, feed="t/hour")]
    reader = log_of({"t/minute": MINUTES, "t/hour": fives})
    run, (heard,) = replayed(tmp_path, reader, {"resolution": "1h"})
    assert heard == fives
    assert run.summary["made_bars"] == 0


def test_the_finest_feed_is_taken(tmp_path):
    reader = log_of({"t/minute": MINUTES, "t/tick": TICKS})
    _, (heard,) = replayed(tmp_path, reader, {"resolution": "5m"})
    assert {made.feed for made in heard} == {"t/tick>5m"}


def test_the_size_in_a_feeds_name_counts_not_its_rank(tmp_path):
    # Bars of five minutes in a feed that ranks as one of minutes: of fetched or of live bars.
    fives = [bar(OPEN + n * 5 * MIN, n, n, n, n, feed="ib/5min") for n in range(1, 5)]
    log = MemoryLog(clock=lambda: 1)
    feeds = [FeedDefined(0, "ib/5min", "t", "minute", consolidated=True)]
    feeds.append(FeedDefined(0, "t/tick", "t", "tick", consolidated=True))
    log.extend([*feeds, instrument(), session()])
    imported(log, "fives", "ib/5min", fives)
    imported(log, "ticks", "t/tick", TICKS)
    log.commit(sync=False)
    asked = [{"resolution": "5m"}], [{"resolution": "10m"}], [{"resolution": "minute"}]
    found = [replayed(tmp_path, log.reader(), *one)[1][0] for one in asked]
    assert found[0] == fives
    assert {made.feed for made in found[1]} == {"t/tick>10m"}
    assert {made.feed for made in found[2]} == {"t/tick>1m"}


def test_a_length_is_made_of_the_feed_that_is_named(tmp_path):
    reader = log_of({"t/minute": MINUTES, "t/tick": TICKS})
    path = tmp_path / "named.py"
    path.write_text(HEARD.replace("fill_forward=self.params.fill", 'feed="t/minute"'))
    spec = StrategySpec(str(path), {"resolution": "5m"})
    replay = Replay(tmp_path / "log", reader, Period(DATES[0], DATES[0]), [spec], ReplayOptions())
    replay.run()
    assert {made.feed for made in replay.seated[0].strategy.heard} == {"t/minute>5m"}
    finer = StrategySpec(str(path), {"resolution": "30s"})
    with pytest.raises(DataMissing, match="no data of ACME t/minute"):
        Replay(tmp_path / "log", reader, Period(DATES[0], DATES[0]), [finer], ReplayOptions())


def test_a_length_that_no_feed_divides_is_missing(tmp_path):
    reader = log_of({"t/minute": MINUTES})
    with pytest.raises(DataMissing, match="no data of ACME 30s"):
        replayed(tmp_path, reader, {"resolution": "30s"})
    with pytest.raises(UsageError, match="resolution '5x': expected tick"):
        replayed(tmp_path, reader, {"resolution": "5x"})


def test_a_bar_of_ticks_is_told_before_anything_later(tmp_path):
    ticks = [trade(OPEN + 1, 10), trade(OPEN + 5 * MIN, 50), trade(OPEN + 5 * MIN + S, 60)]
    run, _ = replayed(tmp_path, log_of({"t/tick": ticks}), {"resolution": "5m", "buys": True})
    intents = events_of(run, OrderIntended)
    assert intents[0].ts == OPEN + 5 * MIN
    # It is filled by the next event, the first of the next bar: what the bar knew was older.
    assert (events_of(run, Filled)[0].ts, events_of(run, Filled)[0].price) == (OPEN + 5 * MIN, 50)


def test_a_bar_of_bars_is_told_in_their_slice(tmp_path):
    run, _ = replayed(tmp_path, log_of({"t/minute": MINUTES}), {"resolution": "1h", "buys": True})
    first = events_of(run, Filled)[0]
    assert (first.ts, float(first.price)) == (OPEN + 60 * MIN, MINUTES[59].close)


def test_a_made_bar_fills_no_resting_order_and_sets_no_price(tmp_path):
    # The made bar's low is that of a minute that was over before the order came.
    bars = [bar(OPEN + MIN, 10, 10, 5, 10), *(bar(OPEN + n * MIN, 10, 10, 9.8, 10) for n in range(2, 11))]
    strategy = HEARD.replace('self.buy("ACME", 1, reason="bar")', "pass").replace(
        "self.heard.append(bar)", "self.heard.append(bar); self.order_once()", 1
    )
    strategy += """
    def order_once(self):
        if len(self.heard) == 1:
            self.buy("ACME", 1, limit=9.0, reason="rest")
"""
    path = tmp_path / "rest.py"
    path.write_text(strategy)
    specs = [StrategySpec(str(path), {}, "a"), StrategySpec(str(path), {"resolution": "5m"}, "b")]
    reader = log_of({"t/minute": bars})
    run = Replay(tmp_path / "log", reader, Period(DATES[0], DATES[0]), specs, ReplayOptions()).run()
    assert len(events_of(run, OrderIntended)) == 2
    assert events_of(run, Filled) == []


def test_quote_bars_are_made_of_ticks_and_of_quote_bars(tmp_path):
    quotes = [quote(OPEN + n * 30 * S, 10 + n, 12 + n) for n in range(8)]
    _, (heard,) = replayed(tmp_path, log_of({"t/tick": quotes}), {"resolution": "2m"})
    assert {type(made) for made in heard} == {MadeQuoteBar}
    assert [(made.bid_open, made.bid_close, made.ask_high) for made in heard] == [(10, 13, 15), (13, 17, 19)]
    minutes = [quote_bar(OPEN + n * MIN, 10.0 + n, None) for n in range(1, 5)]
    _, (heard,) = replayed(tmp_path, log_of({"t/minute": minutes}), {"resolution": "2m"})
    assert [(made.bid_open, made.bid_close, made.ask_close) for made in heard] == [
        (11, 12, None),
        (13, 14, None),
    ]


def test_days_follow_each_other(tmp_path):
    bars = [*MINUTES, *(bar(b.ts + DAY, b.open, b.high, b.low, b.close) for b in MINUTES[:30])]
    _, (heard,) = replayed(tmp_path, log_of({"t/minute": bars}, days=2), {"resolution": "1d"}, days=2)
    assert [(made.start, made.ts) for made in heard] == [(OPEN, CLOSE), (OPEN + DAY, CLOSE + DAY)]


def test_made_and_filled_bars_do_not_mix(tmp_path):
    sparse = [MINUTES[0], MINUTES[7]]
    asked = [{"resolution": "5m"}, {"fill": True}]
    _, (made, filled) = replayed(tmp_path, log_of({"t/minute": sparse}), *asked)
    assert ends(made) == [5, 10]
    assert len(filled) == 390


def test_a_run_with_made_bars_comes_out_the_same_again_however_it_is_cut(tmp_path):
    reader = log_of({"t/tick": TICKS})
    run, _ = replayed(tmp_path, reader, {"resolution": "1m", "buys": True})
    again_run = again(tmp_path / "log", reader, run).run()
    assert again_run.summary["run_hash"] == run.summary["run_hash"]


def test_extended_hours_are_made_of_ticks_only_if_asked_for(tmp_path):
    ticks = [trade(OPEN - MIN, 10), trade(OPEN, 10), trade(CLOSE + MIN, 10)]
    reader = log_of({"t/tick": ticks})
    assert ends(replayed(tmp_path, reader, {"resolution": "5m"})[1][0]) == [5]
    heard = replayed(tmp_path, reader, {"resolution": "5m"}, extended_hours=True)[1][0]
    assert ends(heard) == [0, 5, 395]
