"""Batches decide when things become durable and leave, never what happens or in which order."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import loop as loop_module
from core.acting import Acting
from core.effects import Effect
from core.events import Filled, OrderSendStarted, Recorded, Trade
from core.loop import Loop
from core.strategy import Subscription
from tests.core.bench import MIN, OPEN, Bench, FillModel, S, Script, bar, quote, quote_bar, trade


class Busy(Script):
    """Uses everything that may depend on where a batch ends: timers, limits, modifies, cancels."""

    def on_start(self):
        self.set_timer("beat", at=OPEN + S)
        self.orders = []

    def _next(self):
        self.seen += 1
        n = self.seen
        if n % 7 == 1:
            self.orders.append(self.buy("ACME", n, limit=100 - n % 3, reason=f"b{n}"))
        if n % 7 == 3 and self.orders:
            self.modify(self.orders[-1], limit=100.5, reason="up")
        if n % 7 == 5 and self.orders:
            self.cancel(self.orders[0], reason="old")
            self.set_timer("once", after_s=0.25)
        if n % 11 == 0:
            self.set_timer("quiet", after_s=0.1)

    def on_timer(self, timer):
        self.record(timer.name, self.quotes.mark("ACME") or 0)
        if timer.name == "beat":
            self.set_timer("beat", after_s=1)
            self.sell("ACME", 1, reason="beat")


def market(seed, count=120):
    """Ticks and, now and then, slices of three bars; times often equal."""
    draw, ts, events = random.Random(seed), OPEN, []
    while len(events) < count:
        ts += draw.choice([0, 0, S // 10, S // 2, 3 * S])
        price = 100 + draw.randint(-3, 3) / 2
        kind = draw.random()
        if kind < 0.5:
            events.append(trade(ts, price, bad=draw.random() < 0.1))
        elif kind < 0.8:
            events.append(quote(ts, price - 0.5, price + 0.5))
        else:
            o = price + 0.25
            events += [
                bar(ts, price, o, price - 1, price, name="OTHER"),
                bar(ts, price, o, price - 1, price),
                quote_bar(ts, price, o),
            ]
    return events


def played(seed, cuts, loop=Loop):
    bench = Bench(Busy(), bars=["OTHER"], model=FillModel(latency_ms=300), sampled=True, loop=loop)
    return bench.run(market(seed), cuts=cuts)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_the_batch_size_does_not_change_what_is_recorded(seed, cuts):
    assert played(seed, cuts) == played(seed, [10**6]) == played(seed, [1])


class Calm(Script):
    """Mostly has nothing in the market and nothing due, so that most bars go the short way."""

    def subscriptions(self):
        return [Subscription("ACME"), Subscription("OTHER")]

    def on_bar(self, bar):
        self.seen += 1
        if self.seen % 5 == 0:
            self.buy(bar.instrument, 1, reason=f"b{self.seen}")
        if self.seen % 17 == 0:
            self.buy(bar.instrument, 1, limit=bar.close - 0.5, reason=f"l{self.seen}")
        if self.seen % 23 == 0:
            self.set_timer("soon", after_s=0.5)
        if self.seen % 3 == 0:
            self.record("close", bar.close)


def bars_alone(seed, count=60):
    """Slices of one bar or of several, now and then a tick between them."""
    draw, ts, events = random.Random(seed), OPEN, []
    for _ in range(count):
        ts += draw.choice([1, 1, 2]) * S
        for name in draw.choice([["ACME"], ["OTHER"], ["ACME", "OTHER"], ["OTHER", "ACME", "OTHER"]]):
            price = 100 + draw.randint(-3, 3) / 2
            events.append(bar(ts, price, price + 0.25, price - 1, price, name=name))
        if draw.random() < 0.1:
            events.append(trade(ts + S // 2, 100.0))
    return events


def played_bars(seed, cuts, loop=Loop):
    bench = Bench(Calm(), bars=["ACME", "OTHER"], sampled=True, loop=loop)
    return bench.run(bars_alone(seed), cuts=cuts)


class LongWay(Loop):
    """Takes bars one by one, each with its seq, as it takes what is not on the hot path."""

    def _take_other(self, event, events, inputs):
        self._slice(inputs.seq(), event)


class NamesNoBars(Loop):
    """Broken on purpose: never says which input a strategy was told of."""

    def __init__(self, *parts):
        super().__init__(*parts)
        self._acting.name = lambda told, inputs: None


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_the_short_way_of_bars_comes_to_the_same_as_the_long_one(seed, cuts):
    assert played_bars(seed, cuts) == played_bars(seed, cuts, LongWay)


def test_a_short_way_that_names_the_wrong_bar_is_caught():
    assert any(played_bars(seed, [40], NamesNoBars) != played_bars(seed, [40], LongWay) for seed in range(5))


class FlushesAtBatches(Loop):
    """Broken on purpose: treats the end of a batch as the end of a slice."""

    def __init__(self, *parts):
        super().__init__(*parts)
        commit = self._acting.commit
        self._acting.commit = lambda: (self._bars.flush(), commit())


def test_a_loop_whose_slices_end_with_the_batch_is_caught():
    assert any(played(seed, [2], FlushesAtBatches) != played(seed, [10**6]) for seed in range(5))


def test_log_order_is_processing_order_for_timers_fills_and_decisions():
    entries = played(3, [7])
    # A prefix of the inputs gives a prefix of the log: nothing is recorded later than it happened.
    shorter = Bench(Busy(), bars=["OTHER"], model=FillModel(latency_ms=300), sampled=True)
    events = market(3)
    cut = 60
    while type(events[cut - 1]) is not Trade or events[cut].ts == events[cut - 1].ts:
        cut += 1
    prefix = [e for e in shorter.run(events[:cut]) if type(e.event).__name__ not in {"SessionEnded"}]
    while prefix and type(prefix[-1].event).__name__ == "AccountMarked":
        prefix.pop()  # the sample of the session's end
    assert len(prefix) > 50
    assert entries[: len(prefix)] == prefix


def calls_of(cuts=(1,)):
    bench = Bench(Script({n: lambda s: s.buy("ACME", 1, reason="x") for n in (1, 2, 5)}))
    bench.run([trade(OPEN + n * S, 10.0) for n in range(8)], cuts=list(cuts))
    return bench.tape


def released_early(tape):
    """Return the decisions that left before a synced commit covered them."""
    first = tape.entries[0].seq
    durable, early = 0, []
    for what, number in tape.calls:
        if what == "sync":
            durable = number
        elif what == "release" and number - first >= durable:
            early.append(number)
    return early


@pytest.mark.parametrize("cuts", [[1], [2], [3, 1], [100]])
def test_effects_leave_only_after_the_commit_that_made_their_decision_durable(cuts):
    tape = calls_of(cuts=cuts)
    sends = [entry.seq for entry in tape.entries if isinstance(entry.event, OrderSendStarted)]
    assert [number for what, number in tape.calls if what == "release"] == sends
    assert len(sends) == 3
    assert released_early(tape) == []


def test_a_batch_without_decisions_is_committed_without_a_sync():
    tape = calls_of(cuts=[1])
    kinds = [what for what, _ in tape.calls]
    assert kinds.count("sync") == 3
    assert kinds.count("commit") == 6  # five ticks without a decision, and the end
    assert tape.committed == len(tape.entries)


class ReleasesFirst(Acting):
    """Broken on purpose: acts, then records."""

    def commit(self):
        decided: list[Effect] = list(self._decided)
        self._broker.release(decided)
        self._decided.clear()
        self._recorder.commit(sync=bool(decided))


class SyncsNothing(Acting):
    """Broken on purpose: commits, but does not ask for durability."""

    def commit(self):
        self._recorder.commit(sync=False)
        self._broker.release(self._decided)
        self._decided.clear()


@pytest.mark.parametrize("broken", [ReleasesFirst, SyncsNothing])
def test_a_loop_that_acts_before_the_decision_is_durable_is_caught(monkeypatch, broken):
    monkeypatch.setattr(loop_module, "Acting", broken)
    assert released_early(calls_of())


def test_a_failing_input_and_all_before_it_are_committed():
    def fail(strategy):
        strategy.record("before", 1.0)
        raise RuntimeError("no")

    bench = Bench(Script({1: lambda s: s.buy("ACME", 1, reason="x"), 3: fail}))
    with pytest.raises(Exception, match="no"):
        bench.run([trade(OPEN + n * S, 10.0) for n in range(5)], cuts=[100])
    assert bench.tape.committed == len(bench.tape.entries)
    assert len(bench.recorded(Filled)) == 1
    assert bench.recorded(Recorded) == []  # a handler that raises has asked for nothing
    assert released_early(bench.tape) == []


def test_bars_left_over_at_the_end_are_processed():
    bench = Bench(Script({1: lambda s: s.buy("ACME", 1, reason="x")}), bars=["ACME"])
    bench.run([bar(OPEN + MIN, 1, 1, 1, 1)])
    assert [str(fill.price) for fill in bench.recorded(Filled)] == ["1"]
