"""The order of what happens within a slice, as a strategy and the log see it."""

from core.events import (
    Bar,
    Filled,
    OrderIntended,
    OrderStatusChanged,
    Quote,
    QuoteBar,
    Recorded,
    TimerFired,
    Trade,
)
from core.strategy import Parameters, Strategy, Subscription
from tests.core.bench import CLOSE, MIN, OPEN, Bench, S, Script, bar, quote, quote_bar, trade


class Watcher(Strategy[Parameters]):
    """Notes each call with what the views show at that moment."""

    def __init__(self, instruments=("ACME",)):
        super().__init__(Parameters())
        self.watched = instruments
        self.calls = []

    def subscriptions(self):
        return [Subscription(name) for name in self.watched]

    def note(self, what):
        marks = tuple(self.quotes.mark(name) for name in self.watched)
        self.calls.append((what, marks[0] if len(marks) == 1 else marks, str(self.position("ACME"))))

    def on_trade(self, trade: Trade):
        self.note(f"trade {trade.instrument}")

    def on_quote(self, quote: Quote):
        self.note("quote")

    def on_bar(self, bar: Bar):
        self.note(f"bar {bar.instrument}")

    def on_quote_bar(self, bar: QuoteBar):
        self.note(f"quote bar {bar.instrument}")

    def on_timer(self, timer: TimerFired):
        self.note(f"timer {timer.name}")

    def on_fill(self, fill: Filled):
        self.note("fill")

    def on_order(self, order):
        self.note(f"order {order.state}")


class Orders(Watcher):
    """Watches, rests a limit on the first event and sets a timer for the time of the second."""

    def __init__(self, limit, timer_ts):
        super().__init__()
        self.limit, self.timer_ts = limit, timer_ts
        self.started = False

    def note(self, what):
        super().note(what)
        if not self.started:
            self.started = True
            self.buy("ACME", 10, limit=self.limit, tif="GTC", reason="first")
            self.set_timer("same", at=self.timer_ts)
        elif what.startswith("timer"):
            self.sell("ACME", 1, reason="in the timer")


def test_a_tick_folds_then_scans_then_fires_timers_then_calls_the_handler():
    strategy = Orders(9.5, OPEN + S)
    bench = Bench(strategy)
    bench.run([trade(OPEN, 10.0), trade(OPEN + S, 9.0)])
    # The fill sees the price of its own tick, the timer sees the fill, the handler sees both.
    assert strategy.calls == [
        ("trade ACME", 10.0, "0"),
        ("order Submitted", 10.0, "0"),
        ("fill", 9.0, "10"),
        ("timer same", 9.0, "10"),
        ("order Submitted", 9.0, "10"),
        ("trade ACME", 9.0, "10"),
    ]


def test_an_order_of_a_timer_or_handler_never_meets_the_tick_it_was_made_on():
    bench = Bench(Script({1: lambda s: s.buy("ACME", 1, reason="now")}))
    entries = bench.run([trade(OPEN, 10.0), trade(OPEN + S, 11.0)])
    (fill,) = [entry for entry in entries if isinstance(entry.event, Filled)]
    assert (fill.at, fill.event.ts, str(fill.event.price)) == (2, OPEN + S, "11")


def test_a_bar_slice_goes_prices_scan_timers_handlers_acceptance_then_older_orders():
    strategy = Orders(9.5, OPEN + 2 * MIN)
    bench = Bench(strategy, bars=["ACME"])
    bench.run(
        [
            bar(OPEN + MIN, 10, 10, 10, 10),
            quote_bar(OPEN + MIN, 9.99, 10.01),
            bar(OPEN + 2 * MIN, 10, 10, 9, 9),
            quote_bar(OPEN + 2 * MIN, 8.98, 9.02),
        ]
    )
    assert strategy.calls == [
        ("bar ACME", 10.0, "0"),
        ("quote bar ACME", 10.0, "0"),
        ("order Submitted", 10.0, "0"),  # accepted after all handlers of the slice
        ("fill", 9.0, "10"),  # the scan comes first, after both bars were folded
        ("timer same", 9.0, "10"),
        ("order Submitted", 9.0, "10"),
        ("fill", 9.0, "9"),  # a market order of a timer fills when it is accepted, before the handlers
        ("bar ACME", 9.0, "9"),
        ("quote bar ACME", 9.0, "9"),
    ]


def test_bars_with_one_end_are_one_slice_over_instruments():
    strategy = Watcher(("ACME", "OTHER"))
    bench = Bench(strategy, bars=["ACME", "OTHER"])
    bench.run(
        [
            bar(OPEN + MIN, 1, 1, 1, 1),
            bar(OPEN + MIN, 2, 2, 2, 2, name="OTHER"),
            bar(OPEN + 2 * MIN, 3, 3, 3, 3),
            bar(OPEN + 2 * MIN, 4, 4, 4, 4, name="OTHER"),
        ]
    )
    # The first handler of a slice already sees every price of the slice, and none of the next.
    assert [(what, marks) for what, marks, _ in strategy.calls] == [
        ("bar ACME", (1.0, 2.0)),
        ("bar OTHER", (1.0, 2.0)),
        ("bar ACME", (3.0, 4.0)),
        ("bar OTHER", (3.0, 4.0)),
    ]


def test_ticks_with_one_time_are_slices_of_their_own():
    strategy = Watcher()
    Bench(strategy).run([trade(OPEN, 1.0), trade(OPEN, 2.0), trade(OPEN, 3.0)])
    assert [mark for _, mark, _ in strategy.calls] == [1.0, 2.0, 3.0]


def test_a_tick_between_bars_of_one_end_closes_the_slice_before_it():
    strategy = Watcher()
    bench = Bench(strategy, bars=["ACME"])
    bench.run([bar(OPEN, 1, 1, 1, 1), trade(OPEN, 2.0), bar(OPEN, 3, 3, 3, 3)])
    assert [call[0] for call in strategy.calls] == ["bar ACME", "trade ACME", "bar ACME"]


class Timers(Watcher):
    def on_start(self):
        for name, due in (("b", OPEN + S), ("a", OPEN + S), ("late", OPEN + 3 * S), ("never", CLOSE)):
            self.set_timer(name, at=due)

    def on_timer(self, timer):
        self.calls.append((timer.name, self.now - OPEN, self.quotes.mark("ACME")))

    def on_trade(self, trade):
        self.calls.append(("trade", self.now - OPEN, trade.price))


def test_timers_between_slices_fire_before_the_next_one_and_see_the_prices_before_it():
    strategy = Timers()
    entries = Bench(strategy).run([trade(OPEN, 1.0), trade(OPEN + 2 * S, 2.0), trade(OPEN + 3 * S, 3.0)])
    assert strategy.calls == [
        ("trade", 0, 1.0),
        ("b", S, 1.0),  # due at one time: in the order in which they were set
        ("a", S, 1.0),
        ("trade", 2 * S, 2.0),
        ("late", 3 * S, 3.0),  # due at the slice's own time: after its prices
        ("trade", 3 * S, 3.0),
    ]
    fired = [entry for entry in entries if isinstance(entry.event, TimerFired)]
    assert [(entry.event.ts - OPEN, entry.at) for entry in fired] == [(S, 2), (S, 2), (3 * S, 3)]


def test_a_timer_set_by_a_handler_that_asks_for_nothing_else_still_fires_on_time():
    calls = []

    class Setting(Timers):
        def on_start(self):
            pass

        def on_trade(self, trade):
            if trade.price == 1.0:
                self.set_timer("soon", after_s=1)
            calls.append(trade.price)

        def on_timer(self, timer):
            calls.append(self.now - OPEN)

    Bench(Setting()).run([trade(OPEN, 1.0), trade(OPEN + 2 * S, 2.0), trade(OPEN + 3 * S, 3.0)])
    assert calls == [1.0, S, 2.0, 3.0]


def test_a_timer_set_to_the_past_fires_now_and_time_does_not_go_back():
    strategy = Timers()
    strategy.on_start = lambda: None
    strategy.on_trade = lambda trade: (strategy.set_timer("past", at=1), strategy.calls.append(trade.price))
    Bench(strategy).run([trade(OPEN, 1.0), trade(OPEN + S, 2.0)])
    assert strategy.calls[:2] == [1.0, ("past", 0, 1.0)]


def test_decisions_name_the_input_and_the_decision_they_follow_from():
    bench = Bench(Script({2: lambda s: s.buy("ACME", 1, reason="x")}))
    entries = [e for e in bench.run([trade(OPEN + n * S, 10.0) for n in range(3)]) if e.at in (2, 3)]
    first = entries[0].seq
    chain = [(type(e.event).__name__, e.at, e.cause and e.cause - first) for e in entries]
    assert chain[:5] == [
        ("OrderIntended", 2, None),
        ("RiskApproved", 2, 0),
        ("OrderSendStarted", 2, 1),
        ("OrderSent", 2, None),
        ("OrderStatusChanged", 2, None),
    ]
    assert chain[5:7] == [("Filled", 3, None), ("CommissionReported", 3, None)]


def test_a_request_made_on_a_fact_belongs_to_the_fact():
    class Chained(Script):
        def on_fill(self, fill):
            if fill.side == "BUY":
                self.sell("ACME", 1, reason="out")

    bench = Bench(Chained({1: lambda s: s.buy("ACME", 1, reason="in")}))
    entries = bench.run([trade(OPEN + n * S, 10.0) for n in range(3)])
    fill = next(entry for entry in entries if isinstance(entry.event, Filled))
    exit_intent = [entry for entry in entries if isinstance(entry.event, OrderIntended)][1]
    assert exit_intent.at == fill.seq


def test_seqs_have_no_gaps_and_at_never_lies_ahead():
    bench = Bench(Orders(9.5, OPEN + S), sampled=True)
    entries = bench.run([quote(OPEN, 9.9, 10.1), *(trade(OPEN + n * S, 9.0) for n in range(200))])
    first = entries[0].seq
    assert [entry.seq for entry in entries] == list(range(first, first + len(entries)))
    assert all(entry.at <= entry.seq for entry in entries)
    assert all(entry.cause is None or entry.cause < entry.seq for entry in entries)


def test_a_strategy_hears_only_what_it_subscribed_to():
    class Picky(Watcher):
        def subscriptions(self):
            return [Subscription("ACME", kinds=("trades",)), Subscription("OTHER", kinds=("quotes",))]

    strategy = Picky()
    events = [
        trade(OPEN, 1.0),
        quote(OPEN, 1, 2),
        trade(OPEN, 5.0, name="OTHER"),
        quote(OPEN, 4, 6, name="OTHER"),
    ]
    Bench(strategy).run(events)
    assert [call[0] for call in strategy.calls] == ["trade ACME", "quote"]


def test_recorded_series_and_status_are_in_the_log_in_the_order_they_happened():
    bench = Bench(Script({1: lambda s: (s.record("x", 1.5), s.buy("ACME", 1, reason="r"), s.record("y", 2))}))
    bench.run([trade(OPEN, 10.0)])
    assert bench.recorded(Recorded) == [Recorded(OPEN, "s", "x", 1.5), Recorded(OPEN, "s", "y", 2.0)]
    assert bench.tags()[1:7] == [
        "Recorded",
        "OrderIntended",
        "RiskApproved",
        "OrderSendStarted",
        "Recorded",
        "OrderSent",
    ]
    assert [s.status for s in bench.recorded(OrderStatusChanged)] == ["Submitted"]
